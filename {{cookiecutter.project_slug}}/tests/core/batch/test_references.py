"""References: how they are read, what they take of an answer, and what they refuse."""

import pytest

from core.batch.answers import Answer
from core.batch.jsonpath import Allowance
from core.batch.references import (
    BadReferenceError,
    Resolver,
    UnresolvedError,
    count_references,
    read_text,
    read_value,
    references,
)

DATA = {
    "id": 7,
    "name": "Tea & coffee",
    "none": None,
    "yes": True,
    "ids": [1, 2],
    "empty": [],
    "data": [{"id": 1, "n": "a}b"}, {"id": 2, "n": "b"}],
    "byname": {"x": {"id": 3}},
    "rows": [{"id": 5}],
}


def answer(content=None, **headers):
    import json

    content = json.dumps(DATA).encode() if content is None else content
    named = [(key.replace("_", "-"), value) for key, value in headers.items()]
    return Answer(200, "OK", [("Content-Type", "application/json"), *named], content)


def resolver(result=None, budget=10_000):
    return Resolver({"a": result or answer(ETag='"x,1"')}, budget, Allowance())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("nothing", []),
        ("", []),
        ("{result=a:$.id}", ["a"]),
        ("x{result=a:$.id}y{result=b:$.data.*.id}", ["a", "b"]),
        ("{result=my item:$.id}", ["my item"]),
        ("{{result=a:$.id}", []),  # written out
        ("{other=a}", []),
        ("{result=a:$.data[?(@.n == 'a}b')].id}", ["a"]),
        ("{result=a:$headers.ETag}", ["a"]),
        ("{result=a:$headers['X-Total']}", ["a"]),
    ],
)
def test_references_are_found_in_a_text(text, names):
    assert [each.name for each in read_text(text).references] == names


def test_a_doubled_brace_stands_for_a_literal_one():
    assert read_text("{{result=a:$.id}").plain() == "{result=a:$.id}"
    assert read_value({"a": ["{{result=x}"]}) == {"a": ["{result=x}"]}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{result=a:$.id", "not closed"),
        ("{result=a}", "form"),
        ("{result=:$.id}", "form"),
        ("{result=a:}", "form"),
        ("{result=a:$.[}", "not a JSONPath"),
        ("{result=a:$.x[}", "not a JSONPath"),
        ("{result=a:" + "$" + ".x" * 300 + "}", "at most"),
        ("{result=a:$.x[?(@ =~ '(')]}", "not a regular expression"),
    ],
)
def test_a_reference_that_cannot_be_read_is_refused(text, why):
    with pytest.raises(BadReferenceError, match=why):
        read_text(text)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.id", 7),
        ("$.name", "Tea & coffee"),
        ("$.none", None),
        ("$.yes", True),
        ("$.ids", [1, 2]),
        ("$.ids[1]", 2),
        ("$.empty", []),
        ("$.data[0]", DATA["data"][0]),
        ("$", DATA),
        # What can match several gives a list, even for one match.
        ("$.data.*.id", [1, 2]),
        ("$.data[*].id", [1, 2]),
        ("$.rows.*.id", [5]),
        ("$.rows[*].id", [5]),
        ("$.rows[0:1].id", [5]),
        ("$.byname.*.id", [3]),
        ("$..n", ["a}b", "b"]),
        ("$.data[?(@.id > 1)].n", ["b"]),
        ("$.data[?(@.n == 'a}b')].id", [1]),
        ("$['id','name']", [7, "Tea & coffee"]),
        ("$.data[?(@.n =~ '^a.b$')].id", [1]),
        ("$.data[?(@.id == $.ids[1])].n", ["b"]),
        ("$.id * 6", 42),
        ("$.data.*.id + $.ids.*", [2, 4]),
        ("$.name.`sub(/&.*/, !)`", "Tea !"),
        ("$.name.`split(&, 1, -1)`", " coffee"),
        ("$.rows[0].`parent`.`len`", 1),
        ("$headers.etag", '"x,1"'),
        ('$headers["ETag"]', '"x,1"'),
    ],
)
def test_a_text_that_is_one_reference_takes_the_value_itself(path, value):
    text = f"{{result=a:{path}}}"
    assert resolver().value(read_value(text)) == value
    assert resolver().value(read_value({"deep": [{"k": text}]})) == {"deep": [{"k": value}]}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("id={result=a:$.id}", "id=7"),
        ("ids={result=a:$.data.*.id}!", "ids=1,2!"),
        ("{result=a:$.ids}.", "1,2."),
        ("-{result=a:$.none}{result=a:$.yes}", "-nulltrue"),
        ("-{result=a:$.data[0]}", '-{"id":1,"n":"a}b"}'),
        (" {result=a:$headers.ETag}", ' "x,1"'),
    ],
)
def test_inside_a_longer_text_matches_join_with_commas(text, filled):
    assert resolver().text(read_text(text)) == filled
    assert resolver().value(read_value([text])) == [filled]


def test_keys_are_filled_in_too():
    assert resolver().value(read_value({"k{result=a:$.id}": 1})) == {"k7": 1}


def test_each_match_is_encoded_before_they_join():
    assert resolver().text(read_text("{result=a:$.data.*.n}"), lambda text: f"<{text}>") == "<a}b>,<b>"


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("$.missing", None),
        ("$.ids[9]", None),
        ("$.data[?(@.id > 9)]", None),
        ("$.empty.*", None),
        ("$headers.X-None", None),
        ("$.id", answer(b"<html>")),
        ("$.id", answer(b"")),
        ("$.id", answer(b"\xff")),
        ("$.id", answer(b"[" * 100_000)),
        ("$.id", Answer(200, "OK", [], b'{"id": 1}', max_result_size=5)),
    ],
)
def test_what_matches_nothing_cannot_be_filled_in(path, result):
    with pytest.raises(UnresolvedError):
        resolver(result).value(read_value(f"{{result=a:{path}}}"))


def test_what_is_filled_in_is_limited():
    value = read_value(["{result=a:$.name}"] * 100)
    with pytest.raises(UnresolvedError, match="too large"):
        resolver(budget=1000).value(value)


def test_what_their_paths_may_cost_is_limited_for_all_together():
    value = read_value(["{result=a:$..id}"] * 100)
    allowance = Allowance(steps=1000)
    with pytest.raises(UnresolvedError, match=r"\{result=a:\$\.\.id\} takes too long"):
        Resolver({"a": answer()}, 10_000, allowance).value(value)
    assert Resolver({"a": answer()}, 10_000, Allowance(steps=100_000)).value(value)


def test_references_are_counted_wherever_they_stand():
    assert count_references({"a{result=": ["{result=x{{result=", 5, None, {"b": "{result="}]}) == 4


def test_a_value_without_references_stays_what_it_is():
    value = {"a": [1, None, {"b": "c"}], "d": True}
    assert read_value(value) == value
    assert list(references(read_value(value))) == []


def test_references_are_found_at_every_depth_lists_included():
    value = {"a": [[{"b": ["{result=x:$.id}"]}], "{result=y:$.id}!"], "{result=z:$.k}": 1}
    assert {each.name for each in references(read_value(value))} == {"x", "y", "z"}


def test_what_is_nested_too_deeply_is_refused():
    value = "x"
    for _ in range(200):
        value = [value]
    with pytest.raises(BadReferenceError, match="levels"):
        read_value(value)
