"""Finds out which of many rows to be written would repeat a unique set of values: one statement per block of them.

A row repeats what another row holds, or what a row before it in the list would. A set may stand under a condition,
which then both have to meet.
"""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections
from django.db.models import Q, QuerySet

from core.blocks import block_size, blocks

Values = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class UniqueSet:
    """Columns whose values together may stand once, among the rows that meet the condition.

    ``columns`` are names for a lookup, the attributes of columns or annotations. With ``nulls_alike`` a null is a value
    like any other; otherwise a set with one repeats nothing.
    """

    columns: tuple[str, ...]
    condition: Q | None = None
    nulls_alike: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """A row to be written: the values of the set that it would hold, as the columns have them.

    ``own`` is the key of the row that is changed, None for a new one; ``others`` are the values by which a condition is
    judged, by name.
    """

    values: Values
    own: Any = None
    others: Mapping[str, Any] = field(default_factory=dict)


def clashes(queryset: QuerySet[Any], unique: UniqueSet, wishes: Sequence[Wish]) -> dict[int, int | None]:
    """Return for each of ``wishes`` that repeats another, by its place, the place of that; None for a row of the table.

    ``queryset`` are the rows with which they are compared.
    """
    judge = _Judge(unique.condition, queryset.db)
    counted = [
        (place, wish)
        for place, wish in enumerate(wishes)
        if (unique.nulls_alike or None not in wish.values) and judge.met_by(wish.others)
    ]
    held = _holders(queryset, unique, {wish.values for _, wish in counted})
    found: dict[int, int | None] = {}
    first: dict[Values, int] = {}
    for place, wish in counted:
        before = first.setdefault(wish.values, place)
        if any(key != wish.own for key in held.get(wish.values, ())):
            found[place] = None
        elif before != place:
            found[place] = before
    return found


def _holders(queryset: QuerySet[Any], unique: UniqueSet, wanted: Collection[Values]) -> dict[Values, list[Any]]:
    """Return the keys of the rows that hold one of the sets wanted."""
    if unique.condition is not None:
        queryset = queryset.filter(unique.condition)
    holders: dict[Values, list[Any]] = {}
    for block in blocks(list(wanted), block_size(queryset.db, len(unique.columns))):
        # One condition per column: more rows than wanted, but a plain condition however long the block.
        alike = Q()
        for at, name in enumerate(unique.columns):
            alike &= _among(name, {values[at] for values in block})
        for key, *values in queryset.filter(alike).values_list("pk", *unique.columns).iterator():
            if (held := tuple(values)) in wanted:
                holders.setdefault(held, []).append(key)
    return holders


def _among(name: str, values: set[Hashable]) -> Q:
    alike = Q(**{f"{name}__in": values - {None}})
    return alike | Q(**{f"{name}__isnull": True}) if None in values else alike


# --- Conditions --------------------------------------------------------------------------------------------


class _Judge:
    """Tells which values meet a condition: in memory where that is certain, else by the database, once for each."""

    def __init__(self, condition: Q | None, using: str) -> None:
        self._condition = condition
        self._using = using
        self._in_memory = connections[using].vendor in {"postgresql", "sqlite"}
        self._answers: dict[Hashable, bool] = {}

    def met_by(self, values: Mapping[str, Any]) -> bool:
        condition = self._condition
        if condition is None:
            return True
        try:
            key = tuple(sorted(values.items(), key=lambda item: item[0]))
            if key not in self._answers:
                self._answers[key] = self._decide(condition, values)
            return self._answers[key]
        except TypeError:  # a value that cannot be a key
            return self._decide(condition, values)

    def _decide(self, condition: Q, values: Mapping[str, Any]) -> bool:
        if self._in_memory:
            try:
                # What is neither true nor false counts as met, as in a check by the database.
                return _truth(condition, values) is not False
            except _UndecidedError:
                pass
        return bool(condition.check(dict(values), using=self._using))


class _UndecidedError(Exception):
    """Only the database can tell."""


def _truth(node: Any, values: Mapping[str, Any]) -> bool | None:
    """Return what SQL makes of a condition: true, false, or None for unknown."""
    if not isinstance(node, Q):
        return _compared(node, values)
    parts = [_truth(child, values) for child in node.children]
    if node.connector == Q.AND:
        truth = False if False in parts else None if None in parts else True
    elif node.connector == Q.OR:
        truth = True if True in parts else None if None in parts else not parts
    else:
        raise _UndecidedError
    return truth if not node.negated or truth is None else not truth


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "exact": lambda value, wanted: bool(value == wanted),
    "gt": lambda value, wanted: bool(value > wanted),
    "gte": lambda value, wanted: bool(value >= wanted),
    "lt": lambda value, wanted: bool(value < wanted),
    "lte": lambda value, wanted: bool(value <= wanted),
}


def _compared(leaf: Any, values: Mapping[str, Any]) -> bool | None:
    if not isinstance(leaf, tuple):
        raise _UndecidedError  # an expression
    name, _, lookup = leaf[0].partition("__")
    wanted, value, lookup = leaf[1], values.get(name), lookup or "exact"
    if name not in values:
        raise _UndecidedError
    if lookup == "isnull" or (lookup == "exact" and wanted is None):
        return (value is None) is (wanted is None or bool(wanted))
    if lookup == "in" and isinstance(wanted, list | tuple | set | frozenset):
        answers = [_compared((name, each), values) for each in wanted if each is not None]
        return True if True in answers else None if None in answers else False
    # Texts are in no order that we know.
    if lookup not in _COMPARISONS or (isinstance(wanted, str) and lookup != "exact"):
        raise _UndecidedError
    if value is None:
        return None
    if type(value) is not type(wanted) or type(value) not in {bool, int, str}:
        raise _UndecidedError
    return _COMPARISONS[lookup](value, wanted)
