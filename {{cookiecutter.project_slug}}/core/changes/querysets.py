"""Querysets and managers whose bulk writes are seen: those for which Django sends no signal.

``objects = TrackedManager()``, or a queryset of one's own that derives from ``TrackedQuerySet``, with
``as_manager()``. While nothing reads changes, and for excluded models, every method is Django's own, statement for
statement. Otherwise each write runs in ``atomic``, so that its log entry is committed with it.

``create``, ``get_or_create`` and ``update_or_create`` save instances, and are seen by their signals. The asynchronous
methods call the synchronous ones.
"""

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from django.db import connections, models, transaction
from django.db.models import signals
from django.db.models.deletion import Collector

from core.changes.capture import HANDLERS, watched
from core.changes.change import CREATED, DELETED, UPDATED, UPSERTED, Table, Touch
from core.changes.returning import Observed, returning
from core.changes.tables import Layout, Model, Part, keys
from core.changes.transactions import record
from core.conf import core_settings

_Row = TypeVar("_Row", bound=models.Model)


class TrackedQuerySet(models.QuerySet[_Row]):
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

    def bulk_create(  # noqa: PLR0913, PLR0917 - the signature is Django's
        self,
        objs: Iterable[_Row],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[_Row]:
        """Insert the rows, as Django does, and report those that were inserted or rewritten."""
        layout = watched.get(self.model)
        arguments: Any = (batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields)
        if layout is None:
            return super().bulk_create(objs, *arguments)
        self._for_write = True
        objs = list(objs)
        keyed = [obj for obj in objs if obj.pk is not None]
        with _in_transaction(self.db), _returning(self, layout) as observed:
            created = super().bulk_create(objs, *arguments)
            table = layout.own.table
            if ignore_conflicts:
                record(self.db, _inserted(table, observed, objs))
            elif update_conflicts:
                record(self.db, _upserted(layout, objs, keyed, update_fields, unique_fields))
            elif objs:
                record(self.db, [Touch(table, CREATED, _keys(self.model, objs))])
        return created

    bulk_create.alters_data = True  # type: ignore[attr-defined]


class TrackedManager(models.Manager.from_queryset(TrackedQuerySet)[_Row]):  # type: ignore[misc]
    """A manager whose writes are part of the change stream."""


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
    return nullcontext() if connections[using].in_atomic_block else transaction.atomic(using=using)


def _returning(
    rows: TrackedQuerySet[Any], layout: Layout, using: str | None = None
) -> AbstractContextManager[Observed]:
    return returning(using or rows.db, layout.parts, core_settings.CHANGES.MAX_PKS)


def _rewrites_key(part: Part, names: Collection[str]) -> bool:
    """Tell whether an update of the fields ``names`` gives the rows of ``part`` other keys."""
    return any(field.name in names or field.attname in names for field in part.model._meta.pk_fields)


def _keys(model: Model, rows: Iterable[models.Model]) -> tuple[Any, ...] | None:
    return keys(model, [row.pk for row in rows])


def _inserted(table: Table, observed: Observed, rows: list[_Row]) -> list[Touch]:
    """Return what an INSERT did that skips rows in conflict."""
    if observed.rows is None:
        return [Touch(table, CREATED)] if rows else []
    return [Touch(table, CREATED, written.pks) for written in observed.statements if written.count]


def _upserted(
    layout: Layout,
    rows: list[_Row],
    keyed: list[_Row],
    update_fields: Collection[str] | None,
    unique_fields: Collection[str] | None,
) -> list[Touch]:
    """Return what an INSERT did that rewrites rows in conflict.

    Which rows it has inserted and which rewritten, it does not tell: their keys are published as both.
    """
    part = layout.own
    pk_names = {"pk", part.pk, part.model._meta.pk.name}
    # A row that brought a key and met another row on a unique field has rewritten that one, under its own key.
    known = not keyed or (unique_fields is not None and set(unique_fields) <= pk_names)
    fields = frozenset(part.names.get(name, name) for name in update_fields or ())
    return [Touch(part.table, UPSERTED, _keys(part.model, rows) if known else None, fields)] if rows else []
