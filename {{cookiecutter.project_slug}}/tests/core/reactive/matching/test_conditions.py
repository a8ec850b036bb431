"""Conditions in three-valued logic: what they may come to, where an index finds them, and as JSON."""

import json
import uuid
from datetime import UTC, date, datetime, timedelta

import pytest

from core.reactive.matching.conditions import (
    ANYTHING,
    FALSE,
    NO,
    NULL,
    TRUE,
    UNKNOWN,
    YES,
    All,
    Comparison,
    Entry,
    Not,
    Some,
    Span,
    compared_fields,
    decode,
    encode,
    entries,
    may_hold,
    pins,
    possible,
)

NOON = datetime(2026, 5, 14, 12, 0, 0, 5, tzinfo=UTC)
AT_ONCE = Span(NOON.timestamp(), NOON.timestamp())
IS_3 = Comparison("size", "exact", 3)


def later(**much):
    return Span(NOON.timestamp(), (NOON + timedelta(**much)).timestamp())


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        (IS_3, 3, YES),
        (IS_3, 4, NO),
        (IS_3, None, NULL),
        (Comparison("size", "in", (1, 3)), 3, YES),
        (Comparison("size", "in", (1, 3)), 2, NO),
        (Comparison("size", "in", (1, 3)), None, NULL),
        (
            Comparison("size", "in", ()),
            None,
            NO,
        ),  # Django asks the database nothing, and NOT of it is true even for NULL
        (Not(Comparison("size", "in", ())), None, YES),
        (Comparison("size", "isnull", True), None, YES),
        (Comparison("size", "isnull", True), 0, NO),
        (Comparison("size", "isnull", False), 0, YES),
        (Comparison("size", "gt", 3), 3, NO),
        (Comparison("size", "gte", 3), 3, YES),
        (Comparison("size", "lt", 3), 3, NO),
        (Comparison("size", "lte", 3), 3, YES),
        (Comparison("size", "lte", 3), None, NULL),
        (Not(IS_3), 3, NO),
        (Not(IS_3), 4, YES),
        (Not(IS_3), None, NULL),
        (Not(All((IS_3, Comparison("size", "isnull", False)))), None, YES),  # what exclude() makes of it
        (All((IS_3, UNKNOWN)), 3, ANYTHING),
        (All((IS_3, UNKNOWN)), 4, NO),
        (Some((IS_3, UNKNOWN)), 3, YES),
        (Some((IS_3, UNKNOWN)), 4, ANYTHING),
        (Not(UNKNOWN), 3, ANYTHING),
        (Not(All((IS_3, UNKNOWN))), 4, YES),
        (All((Comparison("size", "gt", 1), IS_3)), None, NULL),
        (Some((IS_3, Comparison("size", "isnull", True))), None, YES),
        (TRUE, None, YES),
        (FALSE, None, NO),
        (Not(FALSE), None, YES),
        (Comparison("other", "exact", 3), 3, ANYTHING),  # a column that was not fetched
        (Comparison("size", "exact", True), True, YES),
        (Comparison("size", "exact", False), True, NO),
        (Comparison("size", "exact", uuid.UUID(int=3)), uuid.UUID(int=3), YES),
    ],
)
def test_a_condition_comes_to_what_it_does_in_sql(condition, value, expected):
    """NULL is neither true nor false, and what cannot be decided may be anything, negated too."""
    assert possible(condition, {"size": value}, AT_ONCE) == expected
    assert possible(decode(json.loads(json.dumps(encode(condition)))), {"size": value}, AT_ONCE) == expected


@pytest.mark.parametrize(
    ("operator", "limit", "value", "span", "expected"),
    [
        # A moment with microseconds is one that somebody read from the clock: it has become as much later as it is now.
        ("lte", NOON, NOON, AT_ONCE, YES),
        ("lte", NOON, NOON + timedelta(hours=1), AT_ONCE, NO),
        ("lte", NOON, NOON + timedelta(hours=1), later(hours=2), YES | NO),
        ("lte", NOON, NOON + timedelta(hours=3), later(hours=2), NO),
        ("gt", NOON, NOON + timedelta(hours=1), later(hours=2), YES | NO),
        ("gt", NOON, NOON + timedelta(hours=3), later(hours=2), YES),
        ("gt", NOON, NOON - timedelta(hours=1), later(hours=2), NO),
        # Another may be the beginning of a day, or of a month, and jump.
        ("lt", datetime(2026, 5, 14, tzinfo=UTC), NOON, later(minutes=1), YES | NO),
        ("lt", datetime(2026, 5, 14, tzinfo=UTC), NOON + timedelta(days=3), later(minutes=1), NO),
        ("lt", datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 20, tzinfo=UTC), later(days=20), YES | NO),
        ("lt", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 20, tzinfo=UTC), later(days=240), YES | NO),
        ("exact", date(2026, 5, 14), date(2026, 5, 14), AT_ONCE, YES | NO),
        ("exact", date(2026, 5, 14), date(2026, 5, 15), AT_ONCE, YES | NO),
        ("exact", date(2026, 5, 14), date(2026, 5, 13), later(days=2), NO),
        ("exact", date(2026, 5, 14), date(2026, 5, 30), later(days=2), NO),
        ("gte", date.max, date.max, later(days=2), YES),
        ("lt", NOON, NOON.replace(tzinfo=None), AT_ONCE, ANYTHING),
        ("lt", NOON, None, later(days=2), NULL),
    ],
)
def test_a_moment_stands_for_those_that_it_may_have_become(operator, limit, value, span, expected):
    """A query of later may hold a later moment, and only rows between the two are in doubt."""
    assert possible(Comparison("at", operator, limit), {"at": value}, span) == expected


