"""The observers that read a table otherwise than by listing its rows, and the rows of it that each of them shows."""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from django.apps import apps

from core.changes import Change
from core.changes.change import CREATED, DELETED, UPDATED
from core.reactive.matching.listed import touches
from core.reactive.matching.profile import ANY, CHILD, MIDDLE, SHOWN, Fields, Use
from core.reactive.matching.shapes import links_of

Observer = Hashable
Groups = dict[Fields, set[Observer]]
"""Observers by the fields that they read."""


class Written(NamedTuple):
    """What a change wrote: ``fields`` (None: any), and the tables between it and what is linked to it."""

    fields: Fields
    links: frozenset[str] = frozenset()

    @property
    def is_links_only(self) -> bool:
        """Whether no column of the rows was written."""
        return bool(self.links) and self.fields == frozenset()


def written_by(change: Change) -> Written:
    """Return what ``change`` wrote. Names that are none of fields may stand for anything."""
    if change.kind != UPDATED or not change.fields:
        return Written(None)
    try:
        columns, links = _columns_of(change.model), links_of(change.model)
    except LookupError:
        return Written(None)
    if not all(name in columns or name in links for name in change.fields):
        return Written(None, frozenset(links[name] for name in change.fields if name in links))
    fields = frozenset(columns[name] for name in change.fields if name in columns)
    return Written(fields, frozenset(links[name] for name in change.fields if name in links))


@lru_cache(maxsize=4096)
def _columns_of(label: str) -> dict[str, str]:
    """Return the fields of a model by their names and by their attributes."""
    fields = apps.get_model(label)._meta.concrete_fields
    return {field.attname: field.name for field in fields} | {field.name: field.name for field in fields}


@dataclass(slots=True)
class Children:
    """Observers that show rows under others: ``knowing`` which they show, or ``blind``."""

    knowing: set[Observer] = field(default_factory=set)
    blind: set[Observer] = field(default_factory=set)

    def may_have_lost(self, change: Change, fields: Fields, via: str) -> bool:
        """Tell whether a changed row may have been shown under another row than the one it leads to now."""
        return change.kind == DELETED or (change.kind == UPDATED and touches(frozenset({via}), fields))

    def among(self, observers: set[Observer]) -> Iterator[Observer]:
        """Yield those of ``observers`` that show such rows."""
        return (observer for observer in observers if observer in self.knowing or observer in self.blind)


class ShownTable:
    """Who reads a table, and how. ``shown`` holds, for the key of each row, the observers that show it."""

    def __init__(self) -> None:
        self.shown: dict[Any, set[Observer]] = {}
        self.children: dict[tuple[str, str, str], Children] = {}  # by model, foreign key, and the table it leads to
        self._any: Groups = {}
        self._joined: Groups = {}
        self._pinned: dict[Fields, dict[Any, set[Observer]]] = {}
        self._showing: set[Observer] = set()  # only what they show matters, and they know what that is

    def add(self, observer: Observer, use: Use, *, keyed: bool, nested: bool) -> None:
        """Add an observer; ``keyed`` tells that the keys of the rows it lists are known, ``nested`` those of all."""
        if use.kind in {CHILD, MIDDLE} and (nested or (keyed and not use.deep)):
            children = self.children.setdefault((use.model, use.via, use.parent), Children())
            if use.kind == CHILD and nested:
                children.knowing.add(observer)
                self._showing.add(observer)
            else:
                children.blind.add(observer)
        elif use.kind == SHOWN and nested:
            self._showing.add(observer)
        elif use.kind == ANY or not use.guarded:
            self._any.setdefault(use.fields, set()).add(observer)
        elif use.pins is None:
            self._joined.setdefault(use.fields, set()).add(observer)
        else:
            by_key = self._pinned.setdefault(use.fields, {})
            for pk in use.pins:
                by_key.setdefault(pk, set()).add(observer)

    def discard(self, observer: Observer, use: Use) -> None:
        """Remove an observer from wherever ``use`` has put it."""
        self._showing.discard(observer)
        for groups in (self._any, self._joined):
            _drop(groups, use.fields, observer)
        by_key = self._pinned.get(use.fields, {})
        for pk in use.pins or ():
            _drop(by_key, pk, observer)
        key = (use.model, use.via, use.parent)
        if (children := self.children.get(key)) is not None:
            children.knowing.discard(observer)
            children.blind.discard(observer)
            if not children.knowing and not children.blind:
                del self.children[key]

    def show(self, observer: Observer, pks: Iterable[Any]) -> None:
        """Take note of the rows that an observer shows."""
        for pk in pks:
            self.shown.setdefault(pk, set()).add(observer)

    def hide(self, observer: Observer, pks: Iterable[Any]) -> None:
        """Forget what ``show`` was told."""
        for pk in pks:
            _drop(self.shown, pk, observer)

    def used(self, change: Change, fields: Fields) -> Iterator[Iterable[Observer]]:
        """Yield the observers that ``change``, which wrote ``fields``, concerns by what it says alone."""
        written = fields if change.kind == UPDATED else None
        yield from (observers for read, observers in self._any.items() if touches(read, written))
        if change.kind == UPDATED:
            yield from (observers for read, observers in self._joined.items() if touches(read, written))
            for read, by_key in self._pinned.items():
                if touches(read, written):
                    yield from (by_key.get(pk, ()) for pk in (by_key if change.pks is None else change.pks))
        if change.kind != CREATED and self._showing:
            yield from self._shown_of(change)

    def _shown_of(self, change: Change) -> Iterator[Iterable[Observer]]:
        if change.pks is None:
            yield self._showing
        for pk in change.pks or ():
            yield self.shown.get(pk, set()) & self._showing

    def linked(self, change: Change, ends: "ShownTable | None") -> Iterator[Observer]:
        """Yield the observers to which it matters that rows of this table, in the middle, were linked or unlinked.

        ``change`` tells of rows at one end, which ``ends`` knows.
        """
        for observers in self._any.values():
            yield from observers
        for children in self.children.values():
            if change.pks is None:
                yield from (*children.knowing, *children.blind)
            for pk in change.pks or ():
                yield from children.among(ends.shown.get(pk, set()) if ends is not None else set())


def _drop(groups: dict[Any, set[Observer]], key: Any, observer: Observer) -> None:
    if (group := groups.get(key)) is not None:
        group.discard(observer)
        if not group:
            del groups[key]
