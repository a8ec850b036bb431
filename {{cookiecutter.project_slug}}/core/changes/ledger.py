"""Adds up what happened to each row, so that a transaction publishes its net effect. Pure: no database in sight.

A row that was created and then updated was created; one that was created and then deleted was never there. Above a
number of rows the keys are given up and "some rows" is all that remains known: memory stays bounded, however much
a transaction writes.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Final

from core.changes.change import CREATED, DELETED, UPDATED, UPSERTED, Change, Table, Touch

GONE: Final = "gone"  # created and deleted again: nothing for the world to know

# What two things that happened to a row one after the other come to. Pairs that cannot happen in a database, such
# as creating what is there, are read as kindly as possible: record_change() may have been called with them.
_TOGETHER: Final = {
    (CREATED, CREATED): CREATED,
    (CREATED, UPDATED): CREATED,
    (CREATED, UPSERTED): CREATED,
    (CREATED, DELETED): GONE,
    (UPDATED, CREATED): UPDATED,
    (UPDATED, UPDATED): UPDATED,
    (UPDATED, UPSERTED): UPDATED,
    (UPDATED, DELETED): DELETED,
    (UPSERTED, CREATED): UPSERTED,
    (UPSERTED, UPDATED): UPSERTED,
    (UPSERTED, UPSERTED): UPSERTED,
    (UPSERTED, DELETED): DELETED,
    (DELETED, CREATED): UPDATED,
    (DELETED, UPDATED): UPDATED,
    (DELETED, UPSERTED): UPDATED,
    (DELETED, DELETED): DELETED,
}
_KINDS: Final = {CREATED: (CREATED,), UPDATED: (UPDATED,), DELETED: (DELETED,), UPSERTED: (CREATED, UPDATED), GONE: ()}


class _Rows:
    """The ledger of one table."""

    __slots__ = ("fields", "run", "some", "states")

    def __init__(self) -> None:
        self.states: dict[Hashable, str] | None = {}  # None: there were too many
        self.run: tuple[range, str] | None = None  # the same, while all keys follow one another and all states are one
        self.some: set[str] = set()  # kinds of rows whose keys are not known
        self.fields: frozenset[str] | None = frozenset()  # written by updates

    def add(self, kind: str, pks: Iterable[Hashable] | None, fields: frozenset[str] | None, limit: int) -> None:
        if kind in {UPDATED, UPSERTED}:
            self.fields = None if fields is None or self.fields is None else self.fields | fields
        if pks is None or self.states is None:
            self.some.update(_KINDS[kind])
        elif isinstance(pks, range) and not self.states and self.run is None:
            self.run = (pks, kind)  # a bulk operation, and mostly the only one: nothing is made for each row
            if len(pks) > limit:
                self.give_up()
        else:
            self._add_each(self._spread(self.states), kind, tuple(pks), limit)

    def _add_each(self, states: dict[Hashable, str], kind: str, pks: tuple[Hashable, ...], limit: int) -> None:
        if states.keys().isdisjoint(pks):
            states.update(dict.fromkeys(pks, kind))  # at once: there may be thousands
        else:
            for pk in pks:
                self._put(states, pk, kind)
        if len(states) > limit:
            self.give_up()

    def _spread(self, states: dict[Hashable, str]) -> dict[Hashable, str]:
        """Return ``states`` with the run, if there is one, taken apart."""
        if self.run is not None:
            states.update(dict.fromkeys(*self.run))
            self.run = None
        return states

    def _put(self, states: dict[Hashable, str], pk: Hashable, kind: str) -> None:
        before = states.get(pk)
        if before is None or before is GONE:
            states[pk] = kind
        else:
            states[pk] = together = _TOGETHER[before, kind]
            if before == DELETED and together == UPDATED:
                self.fields = None  # it is another row under the same key

    def give_up(self) -> None:
        """Forget the keys."""
        for state in self._by_state():
            self.some.update(_KINDS[state])
        self.states = self.run = None

    def merge(self, later: "_Rows", limit: int) -> None:
        self.some |= later.some
        if later.states is None:
            self.give_up()
        for state, pks in later._by_state().items():  # noqa: SLF001 - another of this kind
            if state is not GONE:
                self.add(state, pks, later.fields, limit)
        if UPDATED in later.some:
            self.fields = None if self.fields is None or later.fields is None else self.fields | later.fields

    def changes(self, table: Table, using: str) -> Iterable[Change]:
        pks: dict[str, Sequence[Hashable]] = {}
        for state, found in self._by_state().items():
            for kind in _KINDS[state]:
                pks[kind] = [*pks[kind], *found] if kind in pks else found
        for kind in (CREATED, UPDATED, DELETED):
            if kind in self.some or kind in pks:
                known = None if kind in self.some else tuple(pks[kind])
                fields = self.fields if kind == UPDATED else None
                yield Change(table.model, table.name, kind, known, fields, using)

    def _by_state(self) -> dict[str, Sequence[Hashable]]:
        if self.run is not None:
            pks, state = self.run
            return {state: pks}
        states = self.states or {}
        if len(alike := set(states.values())) == 1:
            return {alike.pop(): tuple(states)}
        by_state: dict[str, list[Hashable]] = {}
        for pk, state in states.items():
            by_state.setdefault(state, []).append(pk)
        return {**by_state}


class Ledger:
    """What happened to the rows of every table, in the order of their first touch.

    ``limit`` is the number of keys remembered per table.
    """

    __slots__ = ("_limit", "_tables")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tables: dict[Table, _Rows] = {}

    def add(self, touch: Touch) -> None:
        """Take note of one write."""
        rows = self._tables.get(touch.table)
        if rows is None:
            rows = self._tables[touch.table] = _Rows()
        rows.add(touch.kind, touch.pks, touch.fields, self._limit)

    def merge(self, later: "Ledger") -> None:
        """Take over what ``later`` holds, which happened after everything here."""
        for table, rows in later._tables.items():  # noqa: SLF001 - another of this kind
            self._tables.setdefault(table, _Rows()).merge(rows, self._limit)

    def table_names(self) -> list[str]:
        """Return the names of all tables that were touched."""
        return [table.name for table in self._tables]

    def changes(self, using: str) -> list[Change]:
        """Return the net effect: at most three changes per table, none for rows that came and went."""
        return [change for table, rows in self._tables.items() for change in rows.changes(table, using)]
