"""How a batch tells of its items."""

import base64

import pytest

from core.batch.answers import Answer, Failure, not_done, server_timing, told
from core.batch.items import Item
from core.batch.references import Text

ITEM = Item(0, "a", "GET", Text(("/",)))


def answer(content, content_type="application/json", code=200, **headers):
    return Answer(code, "OK", [("Content-Type", content_type), *headers.items()], content)


@pytest.mark.parametrize(
    ("content", "content_type", "body"),
    [
        (b"", "image/png", ""),
        ('{"a":"\u00e9"}'.encode(), "application/json", '{"a":"\u00e9"}'),
        (b"a", "text/csv; charset=utf-8", "a"),
        ("\u00e9".encode("latin-1"), "text/plain; charset=iso-8859-1", "\u00e9"),
        (b"<svg/>", "image/svg+xml", "<svg/>"),
        (b"{}", "application/problem+json", "{}"),
    ],
)
def test_text_is_told_as_text(content, content_type, body):
    entry = told(ITEM, answer(content, content_type))
    assert entry["body"] == body
    assert "encoding" not in entry


@pytest.mark.parametrize(
    ("content", "content_type", "headers"),
    [
        (b"\x89PNG", "image/png", {}),
        (b"plain", "application/octet-stream", {}),
        (b"\xff", "text/plain; charset=utf-8", {}),
        (b"a", "text/plain; charset=nonsense", {}),
        (b"\x1f\x8b", "application/json", {"Content-Encoding": "gzip"}),
        (b"a", "", {}),
    ],
)
def test_what_is_not_text_is_told_byte_for_byte(content, content_type, headers):
    entry = told(ITEM, answer(content, content_type, **headers))
    assert entry["encoding"] == "base64"
    assert base64.b64decode(entry["body"]) == content


def test_a_body_is_left_out_only_on_success():
    quiet = Item(0, None, "GET", Text(("/",)), omit=True)
    assert told(quiet, answer(b"{}"))["body"] is None
    assert told(quiet, answer(b"{}", code=302))["body"] is None
    assert told(quiet, answer(b"{}", code=400))["body"] == "{}"


def test_what_was_not_done_names_the_culprit():
    entry = told(ITEM, not_done(Failure(3, "x", 404)))
    assert (entry["code"], entry["code_text"]) == (424, "Failed Dependency")
    assert entry["body"] == (
        '{"detail":"Not run: item 3 (\\"x\\") failed with 404.","failed":{"index":3,"name":"x","code":404}}'
    )


def test_server_timing_tells_how_long_each_took():
    items = [ITEM, Item(1, 'q"\\', "GET", Text(("/",))), Item(2, "caf\u00e9", "GET", Text(("/",)))]
    answers = [answer(b"") for _ in items]
    answers[0].seconds = 0.01234
    assert server_timing(items, answers) == 'item-0;desc="a";dur=12.3, item-1;desc="q\\"\\\\";dur=0.0, item-2;dur=0.0'
