"""The index of observers: which of them a commit can concern.

An observer is concerned if its finished list may have changed in any way. Naming one in vain costs an evaluation; one
that is not named goes stale. So whatever cannot be decided counts as concerned.

What an observer shows is compared with what a change says of it: the keys of changed rows with the keys of the rows
that were shown; and, for rows that were not, their values now with the conditions of the query. What the values were
before nobody knows, and nobody has to: a row that is not shown and does not fulfil the condition now makes no
difference, whatever it was.
"""

import time
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError

from core.changes import Change
from core.changes.change import CREATED, DELETED, UPDATED
from core.changes.tables import restored_key
from core.reactive.matching.conditions import compared_fields
from core.reactive.matching.listed import Listed, touches
from core.reactive.matching.profile import Profile
from core.reactive.matching.rows import RowSource, fetch_rows
from core.reactive.matching.shapes import CoarseError, Model, parts_of
from core.reactive.matching.tables import ShownTable, written_by

Observer = Hashable


class Index:
    """Knows observers by what they depend on.

    Not for more than one thread at a time: each worker has one of its own.

    The index is right about an observer as long as it knows what its clients were last told. Changes that are
    committed while it is being evaluated anew may or may not be in the new result. Therefore: put the observer with
    ``ANYTHING`` before its evaluation begins, and with its new profile and keys once it is done; and evaluate it
    once more if it was named in between.
    """

    def __init__(self) -> None:
        self._observers: dict[Observer, _Entry] = {}
        self._anything: set[Observer] = set()
        self._tables: dict[str, ShownTable] = {}
        self._listed: dict[str, Listed] = {}  # by the label of the model
        self._lists: dict[str, set[str]] = {}  # those labels, by table

    def __len__(self) -> int:
        return len(self._observers)

    def __contains__(self, observer: object) -> bool:
        return observer in self._observers

    @property
    def evaluations(self) -> int:
        """How many conditions were evaluated so far."""
        return sum(listed.evaluations for listed in self._listed.values())

    def put(
        self,
        observer: Observer,
        profile: Profile,
        keys: Iterable[Any] | None,
        nested: Mapping[str, Iterable[Any]] | None = None,
    ) -> None:
        """Add an observer, or replace what is known of it.

        ``keys`` are the primary keys (``row.pk``, or that as JSON) of the rows of the model now in its result, which
        may be others than what its items call their key; None: not known. ``nested`` are the keys of all rows that are
        shown, by table, as ``shown_keys`` gives them; None: not known, then whatever is deleted or moved in a table
        that is shown under the rows concerns the observer.
        """
        self.discard(observer)
        try:
            entry = _entry(profile, keys, nested)
        except (LookupError, CoarseError):  # a model that is no more, or not as it was
            entry = _Entry(Profile(anything=True), keyed=False, nested=False, shown={})
        self._observers[observer] = entry
        if entry.profile.anything:
            self._anything.add(observer)
            return
        for use in entry.profile.uses:
            self._table(use.table).add(observer, use, keyed=entry.keyed, nested=entry.nested)
        for table, pks in entry.shown.items():
            self._table(table).show(observer, pks)
        if rows := entry.profile.rows:
            listed = self._listed.get(rows.model)
            if listed is None:
                listed = self._listed[rows.model] = Listed(rows.tables)
                for table in rows.tables:
                    self._lists.setdefault(table, set()).add(rows.model)
            listed.add(observer, rows, entry.profile.taken, keyed=entry.keyed)

    def discard(self, observer: Observer) -> None:
        """Remove an observer, if it is here."""
        entry = self._observers.pop(observer, None)
        if entry is None:
            return
        self._anything.discard(observer)
        for use in entry.profile.uses:
            self._table(use.table).discard(observer, use)
        for table, pks in entry.shown.items():
            self._table(table).hide(observer, pks)
        if rows := entry.profile.rows:
            self._listed[rows.model].discard(observer)

    def concerned(self, changes: Collection[Change], rows: RowSource = fetch_rows) -> dict[Observer, str]:
        """Return the observers that ``changes``, those of one commit, can concern; each with a sentence that says why.

        ``rows`` is asked at most once per model and database for the current values of changed rows. Raises what it
        raises; then every observer has to be taken as concerned.
        """
        found: dict[Observer, str] = {}
        fetched = _Fetched(self, changes, rows)
        for change in changes:
            for observers, reason in self._named(change, fetched):
                for observer in observers:
                    if observer not in found and self._is_near(observer, change):
                        found[observer] = reason
        return found

    def _is_near(self, observer: Observer, change: Change) -> bool:
        profile = self._observers[observer].profile
        return profile.anything or change.using in profile.using

    def _table(self, name: str) -> ShownTable:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = ShownTable()
        return table

    # --- who is named by one change ---

    def _named(self, change: Change, fetched: "_Fetched") -> "Iterator[tuple[Iterable[Observer], str]]":
        told = f"{change.model} was {change.kind}"
        if self._anything:
            yield self._anything, f"{told}, and it is not known what the list depends on"
        written = written_by(change)
        for through in written.links:
            if (table := self._tables.get(through)) is not None:
                shown = self._tables.get(change.table)
                yield table.linked(change, shown), f"what is linked to rows of {change.model} was changed"
        if written.is_links_only:
            return
        if (table := self._tables.get(change.table)) is not None:
            yield from self._by_uses(table, change, written.fields, fetched)
        for label in self._lists.get(change.table, ()):
            yield from self._by_list(self._listed[label], label, change, written.fields, fetched)

    def _by_uses(
        self, table: ShownTable, change: Change, fields: frozenset[str] | None, fetched: "_Fetched"
    ) -> "Iterator[tuple[Iterable[Observer], str]]":
        for observers in table.used(change, fields):
            yield observers, f"{change.model}, which the list reads, was {change.kind}"
        for (model, via, parent), children in table.children.items():
            if change.pks is None or children.may_have_lost(change, fields, via):
                yield children.blind, f"rows of {change.model} were {change.kind}, perhaps such as are in the list"
            if change.pks is None:
                yield children.knowing, f"rows of {change.model} were {change.kind}, not known which"
                continue
            if change.kind == DELETED:
                continue
            above = self._tables[parent].shown if parent in self._tables else {}
            rows = fetched.rows(model, change.using) if above else {}
            for pk in change.pks:
                if pk in rows and (showing := above.get(rows[pk][via])):
                    told = f"row {pk} of {change.model} was {change.kind} under a row of the list"
                    yield children.among(showing), told

    def _by_list(
        self, listed: Listed, label: str, change: Change, fields: frozenset[str] | None, fetched: "_Fetched"
    ) -> "Iterator[tuple[Iterable[Observer], str]]":
        kind, model = change.kind, change.model
        if change.pks is None:
            yield list(listed.members), f"rows of {model} were {kind}, not known which"
            return
        if kind != CREATED:
            yield from self._of_keys(listed, change, fields)
        if kind == DELETED or not listed.cares(fields):
            return
        rows = fetched.rows(label, change.using)
        now = fetched.now
        for pk in change.pks:
            if (row := rows.get(pk)) is not None:
                observers = listed.may_list(row, fields, now)
                yield observers, f"row {pk} of {model} was {kind} and may be in the list"

    def _of_keys(
        self, listed: Listed, change: Change, fields: frozenset[str] | None
    ) -> "Iterator[tuple[Iterable[Observer], str]]":
        kind, model = change.kind, change.model
        shown: Mapping[Any, set[Observer]] = self._tables[change.table].shown if change.table in self._tables else {}
        for pk in change.pks or ():
            yield listed.showing(shown.get(pk, ()), fields), f"row {pk} of {model} was {kind} and is in the list"
        yield listed.unkeyed, f"a row of {model} was {kind}, perhaps one in the list"
        for decisive, observers in listed.offsets.items():
            if kind == DELETED or touches(decisive, fields):
                yield observers, f"a row of {model} was {kind}, perhaps one that comes before those in the list"

    def fields_of(self, model: str) -> set[str]:
        """Return the fields of ``model`` whose current values decide who is concerned."""
        found = set(self._listed[model].columns) if model in self._listed else set()
        table = apps.get_model(model)._meta.db_table
        if table in self._tables:
            found |= {via for label, via, _ in self._tables[table].children if label == model}
        return found


