"""The description of the sockets."""

import json

import pytest

from core.asyncapi import document
from core.asyncapi.schemas import as_json_schema, references
from core.asyncapi.views import shape
from core.sockets import CloseCode


@pytest.fixture
def described(db):
    return document("example.com", secure=True)


def payload(described, channel, name):
    return described["channels"][channel]["messages"][name]["payload"]


def body(described, name):
    """Return the schemas of the payload of a message of the resource socket."""
    envelope = payload(described, "resources", name)["properties"]
    return envelope["payload"]["properties"]


def test_it_says_where_the_sockets_are_and_how_to_log_in(described):
    server = described["servers"]["site"]
    assert (server["host"], server["protocol"]) == ("example.com", "wss")
    assert {each["$ref"].rpartition("/")[2] for each in server["security"]} == set(
        described["components"]["securitySchemes"]
    )
    assert document("localhost:8000", secure=False)["servers"]["site"]["protocol"] == "ws"


def test_every_action_of_a_stream_has_its_message_and_its_reply(described):
    operations = described["operations"]
    for action in ("create", "retrieve", "list", "update", "patch", "delete", "subscribe", "unsubscribe"):
        operation = operations[f"resources.questions.{action}"]
        assert operation["action"] == "receive"
        assert operation["summary"]
        assert operation["reply"]["messages"]
        assert body(described, f"questions.{action}")["action"]["const"] == action
    assert payload(described, "resources", "questions.list")["properties"]["stream"]["const"] == "questions"


def test_payloads_are_those_of_the_serializers(described):
    schemas = described["components"]["schemas"]
    assert body(described, "questions.create")["data"] == {"$ref": "#/components/schemas/QuestionRequest"}
    assert body(described, "questions.patch")["data"] == {"$ref": "#/components/schemas/PatchedQuestionRequest"}
    row, _ = body(described, "questions.retrieve.reply")["data"]["anyOf"]
    assert row == {"$ref": "#/components/schemas/Question"}
    rows, _ = body(described, "questions.list.reply")["data"]["anyOf"]
    assert rows["items"] == {"$ref": "#/components/schemas/Question"}
    assert "choices" in schemas["Question"]["properties"]
    assert "votes" not in schemas["ChoiceRequest"]["properties"]
    assert schemas["Question"]["properties"]["owner"]["type"] == ["integer", "null"]


def test_an_extra_action_is_described_as_in_rest(described):
    asked = body(described, "choices.vote")
    assert "pk" in asked
    assert "data" not in asked
    row, _ = body(described, "choices.vote.reply")["data"]["anyOf"]
    assert row == {"$ref": "#/components/schemas/Choice"}
    assert described["operations"]["resources.choices.vote"]["summary"].startswith("Count one vote")


def test_events_are_described_with_the_row_as_it_is_shown(described):
    told = body(described, "questions.update.event")
    assert told["model"]["const"] == "polls.question"
    assert told["data"] == {"$ref": "#/components/schemas/Question"}
    assert body(described, "questions.delete.event")["data"]["maxProperties"] == 0
    assert described["operations"]["resources.questions.events"]["action"] == "send"


def test_every_code_of_a_closed_socket_is_told_and_explained(described):
    told = [(int(code), code.reason) for code in CloseCode]
    for channel in described["channels"].values():
        assert [(each["code"], each["description"]) for each in channel["x-close-codes"]] == told


def test_all_references_lead_somewhere(described):
    assert set(references(described)) <= set(described["components"]["schemas"])
    for operation in described["operations"].values():
        for reference in [*operation["messages"], *operation.get("reply", {}).get("messages", ())]:
            _, _, channel, _, name = reference["$ref"].split("/", 4)
            assert name in described["channels"][channel]["messages"]
    assert "nullable" not in json.dumps(described)


@pytest.mark.parametrize(("off", "left"), [("BINDINGS", {"observers"}), ("REACTIVE", {"resources"})])
def test_what_is_off_is_not_described(db, settings, off, left):
    settings.CORE = {**settings.CORE, off: {"ENABLED": False}}
    assert set(document("example.com", secure=True)["channels"]) == left


def test_null_is_said_by_the_type():
    assert as_json_schema({"type": "string", "nullable": True}) == {"type": ["string", "null"]}
    choice = {"type": "string", "enum": ["a"], "nullable": True}
    assert as_json_schema(choice) == {"type": ["string", "null"], "enum": ["a", None]}
    reference = {"allOf": [{"$ref": "#/x"}], "nullable": True}
    assert as_json_schema(reference) == {"anyOf": [{"allOf": [{"$ref": "#/x"}]}, {"type": "null"}]}
    assert as_json_schema({"items": [{"type": "null"}], "nullable": False}) == {"items": [{"type": "null"}]}


def test_a_schema_is_outlined_as_the_json_it_describes():
    schema = {
        "type": "object",
        "required": ["stream"],
        "properties": {
            "stream": {"const": "questions"},
            "rows": {"type": "array", "items": {"$ref": "#/components/schemas/Question"}},
            "pk": {"type": ["integer", "string"]},
            "event": {"enum": ["create", "update"]},
            "any": {},
        },
    }
    assert shape(schema) == {
        "stream": "questions",
        "rows?": ["<Question>", "<…>"],
        "pk?": "<integer | string>",
        "event?": "<create | update>",
        "any?": "<any>",
    }


def test_it_is_served_as_json_and_as_a_page(client, db):
    answer = client.get("/api/asyncapi/", HTTP_HOST="testserver")
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["servers"]["site"]["host"] == "testserver"
    text = client.get("/api/asyncapi/docs/").content.decode()
    for said in ("questions.subscribe", "Count one vote", "4408", "&lt;QuestionRequest&gt;", "ws://testserver/ws/"):
        assert said in text
    assert "https://" not in text
