"""Reads a queryset into a profile: which rows it lists, and which other tables it uses in which way.

The database is not asked. What is not understood here is a use of its tables of the widest kind; so a profile may name
too much and never too little.
"""

import time
from collections.abc import Iterator
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models, router
from django.db.models import QuerySet
from django.db.models.query import RawQuerySet

from core.queries import tables_read
from core.reactive.matching.conditions import Condition, all_of, pins
from core.reactive.matching.expressions import Columns, UnreadableError
from core.reactive.matching.orderings import ordering_of
from core.reactive.matching.prefetches import prefetched
from core.reactive.matching.profile import ANYTHING, JOINED, SHOWN, Fields, Profile, Rows, Use
from core.reactive.matching.shapes import CoarseError, Model, concrete, fields_or_any, forward_key, parts_of
from core.reactive.matching.wheres import condition_of


def profile_of(
    queryset: "QuerySet[Any, Any] | RawQuerySet[Any]",
    *,
    primary_key: str = "pk",
    tables: frozenset[str] | None = None,
    offset: int | None = None,
) -> Profile:
    """Return what the result of ``queryset`` depends on.

    ``queryset`` is what a view evaluates: filtered, ordered, with its prefetches, and sliced if that is how it is
    paged. Make a profile anew with each evaluation: constants in its conditions may come from other rows.
    ``primary_key`` is the name of the field that tells listed rows apart; if that is not the primary key of the model,
    every update and deletion in the table concerns the query.

    ``tables`` are those that the view reads by *other* statements than those of the queryset, its prefetches and its
    count: before it (permissions, the user, a list of keys to filter by), and while the rows are serialized (relations
    that were not prefetched). Every change in one of them concerns the query, even if the queryset uses the table, too.
    None means that they are not known: then every change of any table concerns it.

    ``offset`` says that the view pages the rows itself, and how many of them it leaves out before those it shows. None:
    it does not, or the queryset is sliced already.
    """
    taken = time.time()  # before anything is asked what time it is
    if tables is None or isinstance(queryset, RawQuerySet):
        return ANYTHING
    known = tables_read(queryset)
    if known is None:
        return ANYTHING
    rows: Rows | None = None
    uses: list[Use] = [Use(table) for table in tables]
    try:
        rows, found = _Reader(queryset, primary_key, offset).read()
        uses += found
    except CoarseError:
        pass
    except UnreadableError:
        return ANYTHING
    covered = {use.table for use in uses} | set(rows.tables if rows else ())
    uses += [Use(table) for table in known - covered]
    return Profile(tuple(dict.fromkeys(uses)), rows, _using(queryset, known | tables), taken)


def _using(queryset: "QuerySet[Any, Any]", tables: frozenset[str]) -> frozenset[str]:
    """Return the aliases of the databases where rows of ``tables`` are read or written."""
    found = {queryset.db, router.db_for_write(queryset.model)}
    if set(connections.settings) != {DEFAULT_DB_ALIAS}:
        for model in _models_of(tables):
            found |= {router.db_for_read(model), router.db_for_write(model)}
    return frozenset(found)


def _models_of(tables: frozenset[str]) -> Iterator[Model]:
    from django.apps import apps

    return (model for model in apps.get_models(include_auto_created=True) if model._meta.db_table in tables)


