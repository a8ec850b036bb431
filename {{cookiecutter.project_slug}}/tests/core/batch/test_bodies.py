"""The body of an item, from the batch to its bytes; and batches that come as a form."""

import json

import pytest

from core.batch.answers import Answer
from core.batch.bodies import encode_body, fields, read_body
from core.batch.forms import from_form
from core.batch.items import BatchError
from core.batch.jsonpath import Allowance
from core.batch.references import Resolver

FORM = "application/x-www-form-urlencoded"
ANSWER = Answer(200, "OK", [], json.dumps({"id": 7, "q": 'a "b" & c', "ids": [1, 2]}).encode())


def encoded(raw, content_type=None):
    body = read_body(raw, content_type, has_files=False)
    return body.media_type, encode_body(body, Resolver({"a": ANSWER}, 1000, Allowance()))


@pytest.mark.parametrize(
    ("raw", "content_type", "media_type", "content"),
    [
        ({"a": [1, None]}, None, "application/json", b'{"a":[1,null]}'),
        ([], None, "application/json", b"[]"),
        (0, None, "application/json", b"0"),
        (False, None, "application/json", b"false"),
        ('{"data": 42}', None, "application/json", b'{"data": 42}'),
        ("not json", None, "application/json", b"not json"),
        ("", None, "application/json", b""),
        ("caf\u00e9", "text/plain", "text/plain", "caf\u00e9".encode()),
        ({"a": "{result=a:$.ids}"}, None, "application/json", b'{"a":[1,2]}'),
        ("{result=a:$.q}", None, "application/json", rb'"a \"b\" & c"'),
        # A text that is JSON is filled in as JSON: no value can break out of its place.
        ('{"x": "{result=a:$.q}", "y": "-{result=a:$.q}"}', None, "application/json",
         rb'{"x":"a \"b\" & c","y":"-a \"b\" & c"}'),
        ('{"x": {result=a:$.q}, "y": {result=a:$.ids}}', None, "application/json",
         rb'{"x": "a \"b\" & c", "y": [1,2]}'),
        ("{result=a:$.q}!", "text/plain", "text/plain", b'a "b" & c!'),
        ("q={result=a:$.q}", FORM, FORM, b"q=a+%22b%22+%26+c"),
        ({"q": "{result=a:$.q}", "i": [1, True]}, FORM, FORM, b"q=a+%22b%22+%26+c&i=1&i=true"),
        ({"a": 1}, "application/merge-patch+json; charset=utf-8", "application/merge-patch+json", b'{"a":1}'),
        ({"a": "\ud800"}, None, "application/json", rb'{"a":"\ud800"}'),
    ],
)  # fmt: skip
def test_a_body_becomes_bytes(raw, content_type, media_type, content):
    assert encoded(raw, content_type) == (media_type, content)


def test_no_body_is_none():
    assert read_body(None, None, has_files=False) is None


@pytest.mark.parametrize(
    ("raw", "content_type", "has_files"),
    [
        ([1], None, True),
        ("text", None, True),
        ({"a": 1}, "application/json", True),
        ("text", "multipart/form-data", False),
        ([1], FORM, False),
        ("\ud800", None, False),
        ("{result=a:$.[}", None, False),
    ],
)
def test_a_body_that_does_not_fit_its_type_is_refused(raw, content_type, has_files):
    with pytest.raises(ValueError):  # noqa: PT011 - the message is for people
        read_body(raw, content_type, has_files=has_files)


def test_files_may_go_without_a_body_and_with_one_in_a_string():
    assert read_body(None, None, has_files=True).value == {}
    assert read_body('{"data": 42}', None, has_files=True).value == {"data": 42}


def test_fields_of_a_form_are_texts():
    value = {"a": "x", "b": [1, "y", None], "c": None, "d": True, "e": {"f": [1]}, "g": 1.5}
    assert fields(value) == [
        *(("a", "x"), ("b", "1"), ("b", "y"), ("b", ""), ("c", ""), ("d", "true"), ("e", '{"f":[1]}'), ("g", "1.5"))
    ]


def test_a_batch_as_a_form_is_the_same_batch():
    form = {"batch": '[{"method": "get"}]', "atomic": "True", "ordered": "false", "csrfmiddlewaretoken": "x"}
    assert from_form(form) == {"batch": [{"method": "get"}], "atomic": True, "ordered": False}


@pytest.mark.parametrize("batch", ["", "[", "[NaN]", "[" * 100_000])
def test_a_form_whose_batch_is_not_json_is_refused(batch):
    with pytest.raises(BatchError):
        from_form({"batch": batch})
