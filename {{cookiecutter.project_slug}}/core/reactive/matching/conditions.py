"""Conditions on the columns of one row, as plain data, and what they come to in SQL's three-valued logic. Pure.

A condition that could not be read from a query is ``UNKNOWN``: it may come to anything, and so may its negation.
Therefore the answer is not a truth value but the set of those that are possible.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from itertools import product
from typing import Any, Final, NamedTuple

YES: Final = 1
NO: Final = 2
NULL: Final = 4
ANYTHING: Final = YES | NO | NULL

EQUALS, IN, IS_NULL = "exact", "in", "isnull"
ABOVE, FROM, BELOW, UP_TO = "gt", "gte", "lt", "lte"
OPERATORS: Final = frozenset({EQUALS, IN, IS_NULL, ABOVE, FROM, BELOW, UP_TO})


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compares the value of one field. ``operator`` is a name of Django's; ``value`` a tuple for ``in``."""

    field: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class All:
    """AND; of nothing: true."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """OR; of nothing: false."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """NOT, under which NULL stays NULL."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class Unknown:
    """What cannot be decided by looking at the row."""


Condition = Comparison | All | Some | Not | Unknown

TRUE: Final = All(())
FALSE: Final = Some(())
UNKNOWN: Final = Unknown()


def all_of(parts: Iterable[Condition]) -> Condition:
    """Return the AND of ``parts``, without what is true anyway."""
    return _together(All, parts, TRUE, FALSE)


def some_of(parts: Iterable[Condition]) -> Condition:
    """Return the OR of ``parts``, without what is false anyway."""
    return _together(Some, parts, FALSE, TRUE)


def opposite_of(part: Condition) -> Condition:
    """Return the NOT of ``part``."""
    if part in {TRUE, FALSE}:
        return TRUE if part == FALSE else FALSE
    return Not(part)


def _together(kind: type[All | Some], parts: Iterable[Condition], nothing: Condition, decisive: Condition) -> Condition:
    left = tuple(part for part in parts if part != nothing)
    if decisive in left:
        return decisive
    return left[0] if len(left) == 1 else kind(left)


_TRUTH = (NO, NULL, YES)  # in the order in which AND takes the least and OR the greatest


def _tabulated(choose: Callable[[int, int], int]) -> tuple[tuple[int, ...], ...]:
    """Return what two sets of truth values come to, for every two sets."""

    def together(one: int, other: int) -> int:
        pairs = product(*([place for place, bit in enumerate(_TRUTH) if bit & each] for each in (one, other)))
        return reduce(lambda found, pair: found | _TRUTH[choose(*pair)], pairs, 0)

    return tuple(tuple(together(one, other) for other in range(8)) for one in range(8))


_AND = _tabulated(min)
_OR = _tabulated(max)
_NOT = tuple((NO if each & YES else 0) | (YES if each & NO else 0) | (each & NULL) for each in range(8))


class Span(NamedTuple):
    """The time from when a query was made until now, as seconds since the epoch.

    A moment in a condition may have been made of the time of day: ``published__lte=now()``. A later query would then
    hold a later one. So each stands for all moments between itself and as much later as it may have become.
    """

    since: float
    until: float


SKEW: Final = 60.0
"""Seconds by which the clocks of two machines may differ."""


def possible(condition: Condition, row: Mapping[str, Any], span: Span) -> int:
    """Return which of ``YES``, ``NO`` and ``NULL`` the ``condition`` may come to for ``row``."""
    match condition:
        case Comparison():
            return _compare(condition, row, span)
        case All(parts):
            found = YES
            for part in parts:
                found = _AND[found][possible(part, row, span)]
                if found == NO:
                    break
            return found
        case Some(parts):
            found = NO
            for part in parts:
                found = _OR[found][possible(part, row, span)]
                if found == YES:
                    break
            return found
        case Not(part):
            return _NOT[possible(part, row, span)]
        case _:
            return ANYTHING