class _Fetched:
    """The rows that one commit has changed, fetched when the first of them is asked for, and once."""

    def __init__(self, index: Index, changes: Collection[Change], source: RowSource) -> None:
        self.now = time.time()
        self._index = index
        self._changes = changes
        self._source = source
        self._rows: dict[tuple[str, str], Mapping[Any, Mapping[str, Any]]] = {}

    def rows(self, model: str, using: str) -> Mapping[Any, Mapping[str, Any]]:
        """Return the current values of all rows of ``model`` that were created or updated, by their keys."""
        known = self._rows.get((model, using))
        if known is None:
            known = self._rows[model, using] = self._fetch(model, using)
        return known

    def _fetch(self, model: str, using: str) -> Mapping[Any, Mapping[str, Any]]:
        kind: Model = apps.get_model(model)
        tables = parts_of(kind)
        pks = {
            pk: None
            for change in self._changes
            if change.table in tables and change.using == using and change.kind in {CREATED, UPDATED}
            for pk in change.pks or ()
        }
        columns = sorted(self._index.fields_of(model))
        if not columns:
            return {pk: {} for pk in pks}  # any row will do
        found = self._source(model, list(pks), columns, using)
        return {pk if type(pk) is int else restored_key(kind, pk): row for pk, row in found.items()}


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the index was told of an observer, with keys in the types that changes have."""

    profile: Profile
    keyed: bool
    nested: bool
    shown: dict[str, frozenset[Any]]


def _entry(profile: Profile, keys: Iterable[Any] | None, nested: Mapping[str, Iterable[Any]] | None) -> _Entry:
    """Return what is known of an observer. Raises ``LookupError`` if the models are not those of its profile."""
    for use in profile.uses:
        if use.model and use.via not in _names(use.model):
            raise LookupError(use.via)
    shown: dict[str, frozenset[Any]] = {}
    pks: frozenset[Any] | None = None
    if (rows := profile.rows) is not None:
        model: Model = apps.get_model(rows.model)
        if set(parts_of(model)) != set(rows.tables) or not compared_fields(rows.condition) <= _names(rows.model):
            raise LookupError(rows.model)
        pks = _restored(model, keys) if rows.keyed and keys is not None else None
        shown |= dict.fromkeys(rows.tables, pks or frozenset())
    under = None if nested is None else _restored_by_table(nested)
    for table, found in (under or {}).items():
        shown[table] = shown.get(table, frozenset()) | found
    return _Entry(profile, pks is not None, under is not None, shown)


def _names(label: str) -> frozenset[str]:
    return frozenset(field.name for field in apps.get_model(label)._meta.concrete_fields)


def _restored_by_table(nested: Mapping[str, Iterable[Any]]) -> dict[str, frozenset[Any]] | None:
    found: dict[str, frozenset[Any]] = {}
    for table, keys in nested.items():
        model = _models().get(table)
        restored = None if model is None else _restored(model, keys)
        if restored is None:
            return None
        found[table] = restored
    return found


def _restored(model: Model, keys: Iterable[Any]) -> frozenset[Any] | None:
    try:
        return frozenset(key if type(key) is int else restored_key(model, key) for key in keys)
    except (TypeError, ValueError, ValidationError):
        return None


@cache
def _models() -> dict[str, Model]:
    models = (model for model in apps.get_models(include_auto_created=True) if not model._meta.proxy)
    return {model._meta.db_table: model for model in models}
