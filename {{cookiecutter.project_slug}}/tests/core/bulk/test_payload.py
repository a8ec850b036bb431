"""Judging rows without a database: tables of cases, and what holds for all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.blocks import blocks
from core.bulk.header import Intent, intent
from core.bulk.judging import unique_names
from core.bulk.payload import differences, key_errors, link_changes, listed, repetitions, strays
from tests.bulk_app.models import Loose, Person

KEYS = st.integers(0, 5)


@given(st.lists(KEYS), st.integers(1, 7))
def test_blocks_hold_everything_in_order_and_none_is_too_large(items, size):
    pieces = list(blocks(items, size))
    assert [each for piece in pieces for each in piece] == items
    assert all(1 <= len(piece) <= size for piece in pieces)
    assert len(pieces) == -(-len(items) // size)


@pytest.mark.parametrize(
    ("values", "repeated"),
    [([], {}), ([1, 2], {}), ([1, 1, 2, 1], {1: 0, 3: 0}), ([None, None], {}), (["a", 1, "a"], {2: 0})],
)
def test_repetitions_name_the_first(values, repeated):
    assert repetitions(values) == repeated


def codes(errors):
    return {name: error.code for name, (error,) in errors.items()}


def test_strays_are_read_only_or_unknown():
    assert codes(strays(["a", "b", "c"], ["a"], ["a", "b"])) == {"b": "read_only", "c": "unknown"}
    assert strays([], [], []) == {}


def test_errors_are_listed_by_place():
    assert listed({2: "x", 0: "y"}, 3, as_dict=True) == {0: "y", 2: "x"}
    assert list(listed({2: "x", 0: "y"}, 3, as_dict=True)) == [0, 2]
    assert listed({2: "x", 0: "y"}, 4, as_dict=False) == ["y", {}, "x", {}]


def test_keys_are_required_known_and_named_once():
    items = [{"id": 1}, {"id": "1"}, {"id": 9}, {}, "text", {"id": None}]
    errors = key_errors("id", items, [1, 1, 9, None, None, None], [True, True, True, False, False, True], {1})
    assert {place: codes(each) for place, each in errors.items()} == {
        1: {"id": "repeated"},
        2: {"id": "does_not_exist"},
        3: {"id": "required"},
        4: {"non_field_errors": "invalid"},
        5: {"id": "does_not_exist"},
    }


def test_a_long_key_is_cut_in_the_message():
    errors = key_errors("id", [{"id": "x" * 1000}], [None], [True], set())
    assert len(errors[0]["id"][0]) < 100


def test_differences_are_what_was_set_and_what_was_removed():
    assert differences({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 5, "d": 4}) == ({"b": 5, "d": 4}, {"c"})


@given(st.sets(st.tuples(KEYS, KEYS)), st.dictionaries(KEYS, st.lists(KEYS)))
def test_links_that_are_deleted_and_added_give_what_was_wanted(standing, wanted):
    rows = [(number, row, target) for number, (row, target) in enumerate(sorted(standing))]
    surplus, missing = link_changes(rows, wanted)
    after = {(row, target) for key, row, target in rows if key not in set(surplus)} | set(missing)
    for row in range(6):
        have = {target for source, target in after if source == row}
        assert have == (set(wanted[row]) if row in wanted else {t for r, t in standing if r == row})
    assert len(missing) == len(set(missing))
    assert not set(missing) & standing


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, Intent.MISSING),
        ("", Intent.MISSING),
        ("  ", Intent.MISSING),
        ("true", Intent.GO),
        (" TRUE ", Intent.GO),
        ("1", Intent.GO),
        ("Dry-Run", Intent.DRY_RUN),
        ("dry_run", Intent.UNKNOWN),
        ("false", Intent.UNKNOWN),
    ],
)
def test_the_header_says_one_of_four_things(value, said):
    assert intent(value) is said


def test_unique_fields_are_found_wherever_a_model_declares_them():
    assert unique_names(Person) == {"id", "email", "team", "team_id", "number", "captain"}
    assert unique_names(Loose) == {"id"}
