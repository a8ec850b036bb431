"""JSONPath: all that the library knows, and never more work than is allowed."""

import time

import pytest
from jsonpath_ng.ext import parse

from core.batch import jsonpath
from core.batch.jsonpath import Allowance, BadPathError, PathFailedError, read

ROWS = {
    "rows": [{"id": number, "name": f"row {number}", "tags": ["a", "b"][: number % 3]} for number in range(20)],
    "numbers": [3, 1, 2],
    "half": 0.5,
    "text": "a, b, c",
    "nested": {"x": {"y": [{"z": 1}, {"z": 2}]}},
    "none": None,
    "yes": True,
}
PARENT = ".`parent`"


@pytest.mark.parametrize(
    "path",
    [
        *("$", "$.rows", "$.rows[*].id", "$.rows.*.id", "$..z", "$..y[0].z", "$.rows[2:5].id", "$.rows[-1].id"),
        *("$.rows[0,1].id", "$['half','text']", "$.nested.*", "$.rows[?(@.id > 17)].name", "$.rows[?(@.tags)].id"),
        *("$.rows[?(@.id > 3 && @.id < 6)].id", "$.rows[?(@.id < 1 || @.id > 18)].id", "$.rows[?(!@.tags[0])].id"),
        *("$.rows[?(@.name == 'row 7')].id", "$.rows[?(@.name =~ 'row 1.')].id", "$.rows[?(@.id == $.half)]"),
        *("$.rows[?(@.id != $.numbers[0])].id", "$.nested.x.y[?(@.z == 1)]", "$.rows[?(@.id == null)]", "$.none"),
        *("$.numbers.`len`", "$.numbers.`sorted`", "$.nested.`keys`", "$.nested.x.`path`", "$.half.`str()`"),
        *("$.text.`split(',', 1, -1)`", "$.text.`split(',', *, -1)`", "$.text.`sub(/, /, +)`", "$.rows[\\id].id"),
        *("$.numbers[*] * 2", "$.numbers[0] + $.numbers[1]", "$.half - 1", "$.numbers[*] + $.numbers[*]"),
        *("$.text + '!'", "$.rows[?(@.id == $.numbers[0])].name"),
        *("$.rows[3].name.`parent`.id", "$.rows[*] where $.tags", "$.rows[*] wherenot $.tags", "$.nowhere", "$.yes"),
        *("$.rows[?(@.tags == $.rows[1].tags)].id", "$.rows[?(@.name =~ 'x')]", "$.half / $.numbers[2]"),
    ],
)  # fmt: skip
def test_a_path_finds_what_the_library_finds(path):
    try:
        wanted = [match.value for match in parse(path).find(ROWS)]
    except Exception as error:  # noqa: BLE001 - the library's parser has a dozen kinds
        with pytest.raises((BadPathError, PathFailedError)):
            read(path).find(ROWS, Allowance())
        assert str(error)  # noqa: PT017
    else:
        assert read(path).find(ROWS, Allowance()) == wanted


BIG = {
    "numbers": list(range(30_000)),
    "rows": [{"id": number, "name": f"n{number}"} for number in range(2000)],
    "few": list(range(200)),
    "twin": [[1] * 20_000],
    "other": [[1] * 20_000],
    "text": "a" * 90_000,
    "longer": "a" * 100_001,
    "commas": "1," * 9000,
}
DEEP: list[object] = []
for _ in range(400):
    DEEP = [DEEP]
_inner = DEEP
while _inner:
    _inner = _inner[0]
