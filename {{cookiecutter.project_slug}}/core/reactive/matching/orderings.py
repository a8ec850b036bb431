"""Which fields decide the order of a query's rows, and which tables it leads to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import F
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import OrderBy

from core.reactive.matching.profile import JOINED, Use
from core.reactive.matching.shapes import CoarseError, Model, concrete, forward_key

DEEPEST = 8
"""Steps along the orderings of related models, which may lead in circles."""


@dataclass(slots=True)
class Ordering:
    """``fields`` of the rows themselves decide their order (None: any), and those of the tables in ``uses``.

    ``is_total``: no two rows have the same place. Of those that have, the database gives out any one first.
    """

    is_total: bool = False
    fields: set[str] | None = field(default_factory=set)
    uses: list[Use] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Take note of a field of the rows."""
        if self.fields is not None:
            self.fields.add(name)


def ordering_of(query: Any, model: Model, fixed: dict[str, frozenset[Any]]) -> Ordering:
    """Return what decides the order of ``query``; ``fixed`` are the values that its rows have in some fields.

    Raises ``CoarseError`` if that cannot be told.
    """
    found = Ordering()
    orderings: Iterable[Any] = query.order_by
    if not orderings and query.default_ordering:
        orderings = query.get_meta().ordering or ()
    for each in orderings:
        name = _name(each)
        if name is None:
            raise CoarseError  # an expression that has not yet been resolved to columns
        if name in query.annotations:
            found.fields = None  # its tables are known; whatever it is made of
        else:
            _along(found, model, name, fixed)
    return found


def _name(ordering: Any) -> str | None:
    if isinstance(ordering, OrderBy):
        ordering = ordering.expression
    if isinstance(ordering, F):
        return str(ordering.name)  # type: ignore[attr-defined]
    return ordering.removeprefix("-").removeprefix("+") if isinstance(ordering, str) else None


def _along(found: Ordering, model: Model, path: str, fixed: dict[str, frozenset[Any]]) -> None:
    """Follow the ``path`` of an ordering from ``model``."""
    if path in {"?", ""}:
        raise CoarseError
    first, *rest = path.split(LOOKUP_SEP)
    if first == "pk":
        found.is_total = True
        return
    column = _field(model, first)
    found.is_total = found.is_total or (column.unique and not column.null and not rest)
    if not rest and (not column.is_relation or first == column.attname):
        found.add(column.name)
        return
    found.add(column.name)
    _leading(found, column, rest, fixed.get(column.name) if column.target_field.primary_key else None, DEEPEST)


def _leading(found: Ordering, key: Any, rest: list[str], pinned: frozenset[Any] | None, depth: int) -> None:
    """Take note of what the ordering reads of the rows that the foreign ``key`` leads to."""
    if forward_key(key) is None or not depth:
        raise CoarseError
    other = concrete(key.related_model)
    if len(other._meta.parents) > 0:
        raise CoarseError  # its columns lie in several tables
    for path in [rest] if rest else [_name(each) for each in other._meta.ordering or ()]:
        first, *deeper = path if isinstance(path, list) else (path or "?").split(LOOKUP_SEP)
        if first == "pk":
            continue
        column = _field(other, first)
        use = Use(other._meta.db_table, JOINED, frozenset({column.name}), pinned, guarded=True)
        found.uses.append(use)
        if column.is_relation and (deeper or first != column.attname):
            _leading(found, column, deeper, None, depth - 1)
        elif deeper:
            raise CoarseError  # a transform


def _field(model: Model, name: str) -> Any:
    try:
        column: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        raise CoarseError from None
    if not getattr(column, "concrete", False) or column.many_to_many or getattr(column, "generated", False):
        raise CoarseError
    return column
