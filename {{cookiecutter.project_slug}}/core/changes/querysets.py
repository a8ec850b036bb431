"""Querysets and managers whose writes are seen.

``objects = TrackedManager()``, or a queryset of one's own that derives from ``TrackedQuerySet``, with
``as_manager()``. While nothing reads changes, and for excluded models, every method is Django's own, statement for
statement. Otherwise each write runs in ``atomic``, so that its log entry is committed with it, and its place in the
order of publications is taken before COMMIT.

An instance is saved through its model's base manager, which is tracked while the model is watched: ``save`` ends in
``_update`` or ``_insert``, once per table, and so do ``create``, ``get_or_create``, ``update_or_create``, fixtures and
``bulk_create``. Django sends ``post_save`` afterwards, when a save outside ``atomic`` is committed already: too late
for the log. The asynchronous methods call the synchronous ones.
"""

import copy
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, TypeVar

from django.db import connections, models, transaction
from django.db.models import QuerySet, signals
from django.db.models.constants import OnConflict
from django.db.models.deletion import Collector
from django.db.models.lookups import Exact

from core.changes.capture import HANDLERS, watched
from core.changes.change import CREATED, DELETED, UPDATED, UPSERTED, Table, Touch
from core.changes.returning import Observed, returning
from core.changes.tables import Layout, Model, Part, keys
from core.changes.transactions import record
from core.conf import core_settings

_Row = TypeVar("_Row", bound=models.Model)