_inner.extend([{"a": 1}] * 30_000)


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("$.numbers.*" + f"{PARENT}.*" * 5, BIG),
        ("$..*..*..*..*", BIG),
        (f"$.few.*{PARENT}.*{PARENT}{PARENT}[?(@ == $.twin)]", BIG),
        (f"$.few.*{PARENT}{PARENT}[?(@.*{PARENT} == $.twin)]", BIG),
        (f"$.few.*{PARENT}{PARENT}.numbers.`sorted`", BIG),
        (f"$.few.*{PARENT}{PARENT}.rows[/name,\\id]", BIG),
        (f"$.few.*{PARENT}{PARENT}.`str()`", BIG),
        (f"$.few.*{PARENT}{PARENT}.text.`split(a, *, -1)`", BIG),
        (f"$.few.*{PARENT}{PARENT}.rows.*[?(@ == $.text)]", BIG),
        ("$.rows[?($..name)]", BIG),
        ("$.numbers[?($.rows[?($.numbers[*])])]", BIG),
        ("$..* where $..*", BIG),
        ("$" + ".*" * 2 + f"{PARENT}{PARENT}.*.*" * 20, BIG),
        ("$..[?(@.a == $.b)]", DEEP),
        ("$..[?($[0])]", DEEP),
        ("$.text" + " + $.text" * 40, BIG),
        ("$.text.`sub(/()/, " + "x" * 400 + ")`", BIG),
    ],
)
def test_work_without_end_is_stopped(path, document):
    """Each of these would run for minutes, or for ever."""
    allowance = Allowance(steps=50_000)
    with pytest.raises(PathFailedError, match="takes too long"):
        read(path).find(document, allowance)
    with pytest.raises(PathFailedError, match="takes too long"):  # nothing is left for the next one
        read("$.few").find(document, allowance)


@pytest.mark.parametrize(
    "path",
    [
        "$.commas.`sub(/^(.*?,){40}P/, x)`",
        "$[?(@ =~ '(a|aa)+b')]",
        "$.text.`sub(/((?1)a|a)/, x)`",
    ],
)
def test_a_regular_expression_without_end_is_stopped_by_the_clock(path):
    allowance = Allowance(seconds=0.05)
    with pytest.raises(PathFailedError, match="regular expression"):
        read(path).find(BIG, allowance)
    assert allowance.seconds < 0


def test_the_classics_of_regular_expressions_end():
    text = {"text": "a" * 60}
    for pattern in ("(a+)+b", "(a|a)*b", "(.*)*b", "(a?){60}a{60}b"):
        assert read(f"$[?(@ =~ '{pattern}')]").find(text, Allowance()) == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("$.text * 1000000000", "only numbers are multiplied"),
        ("$.numbers * 1000000000", "only numbers are multiplied"),
        ("1000000000 * $.text", "only numbers are multiplied"),
        ("$.few[199]" + " * $.few[199]" * 20 + " * 9999999999999" * 5, None),
        ("$.huge * $.huge", "more than 10000 bits"),
        ("$.float * $.float", "JSON cannot hold"),
        ("$.longer.`sub(/a/, b)`", "more than 100000 characters"),
        ("$.rows.`sorted`", "cannot be applied"),
        ("$.`parent`", "cannot be applied"),
    ],
)
def test_what_cannot_be_applied_says_why(path, why):
    document = {**BIG, "huge": 10**2000, "float": 1e300}
    if why is None:
        assert len(read(path).find(document, Allowance())) == 1
        return
    with pytest.raises(PathFailedError, match=why):
        read(path).find(document, Allowance())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_the_library_does_not_implement_is_refused():
    with pytest.raises(BadPathError, match="write &&"):
        read("$.x & $.y")


@pytest.mark.parametrize(
    "path",
    [
        *("$.[", "$.x.`sub(a)`", "$.x.`sub(/a/)`", "$.x.`sub(/(/, b)`", "$.x.`nothing`", "$.x[?(@ =~ '(')]"),
        "$" + ".x" * 300,
    ],
)
def test_what_is_no_path_is_refused(path):
    with pytest.raises(BadPathError):
        read(path)


def test_reading_a_path_never_takes_long():
    """The library compiles the expression in `sub` by itself, which can take as long as the process lives."""
    began = time.process_time()
    for pattern in ("(?i)" + "[\\0-\\uffff]" * 30, "(" * 200 + ")" * 200, "((a{1,9}){1,9}){1,9}", "(?:a?)" * 60):
        read(f"$.text.`sub(/{pattern}/, x)`")
    assert time.process_time() - began < 5


def test_a_path_that_has_been_read_is_remembered():
    assert read("$.remembered.path") is read("$.remembered.path")
    assert jsonpath.read.cache_info().maxsize == 1024
