"""Which tables a queryset reads. Pure: looks at the query and at the models, never at the database.

The answer is a superset that is rarely larger than what the SQL names: joins, subqueries, annotations, ``Exists``,
unions, ``select_related``, orderings along relations, parents of multi-table inheritance, prefetches and the tables in
the middle of many-to-many fields. Where SQL was written by hand (``raw``, ``extra``, ``RawSQL``) it is not known, and
the answer is None: such a queryset may read anything.

What surrounds the expressions of a query (its model, joins, ``select_related``, orderings by name) is its shape, by
which the tables are remembered. Conditions, annotations and columns are looked through each time, for they may hold
subqueries; most are a column, or one compared with a plain value, and are passed by.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import F, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import Col, RawSQL, Ref, Star, Value
from django.db.models.lookups import Lookup
from django.db.models.query import RawQuerySet
from django.db.models.sql.query import Query
from django.db.models.sql.where import ExtraWhere, WhereNode

Tables = frozenset[str]
Model = type[models.Model]
REMEMBERED = 4096
"""Shapes, and paths along relations, that are remembered at most, over all models."""

_LEAVES = frozenset({Col, Ref, Star, Value, str, type(None)})
"""Parts of a query with nothing inside; the tables of columns are those of the joins."""


def tables_read(source: "QuerySet[Any, Any] | RawQuerySet[Any] | Query") -> Tables | None:
    """Return the names of the tables that evaluating ``source`` reads; None if that cannot be known."""
    found: set[str] = set()
    try:
        _add_source(source, found)
    except _UnknownError:
        return None
    return frozenset(found)


class _UnknownError(Exception):
    """The query holds SQL written by hand, or something we have never seen."""


def _add_source(source: Any, found: set[str]) -> None:
    if isinstance(source, RawQuerySet):
        raise _UnknownError
    if not isinstance(source, QuerySet):
        _add_query(source, found)
        return
    _add_query(source.query, found)
    model: Model = source.model
    for lookup in source._prefetch_related_lookups:  # type: ignore[attr-defined]  # noqa: SLF001
        if isinstance(lookup, str):
            found |= _prefetch_path(model, lookup)
        else:
            found |= _prefetch_path(model, lookup.prefetch_through)
            if lookup.queryset is not None:
                _add_source(lookup.queryset, found)


def _add_query(query: Query, found: set[str]) -> None:
    model = query.model
    if model is None or query.extra or query.extra_order_by:
        raise _UnknownError
    related = query.select_related
    found |= _of_shape(
        model,
        tuple([join.table_name for alias, join in query.alias_map.items() if query.alias_refcount.get(alias)]),
        related if isinstance(related, bool) else _frozen(related),
        _add_orderings(query, found),
        query.distinct_fields,
        query.extra_tables,
        all_columns=query.default_cols,
    )
    _add_condition(query.where, found)
    grouped = query.group_by if isinstance(query.group_by, tuple) else ()
    for node in (*query.annotations.values(), *query.select, *grouped):
        _add_expression(node, found)
    for combined in query.combined_queries:
        _add_query(combined, found)


@lru_cache(maxsize=REMEMBERED)
def _of_shape(  # noqa: PLR0913, PLR0917 - a shape is all of these
    model: Model,
    joined: tuple[str, ...],
    related: "Related | bool",
    orderings: tuple[str, ...],
    distinct: tuple[str, ...],
    extra: tuple[str, ...],
    *,
    all_columns: bool,
) -> Tables:
    """Return the tables of a query as far as they do not depend on its expressions."""
    found = {model._meta.db_table, *joined, *extra}
    if all_columns:
        found |= _own_tables(model)
    if related:
        found |= _selected(model, related)
    for name in (*orderings, *distinct):
        found |= _along(model, name)
    return frozenset(found)


def _add_condition(node: Any, found: set[str]) -> None:
    """Look through a tree of conditions."""
    for child in node.children:
        if isinstance(child, WhereNode):
            _add_condition(child, found)
        # A list of values that holds an expression is an expression to Django.
        elif not (isinstance(child, Lookup) and type(child.lhs) is Col and not hasattr(child.rhs, "as_sql")):
            _add_expression(child, found)


def _add_expression(node: Any, found: set[str]) -> None:
    """Walk an expression, a condition or a subquery."""
    if type(node) in _LEAVES:
        return
    if isinstance(node, Query):
        _add_query(node, found)
        return
    if isinstance(node, RawSQL | ExtraWhere):
        raise _UnknownError
    inner = getattr(node, "query", None)  # Subquery and Exists
    if isinstance(inner, Query):
        _add_query(inner, found)
    for child in _children(node):
        _add_expression(child, found)


def _children(node: Any) -> Iterable[Any]:
    if hasattr(node, "children"):  # a node of the condition's tree
        return list(node.children)
    if hasattr(node, "get_source_expressions"):
        return list(node.get_source_expressions())
    return ()


def _add_orderings(query: Query, found: set[str]) -> tuple[str, ...]:
    """Look through orderings that are expressions; return the paths of the others."""
    model, annotations = query.model, query.annotations
    orderings: Iterable[Any] = query.order_by
    if not orderings and query.default_ordering and model is not None:
        orderings = model._meta.ordering or ()
    names = []
    for ordering in orderings:
        if not isinstance(ordering, str):
            found |= _ordered_by(model, ordering, annotations)
        elif (name := ordering.removeprefix("-")) != "?" and name not in annotations:
            names.append(name)
    return tuple(names)


def _ordered_by(model: Any, ordering: Any, annotations: Any) -> set[str]:
    found: set[str] = set()
    nodes: Iterable[Any] = ordering.flatten() if hasattr(ordering, "flatten") else (ordering,)
    for node in nodes:
        if not isinstance(node, F):
            _add_expression(node, found)
        elif node.name not in annotations:  # type: ignore[attr-defined]
            found |= _along(model, node.name)  # type: ignore[attr-defined]
    return found


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
            found |= _ordered(at)
    return frozenset(found)


def _ordered(model: Model) -> set[str]:
    """Return the tables that the ordering of the model itself reads."""
    found: set[str] = set()
    for ordering in model._meta.ordering or ():
        if not isinstance(ordering, str):
            found |= _ordered_by(model, ordering, {})
        elif (name := ordering.removeprefix("-")) != "?":
            found |= _along(model, name)
    return found


Related = frozenset[tuple[str, Any]]


def _frozen(related: dict[str, Any]) -> Related:
    return frozenset((name, _frozen(inner)) for name, inner in related.items())


@lru_cache(maxsize=REMEMBERED)
def _selected(model: Model, shape: "Related | bool", depth: int = 5) -> Tables:
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
        _add_source(manager.get_queryset(), found)
    return frozenset(found)