def may_hold(condition: Condition, row: Mapping[str, Any], span: Span) -> bool:
    """Tell whether ``row`` may fulfil the ``condition``."""
    return bool(possible(condition, row, span) & YES)


def _compare(test: Comparison, row: Mapping[str, Any], span: Span) -> int:
    if test.field not in row:
        return ANYTHING
    have, want = row[test.field], test.value
    if test.operator == IS_NULL:
        return YES if (have is None) == want else NO
    if test.operator == IN and not want:
        return NO  # the database is not asked, whatever the column holds
    if have is None:
        return NULL
    try:
        if test.operator == IN:
            return reduce(lambda found, each: _OR[found][_equal(have, each, span)], want, NO)
        if test.operator == EQUALS:
            return _equal(have, want, span)
        return _compared(test.operator, have, want, span)
    except TypeError:  # a moment with a time zone and one without
        return ANYTHING


def _equal(have: Any, want: Any, span: Span) -> int:
    if not isinstance(want, date):
        return YES if have == want else NO
    return YES | NO if want <= have <= _latest(want, span) else NO


def _compared(operator: str, have: Any, want: Any, span: Span) -> int:
    compare = _COMPARE[operator]
    answers = {compare(have, want)}
    if isinstance(want, date):
        answers.add(compare(have, _latest(want, span)))
    return (YES if True in answers else 0) | (NO if False in answers else 0)


_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    ABOVE: lambda have, want: have > want,
    FROM: lambda have, want: have >= want,
    BELOW: lambda have, want: have < want,
    UP_TO: lambda have, want: have <= want,
}


def _latest(moment: Any, span: Span) -> Any:
    """Return what ``moment`` may have become, if it follows the clock."""
    drift = timedelta(seconds=max(0.0, span.until - span.since) + SKEW)
    if not isinstance(moment, datetime) or not moment.microsecond:
        # Not just any moment: perhaps the beginning of an hour, a day, a month.
        drift += timedelta(days=1) + _to_next_period(span)
    try:
        return moment + drift
    except OverflowError:
        return type(moment).max.replace(tzinfo=moment.tzinfo) if isinstance(moment, datetime) else date.max


def _to_next_period(span: Span) -> timedelta:
    """Return by how much the beginning of this month, or of this year, is another now than it was then."""
    then = datetime.fromtimestamp(span.since, UTC) - timedelta(days=1)  # somewhere it is not the same day
    now = datetime.fromtimestamp(span.until, UTC) + timedelta(days=1)
    if then.year != now.year:
        return timedelta(days=366)
    return timedelta(days=31 if then.month != now.month else 0)


# --- which fields, and which values of them ---


def compared_fields(condition: Condition) -> frozenset[str]:
    """Return the names of the fields that ``condition`` is seen to test."""
    return frozenset(_compared_fields(condition))


def _compared_fields(condition: Condition) -> Iterator[str]:
    match condition:
        case Comparison(field):
            yield field
        case All(parts) | Some(parts):
            for part in parts:
                yield from _compared_fields(part)
        case Not(part):
            yield from _compared_fields(part)


def pins(condition: Condition) -> dict[str, frozenset[Any]]:
    """Return the fields that can have but a few values in a row that fulfils ``condition``, each with these values."""
    found: dict[str, frozenset[Any]] = {}
    for part in _conjuncts(condition):
        if isinstance(part, Comparison) and part.operator in {EQUALS, IN}:
            values = part.value if part.operator == IN else (part.value,)
            if not any(isinstance(value, date) for value in values):
                found[part.field] = found.get(part.field, frozenset(values)) & frozenset(values)
    return found


def _conjuncts(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, All):
        for part in condition.parts:
            yield from _conjuncts(part)
    else:
        yield condition


class Entry(NamedTuple):
    """A place where an index finds a condition: a value that a field has to equal, or a bound that it has to keep."""

    field: str
    operator: str  # EQUALS, FROM or UP_TO
    value: Any


