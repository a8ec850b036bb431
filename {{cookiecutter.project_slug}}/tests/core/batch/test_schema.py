"""The OpenAPI description of the batch."""

import json

import pytest
from drf_spectacular.generators import SchemaGenerator

from core.batch.items import KEYS, METHODS


@pytest.fixture
def schema(db):
    return SchemaGenerator().get_schema(request=None, public=True)


def test_both_forms_of_the_request_are_described_with_examples(schema):
    operation = schema["paths"]["/api/batch/"]["post"]
    content = operation["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}
    first, second = content["application/json"]["examples"].values()
    assert first["value"]["atomic"] is True
    assert "$headers.ETag" in str(second["value"])
    (form,) = content["multipart/form-data"]["examples"].values()
    assert json.loads(form["value"]["batch"])[0]["attached_files"] == {"file": "a.jpg"}
    assert set(operation["responses"]) == {"200", "400", "401", "403", "415", "429"}
    answers = operation["responses"]["200"]["content"]["application/json"]["examples"]
    assert [each["code"] for example in answers.values() for each in example["value"]] == [201, 201, 404, 424]
    assert operation["responses"]["400"]["content"]["application/json"]["examples"]
    assert "Server-Timing" in operation["responses"]["200"]["headers"]


def test_every_key_of_an_item_is_described(schema):
    described = schema["components"]["schemas"]
    for key, alternatives in {"depends_on": ["string", "array"], "attached_files": ["array", "object"]}.items():
        one_of = described["BatchItemRequest"]["properties"][key]["oneOf"]
        assert [each["type"] for each in one_of] == alternatives
    assert set(described["BatchItemRequest"]["properties"]) == set(KEYS)
    assert set(described["BatchItemRequest"]["required"]) == {"method", "relative_url"}
    assert set(described["MethodEnum"]["enum"]) == METHODS


def test_the_examples_of_a_batch_run(api, author, schema):
    api.force_authenticate(author)
    content = schema["paths"]["/api/batch/"]["post"]["requestBody"]["content"]["application/json"]
    first, second = (example["value"] for example in content["examples"].values())
    results = api.post("/api/batch/", first, format="json").json()
    assert [each["code"] for each in results] == [201, 201]
    assert results[1]["body"] is None
    made = json.loads(results[0]["body"])["id"]
    second = json.loads(json.dumps(second).replace("/api/questions/1/", f"/api/questions/{made}/"))
    results = api.post("/api/batch/", second, format="json").json()
    assert [each["code"] for each in results] == [200, 200]
    assert json.loads(results[1]["body"])["published"] is False


def test_the_answer_is_a_list(schema):
    content = schema["paths"]["/api/batch/"]["post"]["responses"]["200"]["content"]["application/json"]
    assert content["schema"] == {"type": "array", "items": {"$ref": "#/components/schemas/BatchResult"}}


def test_the_example_of_an_answer_is_what_is_answered(api, db, schema):
    answers = schema["paths"]["/api/batch/"]["post"]["responses"]["200"]["content"]["application/json"]["examples"]
    *_, failed = (example["value"] for example in answers.values())
    items = [
        {"method": "GET", "relative_url": "/api/questions/1/", "name": "question"},
        {"method": "GET", "relative_url": "/api/questions/", "depends_on": "question"},
    ]
    results = api.post("/api/batch/", {"batch": items}, format="json").json()
    assert [{**each, "headers": []} for each in results] == [{**each, "headers": []} for each in failed]