class _Reader:
    """Reads one queryset."""

    def __init__(self, queryset: "QuerySet[Any, Any]", primary_key: str, offset: int | None) -> None:
        self.queryset: Any = queryset
        self.query: Any = queryset.query
        self.model = concrete(queryset.model)
        self.primary_key = primary_key
        self.offset = offset
        self.uses: list[Use] = []
        self.aliases = self._base_aliases()

    def read(self) -> tuple[Rows, list[Use]]:
        """Return the rows and the uses; raises ``CoarseError`` if rows cannot be told apart."""
        query = self.query
        self._refuse()
        deciding, showing = Columns(), Columns()
        deciding.read(query.where)
        for node in (*query.annotations.values(), *query.select, *(query.group_by if _is_grouped(query) else ())):
            showing.read(node)
        if showing.is_over_rows:
            raise CoarseError  # each row shows something of the others
        condition = self._condition()
        fixed = pins(condition)
        ordering = ordering_of(query, self.model, fixed)
        self.uses += ordering.uses
        decisive = self._joins(deciding, showing, fixed)
        self._select_related(self.model, query.select_related, fixed)
        self.uses += prefetched(self.queryset)
        self.uses += [Use(table) for table in (*deciding.tables, *showing.tables)]
        is_total = ordering.fields is not None and ordering.is_total
        order_fields = fields_or_any(self.model, ordering.fields or ()) if is_total else None
        rows = Rows(
            self.model._meta.label_lower,
            parts_of(self.model),
            condition,
            decisive,
            order_fields,
            _united(self._read_fields(), decisive, order_fields),
            windowed=query.is_sliced or self.offset is not None,
            offset=bool(query.low_mark or self.offset),
            keyed=self._is_keyed(),
        )
        return rows, self.uses

    def _refuse(self) -> None:
        query = self.query
        wide = query.combinator or query.distinct_fields or query.select_related is True
        grouped = query.group_by is not None and not query.default_cols
        filtered = any(getattr(join, "filtered_relation", None) is not None for join in query.alias_map.values())
        if wide or grouped or filtered or query.where.contains_over_clause:
            raise CoarseError

    def _base_aliases(self) -> set[str | None]:
        """Return the names under which the query knows the tables that a row of the model is spread over."""
        found: set[str | None] = set()
        for alias, join in self.query.alias_map.items():
            parent = getattr(join, "parent_alias", None)
            if parent is None:
                found.add(alias)
            elif parent in found:
                remote = getattr(join.join_field, "remote_field", None)
                if getattr(join.join_field, "concrete", False) and getattr(remote, "parent_link", False):
                    found.add(alias)
        return found

    def _condition(self) -> Condition:
        query, where = self.query, self.query.where
        if query.is_sliced and query.low_mark == query.high_mark:
            # A page of no rows, because there are none now, is not a query that never has any.
            parts = [child for child in where.children if type(child).__name__ != "NothingNode"]
            return all_of(condition_of(each, self.aliases, self.queryset.db) for each in parts)
        return condition_of(where, self.aliases, self.queryset.db)

    def _joins(self, deciding: Columns, showing: Columns, fixed: dict[str, frozenset[Any]]) -> Fields:
        """Take note of the tables that are joined; return the fields that decide whether a row is listed."""
        query = self.query
        fields: dict[Any, set[str]] = {alias: set() for alias in query.alias_map}
        decisive: set[str] = set()
        for columns in (deciding, showing):
            for alias, names in columns.fields.items():
                fields.setdefault(alias, set()).update(names)
        joined = [
            (alias, join)
            for alias, join in query.alias_map.items()
            if alias not in self.aliases and query.alias_refcount.get(alias, 0)
        ]
        whole = deciding.whole or showing.whole
        for alias, join in joined:
            if not isinstance(join.join_field, models.ForeignKey | models.ManyToOneRel):
                whole = True  # there may be more to this join than two columns
            for near, far in join.join_field.get_joining_fields():
                (decisive if join.parent_alias in self.aliases else fields[join.parent_alias]).add(near.name)
                fields[alias].add(far.name)
        led_to = set(self.aliases)  # by foreign keys alone
        for alias, join in joined:
            key = forward_key(join.join_field)
            read: Fields = None if whole else frozenset(fields[alias])
            if key is None or join.parent_alias not in led_to:
                self.uses.append(Use(join.table_name, fields=read))
                continue
            led_to.add(alias)
            pinned = fixed.get(key.name) if join.parent_alias in self.aliases and key.target_field.primary_key else None
            self.uses.append(Use(join.table_name, JOINED, read, pinned, guarded=True))
        if whole:
            return None
        return fields_or_any(self.model, decisive.union(*(deciding.fields.get(alias, ()) for alias in self.aliases)))

    def _select_related(self, model: Model, related: "dict[str, Any] | bool", fixed: dict[str, frozenset[Any]]) -> None:
        for name, deeper in related.items() if isinstance(related, dict) else ():
            field: Any = next((each for each in model._meta.concrete_fields if each.name == name), None)
            if field is None or forward_key(field) is None:
                raise CoarseError  # the other way along a one-to-one relation
            pinned = fixed.get(name) if field.target_field.primary_key else None
            other = concrete(field.related_model)
            self.uses += [Use(table, SHOWN, None, pinned, guarded=True) for table in parts_of(other)]
            self._select_related(other, deeper, {})

    def _read_fields(self) -> Fields:
        """Return the names of the fields that are shown: of the model's rows, which may be asked for any, None."""
        names = self.query.values_select
        if not self._is_values() or self.query.default_cols or self.query.annotations:
            return None
        by_name = {field.name: field for field in self.model._meta.concrete_fields}
        by_name |= {field.attname: field for field in by_name.values()}
        if (key := self.model._meta.pk) is not None and key.name in by_name:
            by_name["pk"] = by_name[key.name]
        if not all(name in by_name for name in names):
            return None
        return fields_or_any(self.model, {by_name[name].name for name in names})

    def _is_keyed(self) -> bool:
        key = self.model._meta.pk
        names = {"pk"} if key is None else {"pk", key.name, key.attname}
        if self.primary_key not in names:
            return False
        return not self._is_values() or self.query.default_cols or bool(names & set(self.query.values_select))

    def _is_values(self) -> bool:
        return self.queryset._fields is not None


def _united(*several: Fields) -> Fields:
    found: set[str] = set()
    for fields in several:
        if fields is None:
            return None
        found |= fields
    return frozenset(found)


def _is_grouped(query: Any) -> bool:
    return isinstance(query.group_by, tuple)