def test_a_list_of_days_may_have_moved_too():
    """Any of them may be a day later."""
    week = Comparison("day", "in", (date(2026, 5, 1), date(2026, 5, 4)))
    assert possible(week, {"day": date(2026, 5, 5)}, AT_ONCE) == YES | NO
    assert possible(week, {"day": date(2026, 5, 9)}, AT_ONCE) == NO


OWNED, PUBLISHED = Comparison("owner", "exact", 7), Comparison("published", "exact", True)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (IS_3, {("size", "exact", 3)}),
        (Comparison("size", "in", (1, 3)), {("size", "exact", 1), ("size", "exact", 3)}),
        (Comparison("size", "in", ()), set()),
        (FALSE, set()),
        (TRUE, None),
        (UNKNOWN, None),
        (Not(IS_3), None),
        (Comparison("size", "isnull", True), {("size", "exact", None)}),
        (Comparison("size", "isnull", False), None),
        (Comparison("size", "gt", 3), {("size", "gte", 3)}),
        (Comparison("size", "lte", 3), {("size", "lte", 3)}),
        (All((UNKNOWN, IS_3)), {("size", "exact", 3)}),
        (Some((UNKNOWN, IS_3)), None),
        (Some((OWNED, PUBLISHED)), {("owner", "exact", 7), ("published", "exact", True)}),
        (All((PUBLISHED, Comparison("size", "gt", 3), OWNED)), {("owner", "exact", 7)}),  # the rarest
        (All((Some((OWNED, PUBLISHED)), IS_3)), {("size", "exact", 3)}),
        (Comparison("at", "lt", NOON), None),  # it moves
        (Comparison("at", "gt", NOON), {("at", "gte", NOON)}),
        (Comparison("at", "exact", NOON), None),
    ],
)
def test_a_condition_is_found_where_every_row_that_fulfils_it_looks(condition, expected):
    """By a value if it can, by a bound if it must, otherwise it is asked of every row."""
    found = entries(condition)
    assert (None if found is None else set(found)) == (
        None if expected is None else {Entry(*each) for each in expected}
    )


def test_pins_are_the_only_values_a_field_can_have():
    """They come from what has to hold in any case."""
    condition = All((IS_3, All((Comparison("owner", "in", (1, 2)), Comparison("owner", "in", (2, 3)))), Not(OWNED)))
    assert pins(condition) == {"size": {3}, "owner": {2}}
    assert pins(Some((IS_3, OWNED))) == {}
    assert pins(All((Comparison("day", "exact", date(2026, 5, 14)),))) == {}
    assert compared_fields(condition) == {"size", "owner"}


@pytest.mark.parametrize(
    "condition",
    [
        All((IS_3, Some((UNKNOWN, Not(OWNED))), TRUE, FALSE)),
        Comparison("at", "lt", NOON),
        Comparison("day", "in", (date(2026, 5, 14), date(2020, 1, 1))),
        Comparison("key", "in", (uuid.UUID(int=5),)),
        Comparison("published", "isnull", False),
    ],
)
def test_a_condition_survives_json(condition):
    """With the types of its values."""
    assert decode(json.loads(json.dumps(encode(condition)))) == condition


@pytest.mark.parametrize("data", [[], ["xor", ["?"]], ["exact", 3, 3], ["regex", "size", "a"], ["in", "size", 3], "?"])
def test_what_is_no_condition_is_refused(data):
    """So that the profile it stands in is not trusted."""
    with pytest.raises(ValueError, match="no condition"):
        decode(data)


def test_a_kind_of_value_that_is_not_known_is_refused():
    """Another version may have written it."""
    with pytest.raises(ValueError, match="no values of the kind 'complex'"):
        decode(["exact", "size", ["complex", "1j"]])


def test_may_hold_takes_doubt_for_yes():
    """A row in doubt concerns; NULL does not fulfil a condition."""
    assert may_hold(UNKNOWN, {}, AT_ONCE)
    assert not may_hold(IS_3, {"size": None}, AT_ONCE)
