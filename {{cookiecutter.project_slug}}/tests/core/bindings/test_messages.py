"""Messages of the resource socket as plain data."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.bindings.messages import UnreadableMessageError, encode, error_reply, parse, query_of

PAYLOAD = {"action": "list", "request_id": "r1"}


def test_a_request_is_read():
    request = parse(json.dumps({"stream": "questions", "payload": PAYLOAD}))
    assert (request.stream, request.payload) == ("questions", PAYLOAD)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "Send an object"),
        ("null", "Send an object"),
        ("{}", '"stream" is missing'),
        ('{"stream": 1, "payload": {}}', '"stream" is missing or not a string'),
        ('{"stream": "s"}', '"payload" is missing'),
        ('{"stream": "s", "payload": []}', '"payload" is missing or not an object'),
        ('{"stream": "s", "payload": {}}', '"action" is missing'),
        ('{"stream": "s", "payload": {"action": ["list"]}}', '"action" is missing in the payload, or not a string'),
        ('{"stream": "s", "payload": {"action": "list", "data": NaN}}', "not JSON"),
    ],
)
def test_what_is_no_request_says_why(text, sentence):
    with pytest.raises(UnreadableMessageError) as raised:
        parse(text)
    assert sentence in raised.value.sentence


def test_the_reply_to_a_message_without_stream_keeps_its_request_id():
    with pytest.raises(UnreadableMessageError) as raised:
        parse(json.dumps({"payload": PAYLOAD}))
    reply = error_reply(raised.value.stream, raised.value.payload, 400, raised.value.sentence)
    assert reply["payload"]["request_id"] == "r1"
    assert reply["stream"] is None


json_values = st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
objects = st.fixed_dictionaries({}, optional={"stream": json_values, "payload": json_values})


@settings(max_examples=50)
@given(st.text() | json_values.map(json.dumps) | objects.map(json.dumps))
def test_any_text_is_a_request_or_says_why(text):
    sentence = None
    try:
        assert isinstance(parse(text).payload, dict)
    except UnreadableMessageError as error:
        sentence = error.sentence
    assert sentence is None or sentence.endswith(".")


@pytest.mark.parametrize(
    ("values", "query"),
    [
        ({}, ""),
        ({"page": 2, "ordering": "-id"}, "page=2&ordering=-id"),
        ({"published": True, "draft": False}, "published=true&draft=false"),
        ({"id": [1, 2]}, "id=1&id=2"),
        ({"text": "a&b=ü"}, "text=a%26b%3D%C3%BC"),
    ],
)
def test_parameters_become_a_query_string(values, query):
    assert query_of(values) == query


@pytest.mark.parametrize("values", [[], "page=1", 7, {"owner": None}, {"a": {"b": 1}}, {"a": [[1]]}])
def test_what_are_no_parameters_says_why(values):
    with pytest.raises(ValueError, match=r"object|neither a text"):
        query_of(values)


def test_json_has_no_room_for_what_is_no_number():
    with pytest.raises(ValueError, match="JSON"):
        encode({"data": float("nan")})
