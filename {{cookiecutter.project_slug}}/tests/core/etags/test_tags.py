"""How tags are written, read and compared."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
