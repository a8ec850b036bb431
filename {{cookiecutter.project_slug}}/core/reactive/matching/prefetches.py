"""What the prefetches of a queryset show under its rows."""

from dataclasses import replace
from typing import Any

from django.db import models
from django.db.models import Prefetch
from django.db.models.constants import LOOKUP_SEP

from core.queries import tables_read
from core.reactive.matching.expressions import Columns, UnreadableError
from core.reactive.matching.profile import CHILD, MIDDLE, SHOWN, Use
from core.reactive.matching.shapes import CoarseError, Model, concrete, forward_key, parts_of


def prefetched(queryset: Any, *, deep: bool = False) -> list[Use]:
    """Return how the prefetches of ``queryset`` use tables, those of the prefetched querysets among them.

    ``deep`` tells that its rows are shown under others.
    """
    found: list[Use] = []
    for lookup in queryset._prefetch_related_lookups:  # noqa: SLF001
        path = lookup if isinstance(lookup, str) else lookup.prefetch_through
        inner = lookup.queryset if isinstance(lookup, Prefetch) else None
        _along(found, queryset.model, path.split(LOOKUP_SEP), inner, deep=deep)
    return found


def _along(found: list[Use], model: Model, path: list[str], last: Any, *, deep: bool) -> None:
    """Follow a prefetch from ``model``; ``last`` is the queryset that somebody made for the end of the ``path``."""
    first, *rest = path
    relation = _relation(model, first)
    other = relation.related_model
    forward = relation.many_to_one or relation.one_to_one
    inner = last if last is not None and not rest else None
    rows = inner if inner is not None else (other._base_manager if forward else other._default_manager).get_queryset()
    found += [replace(use, deep=deep) for use in _step(relation, concrete(other), rows)]
    found += prefetched(rows, deep=True)
    if rest:
        _along(found, other, rest, last, deep=True)


def _step(relation: Any, other: Model, rows: Any) -> list[Use]:
    tables = tables_read(rows.prefetch_related(None))
    if tables is None:
        raise UnreadableError
    steps = {table for step in relation.get_path_info() for table in (step.from_opts.db_table, step.to_opts.db_table)}
    coarse = [Use(table) for table in sorted(tables | steps)]
    try:
        parts = parts_of(other)
    except CoarseError:
        return coarse
    filtered = bool(rows.query.where.children)
    if not _is_plain(rows, tables, parts) or (filtered and len(parts) > 1):
        return coarse
    if isinstance(relation, models.ForeignKey):
        if filtered or forward_key(relation) is None:
            return coarse
        return [Use(table, SHOWN, guarded=True) for table in parts]
    if isinstance(relation, models.ManyToOneRel):  # OneToOneRel among them
        return _found_by(relation.field, CHILD, parts) or coarse
    if isinstance(relation, models.ManyToManyField | models.ManyToManyRel) and not filtered:
        through, source = _middle(relation)
        middle = _found_by(through._meta.get_field(source), MIDDLE)
        return [*middle, *(Use(table, SHOWN) for table in parts)] if middle else coarse
    return coarse


def _found_by(key: Any, kind: str, parts: tuple[str, ...] = ()) -> list[Use]:
    """Return how rows are used that are found by their foreign ``key``, and lie in the tables ``parts``."""
    if not isinstance(key, models.ForeignKey) or not key.target_field.primary_key:
        return []
    holder, parent = concrete(key.model), concrete(key.remote_field.model)
    table = holder._meta.db_table
    label = holder._meta.label_lower
    found = Use(table, kind, model=label, via=key.name, parent=parent._meta.db_table)
    # What a row holds in other tables is found by the same key.
    return [found, *(Use(each, SHOWN) for each in parts if each != table)]


def _middle(relation: Any) -> tuple[Model, str]:
    if not relation.auto_created:  # the field itself, and not what leads the other way
        return relation.remote_field.through, relation.m2m_field_name()
    return relation.through, relation.field.m2m_reverse_field_name()


def _is_plain(rows: Any, tables: frozenset[str], parts: tuple[str, ...]) -> bool:
    """Tell whether ``rows`` are those of one model, each of them shown or not for what it is itself."""
    query = rows.query
    wide = query.combinator or query.distinct_fields or query.is_sliced or query.group_by is not None
    if wide or not tables <= set(parts):
        return False
    columns = Columns()
    for node in (query.where, *query.annotations.values()):
        columns.read(node)
    return not columns.tables and not columns.is_over_rows


def _relation(model: Model, name: str) -> Any:
    options = model._meta
    for relation in options.related_objects:
        if relation.get_accessor_name() == name:
            return relation
    for field in (*options.get_fields(), *options.private_fields):
        if field.name == name and hasattr(field, "get_path_info"):
            return field
    raise UnreadableError
