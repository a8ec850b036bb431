"""Messages of the resource socket as plain data."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bindings.messages import UnreadableMessageError, error_reply, parse

PAYLOAD = {"action": "list", "request_id": "r1"}


def test_a_request_is_read():
    request = parse(json.dumps({"stream": "questions", "payload": PAYLOAD}))
    assert (request.stream, request.payload) == ("questions", PAYLOAD)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "Send text"),
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "Send an object"),
        ("null", "Send an object"),
        ("{}", '"stream" is missing'),
        ('{"stream": 1, "payload": {}}', '"stream" is missing or not a string'),
        ('{"stream": "s"}', '"payload" is missing'),
        ('{"stream": "s", "payload": []}', '"payload" is missing or not an object'),
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


@given(st.text() | json_values.map(json.dumps) | objects.map(json.dumps))
def test_any_text_is_a_request_or_says_why(text):
    sentence = None
    try:
        assert isinstance(parse(text).payload, dict)
    except UnreadableMessageError as error:
        sentence = error.sentence
    assert sentence is None or sentence.endswith(".")