class TrackedQuerySet(QuerySet[_Row]):
    """A queryset whose writes are part of the change stream."""

    def update(self, **kwargs: Any) -> int:
        """Update the rows, as Django does, and report exactly those that were."""
        layout = watched.get(self.model)
        if layout is None:
            return super().update(**kwargs)
        self._for_write = True
        with _in_transaction(self.db), _returning(self, layout) as observed:
            rows = super().update(**kwargs)
            if observed.rows is not None:
                rows = observed.rows
                self._record_update(layout, observed, kwargs)
            elif rows:
                record(self.db, [Touch(part.table, UPDATED) for part in layout.parts])
        return rows

    update.alters_data = True  # type: ignore[attr-defined]

    def _record_update(self, layout: Layout, observed: Observed, names: Collection[str]) -> None:
        by_table = {part.table: part for part in layout.parts}
        touches = []
        for written in observed.statements:
            part = by_table[written.table]
            fields = frozenset(part.names[name] for name in names if name in part.names)
            if not written.count:
                continue
            if _rewrites_key(part, names):
                # The rows have other keys now; under which they were known, nobody says.
                touches += [Touch(written.table, DELETED), Touch(written.table, CREATED, written.pks)]
            else:
                touches.append(Touch(written.table, UPDATED, written.pks, fields or None))
        record(self.db, touches)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the rows and what hangs on them, as Django does."""
        query = self.query
        refused = query.is_sliced or query.distinct_fields or query.combinator or self._fields is not None  # type: ignore[attr-defined]
        if refused or self.model not in watched:
            return super().delete()
        # What QuerySet.delete() does, with another collector.
        rows: Any = self._chain()  # type: ignore[attr-defined]
        rows._for_write = True  # noqa: SLF001 - as the method it stands in for
        rows.query.select_for_update = False
        rows.query.select_related = False
        rows.query.clear_ordering(force=True)
        collector = _TrackedCollector(using=rows.db, origin=self)
        # Outside of atomic, as Django does it: who catches ProtectedError may go on with the transaction.
        collector.collect(rows)
        result: tuple[int, dict[str, int]] = collector.delete()
        self._result_cache = None
        return result

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def _raw_delete(self, using: str | None) -> int:
        """Delete the rows in one statement, without cascades and signals."""
        layout = watched.get(self.model)
        if layout is None or using is None:
            return super()._raw_delete(using)
        with _in_transaction(using), _returning(self, layout, using) as observed:
            rows = super()._raw_delete(using)
            pks = None
            if observed.rows is not None:
                rows, pks = observed.rows, observed.statements[0].pks
            if rows:
                record(using, [Touch(layout.own.table, DELETED, pks), *layout.effects])
        return rows

    _raw_delete.alters_data = True  # type: ignore[attr-defined]

    def _insert(self, objs: list[Any], fields: Any, *args: Any, **kwargs: Any) -> Any:
        """Insert rows of this one table: what ``save()`` and ``bulk_create()`` call, with every option of theirs."""
        layout = watched.get(self.model)
        if layout is None:
            return super()._insert(objs, fields, *args, **kwargs)  # type: ignore[misc]
        self._for_write = True
        using = kwargs.get("using") or self.db
        skips = kwargs.get("on_conflict") is OnConflict.IGNORE
        asking = _returning(self, layout, using) if skips else nullcontext(Observed())
        with _in_transaction(using), asking as observed:
            returned: Any = super()._insert(objs, fields, *args, **kwargs)  # type: ignore[misc]
            if skips:
                record(using, _inserted(layout.own.table, observed, objs))
            else:
                pks = _inserted_keys(self.model, objs, returned or (), kwargs.get("returning_fields") or ())
                record(using, [_written_by_insert(layout.own, pks, fields, kwargs)])
        return returned

    _insert.alters_data = True  # type: ignore[attr-defined]
    _insert.queryset_only = False  # type: ignore[attr-defined]

    def _update(self, values: Any, *args: Any) -> Any:
        """Update one row of this one table: what ``save()`` calls."""
        layout = watched.get(self.model)
        if layout is None:
            return super()._update(values, *args)  # type: ignore[misc]
        self._for_write = True
        with _in_transaction(self.db):
            written: Any = super()._update(values, *args)  # type: ignore[misc]
            if written:
                names = frozenset(field.name for field, *_ in values)
                touch = Touch(layout.own.table, UPDATED, _named_key(self), names | layout.own.generated)
                record(self.db, [touch])
        return written

    _update.alters_data = True  # type: ignore[attr-defined]
    _update.queryset_only = False  # type: ignore[attr-defined]


class TrackedManager(models.Manager.from_queryset(TrackedQuerySet)[_Row]):  # type: ignore[misc]
    """A manager whose writes are part of the change stream."""


def tracking(manager: Any) -> Any:
    """Return a tracked manager that does what ``manager``, which is not, does."""
    if type(manager) is models.Manager:
        return TrackedManager()
    tracked = copy.copy(manager)
    kind: Any = type(manager)
    tracked.__class__ = _tracked_manager(kind)
    return tracked


@cache
def _tracked_manager(kind: Any) -> type[Any]:
    def get_queryset(self: Any) -> Any:
        rows = kind.get_queryset(self)
        if isinstance(rows, QuerySet) and not isinstance(rows, TrackedQuerySet):
            found: Any = type(rows)
            rows.__class__ = _tracked_queryset(found)
        return rows

    queryset = _tracked_queryset(getattr(kind, "_queryset_class", QuerySet))
    return type(kind.__name__, (kind,), {"get_queryset": get_queryset, "_queryset_class": queryset})


@cache
def _tracked_queryset(kind: Any) -> type[Any]:
    return type(kind.__name__, (TrackedQuerySet, kind), {})


def is_tracked(manager: object) -> bool:
    """Tell whether the querysets of ``manager`` are tracked."""
    made = getattr(manager, "_queryset_class", None)
    return isinstance(made, type) and issubclass(made, TrackedQuerySet)


class _TrackedCollector(Collector):
    """Django's collector of what a deletion takes along, which does not slow down for our own handlers.

    Where rows could be deleted in one statement but for them, they are: the statement reports its rows itself.
    """

    def can_fast_delete(self, objs: Any, from_field: Any = None) -> bool:
        # A single instance would be deleted past its queryset, where nobody sees it.
        return not isinstance(objs, models.Model) and super().can_fast_delete(objs, from_field)

    def _has_signal_listeners(self, model: Model) -> bool:
        if model in watched and not is_tracked(model._base_manager):
            return True
        return _is_heard(signals.pre_delete, model) or _is_heard(signals.post_delete, model)


def _is_heard(signal: Any, model: Model) -> bool:
    """Tell whether anybody but ourselves has connected to ``signal`` for ``model``."""
    return any(receiver != HANDLERS and sender in {id(model), id(None)} for (receiver, sender), *_ in signal.receivers)


def _in_transaction(using: str) -> AbstractContextManager[Any]:
    """Open a transaction, unless one is open: an inner ``atomic`` would mark it for rollback on any mistake."""
    connection = connections[using]
    is_open = connection.in_atomic_block or not connection.get_autocommit()
    return nullcontext() if is_open else transaction.atomic(using=using)


def _returning(
    rows: TrackedQuerySet[Any], layout: Layout, using: str | None = None
) -> AbstractContextManager[Observed]:
    return returning(using or rows.db, layout.parts, core_settings.CHANGES.MAX_PKS)


def _rewrites_key(part: Part, names: Collection[str]) -> bool:
    """Tell whether an update of the fields ``names`` gives the rows of ``part`` other keys."""
    return any(field.name in names or field.attname in names for field in part.model._meta.pk_fields)


def _inserted(table: Table, observed: Observed, rows: list[Any]) -> list[Touch]:
    """Return what an INSERT did that skips rows in conflict."""
    if observed.rows is None:
        return [Touch(table, CREATED)] if rows else []
    return [Touch(table, CREATED, written.pks) for written in observed.statements if written.count]


def _inserted_keys(
    model: Model, rows: list[Any], returned: Sequence[Sequence[Any]], returning: Sequence[Any]
) -> tuple[Any, ...] | None:
    """Return the keys of ``rows``: as the database has returned them, or as the instances have them."""
    fields: Sequence[Any] = model._meta.pk_fields
    if len(returned) == len(rows) and all(field in returning for field in fields):
        places = [returning.index(field) for field in fields]
        found = [tuple(values[place] for place in places) for values in returned]
    else:
        found = [tuple(getattr(row, field.attname) for field in fields) for row in rows]
    return keys(model, found if len(fields) > 1 else [key for (key,) in found])


def _written_by_insert(part: Part, pks: tuple[Any, ...] | None, fields: Any, options: Mapping[str, Any]) -> Touch:
    if options.get("on_conflict") is not OnConflict.UPDATE:
        return Touch(part.table, CREATED, pks)
    # Which rows it has inserted and which rewritten, it does not tell: their keys are published as both. A row that
    # brought a key and met another row on a unique field has rewritten that one, under its own key; only the database
    # knows it.
    own = set(part.model._meta.pk_fields)
    brought = own & set(fields) and not own <= set(options.get("returning_fields") or ())
    known = not brought or set(options.get("unique_fields") or [None]) <= own
    names = frozenset(field.name for field in options.get("update_fields") or ())
    return Touch(part.table, UPSERTED, pks if known else None, names)


def _named_key(rows: QuerySet[Any, Any]) -> tuple[Any, ...] | None:
    """Return the key by which ``rows`` are filtered, as ``save()`` does it."""
    pk = rows.model._meta.pk
    conditions: list[Any] = [each for each in rows.query.where.children if isinstance(each, Exact)]
    named = [each.rhs for each in conditions if each.lhs.output_field is pk]
    return keys(rows.model, named) if named else None
