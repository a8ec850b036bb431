"""How tags are written, read and compared."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from hypothesis import given, settings
from hypothesis import strategies as st

from core.etags.conditions import _by_django, judged
from core.etags.tags import ANY, Tag, parse, reduced, same, same_state, written

SAFE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"'), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("*", ANY),
        (" * ", ANY),
        ("", []),
        ('"a"', [Tag("a")]),
        ('W/"a"', [Tag("a", True)]),
        ('"a", W/"b" ,"c,d"', [Tag("a"), Tag("b", True), Tag("c,d")]),
        ("a", [Tag("a")]),
        ("a, W/b", [Tag("a"), Tag("b", True)]),
        ('""', [Tag("")]),
    ],
)
def test_a_header_is_a_list_of_tags(header, tags):
    assert parse(header) == tags


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SAFE, st.booleans()), min_size=1, max_size=4))
def test_what_is_written_is_read(tags):
    header = ", ".join(f'{"W/" if weak else ""}"{value}"' for value, weak in tags)
    assert parse(header) == [Tag(value, weak) for value, weak in tags]


@pytest.mark.parametrize(
    ("value", "tag"),
    [("abc", '"abc"'), ('"abc"', '"abc"'), ('W/"abc"', 'W/"abc"'), ("some key", '"some key"'), (5, '"5"')],
)
def test_values_are_written_in_quotes(value, tag):
    assert written(value) == tag


@pytest.mark.parametrize("value", ['a"b', "é", "a\nb", ""])
def test_a_value_that_no_header_can_carry_is_digested(value):
    assert parse(written(value)) == [Tag(written(value).strip('"'))]
    assert len(written(value)) == 34


@pytest.mark.parametrize(
    ("header", "current", "strong", "result"),
    [
        ("*", '"a"', True, "*"),
        ('"a"', '"a"', True, '"current"'),
        ('"b", "a"', '"a"', True, '"current"'),
        ('"b"', '"a"', True, '"other"'),
        ('W/"a"', '"a"', True, '"current"'),
        ('W/"a"', '"a"', False, '"current"'),
        ('"a"', 'W/"a"', True, '"other"'),
        ('"a"', 'W/"a"', False, '"current"'),
        ('"a;gzip"', '"a"', True, '"current"'),
        ('"a-gzip"', '"a"', False, '"current"'),
        ("a", '"a"', True, '"current"'),
        ("", '"a"', True, ""),
    ],
)
def test_comparison(header, current, strong, result):
    assert reduced(header, current, same, strong=strong) == result


def test_states_are_the_same_in_all_formats():
    assert same_state("abc-json", "abc-xml")
    assert not same_state("abc-json", "abd-json")


HEADERS = st.one_of(
    st.sampled_from(['"a"', 'W/"a"', '"b", "a"', '"b"', "*", "", ",", "a", '"a;gzip"', 'W/"b", W/"a"', '"a']),
    st.text('abW/"*, ;-', max_size=8),
)
DATES = st.sampled_from([None, "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 2094 08:49:37 GMT", "nonsense"])


@given(none_match=HEADERS, since=DATES, modified=DATES, weak=st.booleans(), method=st.sampled_from(["GET", "HEAD"]))
def test_what_is_judged_quickly_is_judged_as_django_would(none_match, since, modified, weak, method):
    """Of a read that asks whether what it has is current: the same status, and the same headers in any order."""

    def response():
        headers = {"ETag": tag, "Vary": "Cookie", "Cache-Control": "private", "Age": "1", "X-Own": "x"}
        return HttpResponse(b"x", headers={**headers, "Last-Modified": modified} if modified else headers)

    tag = 'W/"a"' if weak else '"a"'
    meta = {"HTTP_IF_NONE_MATCH": none_match, **({"HTTP_IF_MODIFIED_SINCE": since} if since else {})}
    request = RequestFactory().generic(method, "/", **meta)
    quick, django = judged(request, tag, same, response()), _by_django(request, tag, same, response())
    assert (quick.status_code, quick.content) == (django.status_code, django.content)
    assert dict(quick.headers) == dict(django.headers)