def entries(condition: Condition) -> tuple[Entry, ...] | None:
    """Return places of which every row that fulfils ``condition`` meets at least one; None if there are none such."""
    found = _entries(condition)
    return None if found is None else found[1]


_BOOLEAN, _BOUND = 10.0, 20.0  # what is worse than a value, of which there are many


def _entries(condition: Condition) -> tuple[float, tuple[Entry, ...]] | None:
    """Return places as above and how bad they are: how many conditions may be found there in vain."""
    match condition:
        case Comparison():
            return _test_entries(condition)
        case All(parts):
            return min((each for part in parts if (each := _entries(part))), default=None, key=lambda each: each[0])
        case Some(parts):
            together: list[Entry] = []
            worst = 0.0
            for part in parts:
                each = _entries(part)
                if each is None:
                    return None
                worst = max(worst, each[0])
                together += each[1]
            return worst + len(together) / 100, tuple(together)
        case _:
            return None


def _test_entries(test: Comparison) -> tuple[float, tuple[Entry, ...]] | None:
    values = test.value if test.operator == IN else (test.value,)
    if test.operator == IS_NULL:
        return (_BOOLEAN, (Entry(test.field, EQUALS, None),)) if test.value else None
    clocked = any(isinstance(value, date) for value in values)
    if test.operator in {EQUALS, IN}:
        if clocked:
            return None
        badness = _BOOLEAN if any(isinstance(value, bool) for value in values) else 1.0
        return badness + len(values) / 100, tuple(Entry(test.field, EQUALS, value) for value in set(values))
    if test.operator in {ABOVE, FROM}:  # a bound that moves with the clock moves up, away from what is found here
        return _BOUND, (Entry(test.field, FROM, test.value),)
    return None if clocked else (_BOUND, (Entry(test.field, UP_TO, test.value),))


# --- as JSON ---


def encode(condition: Condition) -> list[Any]:
    """Return ``condition`` as JSON can hold it."""
    match condition:
        case Comparison(field, operator, value):
            held = [encode_value(each) for each in value] if operator == IN else encode_value(value)
            return [operator, field, held]
        case All(parts):
            return ["and", *map(encode, parts)]
        case Some(parts):
            return ["or", *map(encode, parts)]
        case Not(part):
            return ["not", encode(part)]
        case _:
            return ["?"]


def decode(data: Sequence[Any]) -> Condition:
    """Return the condition that ``encode`` was given. Raises ``ValueError`` for anything else."""
    match data:
        case ["and", *parts]:
            return All(tuple(map(decode, parts)))
        case ["or", *parts]:
            return Some(tuple(map(decode, parts)))
        case ["not", part]:
            return Not(decode(part))
        case ["?"]:
            return UNKNOWN
        case ["in", str(field), list(values)]:
            return Comparison(field, IN, tuple(map(decode_value, values)))
        case [str(operator), str(field), value] if operator in OPERATORS and operator != IN:
            return Comparison(field, operator, decode_value(value))
    raise ValueError(f"This is no condition: {data!r}.")


def encode_value(value: Any) -> Any:
    """Return a value of a condition as JSON can hold it."""
    for name, (kind, _) in _TYPES.items():
        if isinstance(value, kind):
            return [name, str(value) if kind is uuid.UUID else value.isoformat()]
    return value


def decode_value(data: Any) -> Any:
    """Return the value that ``encode_value`` was given. Raises ``ValueError`` for anything else."""
    if isinstance(data, list):
        name, text = data
        if name not in _TYPES:
            raise ValueError(f"There are no values of the kind {name!r}.")
        return _TYPES[name][1](text)
    return data


_TYPES: Final[dict[str, tuple[type[Any], Callable[[str], Any]]]] = {
    "uuid": (uuid.UUID, uuid.UUID),
    "moment": (datetime, datetime.fromisoformat),  # a datetime is a date, too
    "day": (date, date.fromisoformat),
}
