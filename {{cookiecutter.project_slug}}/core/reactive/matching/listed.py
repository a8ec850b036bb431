"""The observers that list rows of one model, arranged so that a row finds those whose conditions it may fulfil."""

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

from core.reactive.matching.conditions import EQUALS, FALSE, FROM, Entry, Span, compared_fields, entries, may_hold
from core.reactive.matching.profile import Fields, Rows

Observer = Hashable
Bounds = list[tuple[Any, int, Observer]]
"""Sorted; the number tells observers with the same bound apart."""


def touches(fields: Fields, written: Fields) -> bool:
    """Tell whether a write of the fields ``written`` may write one of ``fields``."""
    return fields is None or written is None or not fields.isdisjoint(written)


class Listed:
    """The observers that list rows of one model.

    ``tables`` are those that its rows are spread over, ``columns`` the fields that their conditions test.
    ``evaluations`` counts how many conditions were evaluated so far.
    """

    def __init__(self, tables: tuple[str, ...]) -> None:
        self.tables = tables
        self.columns: Counter[str] = Counter()
        self.evaluations = 0
        self.members: dict[Observer, tuple[Rows, Fields, float, int]] = {}
        self.offsets: dict[Fields, set[Observer]] = {}  # by the fields that decide what comes before the page
        self.unkeyed: set[Observer] = set()
        self._numbers = 0
        self._relevant: Counter[Fields] = Counter()
        self._values: dict[str, dict[Any, set[Observer]]] = {}
        self._floors: dict[str, Bounds] = {}
        self._ceilings: dict[str, Bounds] = {}
        self._rest: dict[Fields, set[Observer]] = {}

    def add(self, observer: Observer, rows: Rows, taken: float, *, keyed: bool) -> None:
        """Add an observer that lists ``rows``, whose query was made at ``taken``; ``keyed``: their keys are known."""
        if rows.condition == FALSE:
            return
        relevant = _relevant(rows)
        self._numbers += 1
        self.members[observer] = rows, relevant, taken, self._numbers
        self.columns.update(compared_fields(rows.condition))
        self._relevant[relevant] += 1
        if not keyed:
            self.unkeyed.add(observer)
        if rows.offset:
            self.offsets.setdefault(rows.condition_fields, set()).add(observer)
        places = entries(rows.condition)
        if places is None:
            self._rest.setdefault(relevant, set()).add(observer)
        for place in places or ():
            if place.operator == EQUALS:
                self._values.setdefault(place.field, {}).setdefault(place.value, set()).add(observer)
            else:
                insort(self._bounds(place).setdefault(place.field, []), (place.value, self._numbers, observer))

    def discard(self, observer: Observer) -> None:
        """Remove an observer, if it is here."""
        if observer not in self.members:
            return
        rows, relevant, _, number = self.members.pop(observer)
        _count_down(self.columns, compared_fields(rows.condition))
        _count_down(self._relevant, [relevant])
        self.unkeyed.discard(observer)
        _drop(self.offsets, rows.condition_fields, observer)
        _drop(self._rest, relevant, observer)
        for place in entries(rows.condition) or ():
            if place.operator == EQUALS:
                _drop(self._values[place.field], place.value, observer)
            else:
                bounds = self._bounds(place)[place.field]
                at = bisect_left(bounds, (place.value, number))
                if at < len(bounds) and bounds[at][1] == number:
                    del bounds[at]

    def _bounds(self, place: Entry) -> dict[str, Bounds]:
        return self._floors if place.operator == FROM else self._ceilings

    def cares(self, written: Fields) -> bool:
        """Tell whether a write of the fields ``written`` may bring a row into the list of any observer."""
        return any(touches(relevant, written) for relevant in self._relevant)

    def may_list(self, row: Mapping[str, Any], written: Fields, now: float) -> Iterator[Observer]:
        """Yield the observers that may list ``row``, and whose list may differ by what was ``written``."""
        seen: set[Observer] = set()
        for observer in self._candidates(row, written):
            if observer in seen:
                continue
            seen.add(observer)
            rows, relevant, taken, _ = self.members[observer]
            if touches(relevant, written):
                self.evaluations += 1
                if may_hold(rows.condition, row, Span(taken, now)):
                    yield observer

    def showing(self, observers: Iterable[Observer], written: Fields) -> Iterator[Observer]:
        """Yield those of ``observers``, which show a row, that are here and show one of the fields ``written``."""
        for observer in observers:
            if (member := self.members.get(observer)) is not None and touches(member[0].read_fields, written):
                yield observer

    def _candidates(self, row: Mapping[str, Any], written: Fields) -> Iterator[Observer]:
        for field, values in self._values.items():
            if values:  # of a field that nobody asks for any more there is no value
                yield from values.get(row[field], ())
        for relevant, observers in self._rest.items():
            if touches(relevant, written):
                yield from observers
        for field, bounds in self._floors.items():
            if bounds and row[field] is not None:
                yield from (each[2] for each in bounds[: bisect_right(bounds, row[field], key=_value)])
        for field, bounds in self._ceilings.items():
            if bounds and row[field] is not None:
                yield from (each[2] for each in bounds[bisect_left(bounds, row[field], key=_value) :])


def _value(bound: tuple[Any, int, Observer]) -> Any:
    return bound[0]


def _relevant(rows: Rows) -> Fields:
    """Return the fields whose writing may bring a row into the list."""
    if rows.condition_fields is None or not rows.windowed:
        return rows.condition_fields
    return None if rows.order_fields is None else rows.condition_fields | rows.order_fields


def _count_down(counter: "Counter[Any]", keys: Iterable[Any]) -> None:
    for key in keys:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]


def _drop(groups: dict[Any, set[Observer]], key: Any, observer: Observer) -> None:
    if (group := groups.get(key)) is not None:
        group.discard(observer)
        if not group:
            del groups[key]
