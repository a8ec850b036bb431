"""Which tables a queryset reads. Pure: looks at the query and at the models, never at the database.

The answer is a superset that is rarely larger than what the SQL names: joins, subqueries, annotations, ``Exists``,
unions, ``select_related``, orderings along relations, parents of multi-table inheritance, prefetches and the tables in
the middle of many-to-many fields. Where SQL was written by hand (``raw``, ``extra``, ``RawSQL``) it is not known, and
the answer is None: such a queryset may read anything.

The walk over a query costs microseconds per condition. What a path such as ``"question__owner"`` leads through
is worked out once per model and remembered.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import F, Prefetch, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import RawSQL
from django.db.models.query import RawQuerySet
from django.db.models.sql.query import Query
from django.db.models.sql.where import ExtraWhere

Tables = frozenset[str]
Model = type[models.Model]
REMEMBERED = 4096
"""Paths along relations that are remembered, over all models."""


def tables_read(source: "QuerySet[Any, Any] | RawQuerySet[Any] | Query") -> Tables | None:
    """Return the names of the tables that evaluating ``source`` reads; None if that cannot be known."""
    try:
        return frozenset(_tables(source))
    except _UnknownError:
        return None


class _UnknownError(Exception):
    """The query holds SQL written by hand, or something we have never seen."""


def _tables(source: Any) -> Iterator[str]:
    if isinstance(source, RawQuerySet):
        raise _UnknownError
    if isinstance(source, QuerySet):
        yield from _query(source.query)
        for lookup in source._prefetch_related_lookups:  # type: ignore[attr-defined]  # noqa: SLF001
            yield from _prefetched(source.model, lookup)
    else:
        yield from _query(source)


def _query(query: Query) -> Iterator[str]:
    model = query.model
    if model is None or query.extra:
        raise _UnknownError
    options = model._meta
    yield options.db_table
    yield from query.extra_tables
    yield from (join.table_name for alias, join in query.alias_map.items() if query.alias_refcount.get(alias, 0))
    if query.default_cols:
        yield from _own_tables(model)
    if query.select_related:
        shape = True if query.select_related is True else _frozen(query.select_related)
        yield from _selected(model, shape)
    yield from _orderings(query)
    for name in query.distinct_fields:
        yield from _along(model, name)
    grouped = query.group_by if isinstance(query.group_by, tuple) else ()
    for node in (query.where, *query.annotations.values(), *query.select, *grouped):
        yield from _expression(node)
    yield from chain.from_iterable(map(_query, query.combined_queries))


def _expression(node: Any) -> Iterator[str]:
    """Walk an expression, a condition or a subquery."""
    if isinstance(node, Query):
        yield from _query(node)
        return
    if isinstance(node, RawSQL | ExtraWhere):
        raise _UnknownError
    inner = getattr(node, "query", None)  # Subquery and Exists
    if isinstance(inner, Query):
        yield from _query(inner)
    for child in _children(node):
        if child is not None and not isinstance(child, str):
            yield from _expression(child)


def _children(node: Any) -> Iterable[Any]:
    if hasattr(node, "children"):  # a node of the condition's tree
        return list(node.children)
    if hasattr(node, "get_source_expressions"):
        return list(node.get_source_expressions())
    return ()


def _orderings(query: Query) -> Iterator[str]:
    if query.extra_order_by:
        raise _UnknownError
    model = query.model
    orderings: Iterable[Any] = query.order_by
    if not orderings and query.default_ordering and model is not None:
        orderings = tuple(model._meta.ordering or ())
    for ordering in orderings:
        if model is not None:
            yield from _ordering(model, ordering, query.annotations)


def _ordering(model: Model, ordering: Any, annotations: Any) -> Iterator[str]:
    if isinstance(ordering, str):
        name = ordering.removeprefix("-")
        if name != "?" and name not in annotations:
            yield from _along(model, name)
        return
    nodes: Iterable[Any] = ordering.flatten() if hasattr(ordering, "flatten") else (ordering,)
    for node in nodes:
        if isinstance(node, F):
            if node.name not in annotations:  # type: ignore[attr-defined]
                yield from _along(model, node.name)  # type: ignore[attr-defined]
        else:
            yield from _expression(node)


@lru_cache(maxsize=REMEMBERED)
def _own_tables(model: Model) -> Tables:
    """Return the tables that a row of ``model`` is spread over."""
    return frozenset(field.model._meta.db_table for field in model._meta.concrete_fields)


@lru_cache(maxsize=REMEMBERED)
def _along(model: Model, path: str) -> Tables:
    """Return the tables on the way of ``path``, which names relations and may end in a column or a lookup."""
    found: set[str] = set()
    at = model
    for part in path.split(LOOKUP_SEP):
        if part == "pk":
            break
        try:
            field: Any = at._meta.get_field(part)
        except FieldDoesNotExist:
            break  # a lookup or a transform
        if not field.is_relation:
            found.add(field.model._meta.db_table)
            break
        steps = field.get_path_info() if hasattr(field, "get_path_info") else None
        if steps is None:
            raise _UnknownError
        for step in steps:
            found |= {step.from_opts.db_table, step.to_opts.db_table}
        at = field.related_model
    else:
        if at is not model:  # ordering by a relation means by the ordering of what it leads to
            for ordering in at._meta.ordering or ():
                found.update(_ordering(at, ordering, {}))
    return frozenset(found)


Shape = frozenset[tuple[str, Any]]


def _frozen(related: dict[str, Any]) -> Shape:
    return frozenset((name, _frozen(inner)) for name, inner in related.items())


@lru_cache(maxsize=REMEMBERED)
def _selected(model: Model, shape: "Shape | bool", depth: int = 5) -> Tables:
    """Return the tables that ``select_related`` joins; True follows what cannot be null, five levels deep."""
    found: set[str] = set()
    if shape is True:
        inner = [(field, True) for field in model._meta.fields if field.is_relation and not field.null] if depth else []
    else:
        by_name = _relations(model)
        inner = [(by_name[name], deeper) for name, deeper in shape if name in by_name]  # type: ignore[union-attr]
    for field, deeper in inner:
        other = field.related_model
        found |= {field.model._meta.db_table, *_own_tables(other)}
        found |= _selected(other, deeper, depth - 1)
    return frozenset(found)


def _relations(model: Model) -> dict[str, Any]:
    """Return the relations of ``model`` by the names that ``select_related`` and ``prefetch_related`` know."""
    options = model._meta
    found: dict[str, Any] = {field.name: field for field in (*options.get_fields(), *options.private_fields)}
    for relation in options.related_objects:
        found[relation.get_accessor_name() or relation.name] = relation
        found.setdefault(relation.field.related_query_name(), relation)
    return found


def _prefetched(model: Model, lookup: "str | Prefetch[Any]") -> Iterator[str]:
    if isinstance(lookup, str):
        yield from _prefetch_path(model, lookup)
        return
    yield from _prefetch_path(model, lookup.prefetch_through)
    if lookup.queryset is not None:
        yield from _tables(lookup.queryset)


@lru_cache(maxsize=REMEMBERED)
def _prefetch_path(model: Model, path: str) -> Tables:
    """Return the tables that prefetching ``path`` reads: those of each step, and of the manager that fetches it."""
    found: set[str] = set()
    at = model
    for part in path.split(LOOKUP_SEP):
        field = _relations(at).get(part)
        if field is None or isinstance(field, GenericForeignKey):
            raise _UnknownError  # an attribute of somebody's own, or rows of any model
        for step in field.get_path_info():
            found |= {step.from_opts.db_table, step.to_opts.db_table}
        at = field.related_model
        forward = field.many_to_one or field.one_to_one
        manager = at._base_manager if forward else at._default_manager
        found.update(_tables(manager.get_queryset()))
    return frozenset(found)
