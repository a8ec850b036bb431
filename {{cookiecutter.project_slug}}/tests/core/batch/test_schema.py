"""The OpenAPI description of the batch."""

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
    (example,) = content["application/json"]["examples"].values()
    assert example["value"]["atomic"] is True
    assert set(operation["responses"]) == {"200", "400", "401", "403", "415", "429"}
    assert operation["responses"]["200"]["content"]["application/json"]["examples"]
    assert "Server-Timing" in operation["responses"]["200"]["headers"]


def test_every_key_of_an_item_is_described(schema):
    described = schema["components"]["schemas"]
    assert set(described["BatchItemRequest"]["properties"]) == KEYS
    assert set(described["BatchItemRequest"]["required"]) == {"method", "relative_url"}
    assert set(described["MethodEnum"]["enum"]) == METHODS


def test_the_example_of_a_batch_runs(api, author, schema):
    api.force_authenticate(author)
    content = schema["paths"]["/api/batch/"]["post"]["requestBody"]["content"]["application/json"]
    (example,) = content["examples"].values()
    results = api.post("/api/batch/", example["value"], format="json").json()
    assert [each["code"] for each in results] == [201, 201]
    assert results[1]["body"] is None
