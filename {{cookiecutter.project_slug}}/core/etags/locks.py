"""Holds the row or the list of a conditional write, so that the comparison and the write are one."""

import zlib
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db.models import Model
from django.http import Http404


def database_of(view: Any) -> str:
    """Return the alias of the database that ``view`` writes to."""
    if not hasattr(view, "get_queryset"):
        return DEFAULT_DB_ALIAS
    queryset = view.get_queryset()
    row = queryset.model()
    # By which a save would find the database, where the queryset names one.
    row._state.db = queryset._db  # noqa: SLF001
    return router.db_for_write(queryset.model, instance=row)


def lock(view: Any, using: str) -> None:
    """Lock what the URL of ``view`` names, until the end of the transaction.

    The row is found as the view finds it, permissions and all, and locked by its key alone: a lock on the view's own
    query would fail on its joins. Raises ``Http404`` and what permissions raise. A view that finds no row is locked by
    its path, on PostgreSQL; on SQLite a transaction that was begun to write has all locked already.
    """
    row = _row(view)
    if row is None:
        _lock_path(view, using)
        return
    rows = type(row)._base_manager.using(using).select_for_update()
    if rows.filter(pk=row.pk).order_by().first() is None:
        raise Http404


def lock_table(model: type[Model], using: str) -> None:
    """Lock all rows of ``model``, those that are not there yet too, until the end of the transaction.

    On PostgreSQL writers of the table wait, and so does who locks rows of it; readers do not. It is asked for before
    anything else is locked, in the mode that locks of rows conflict with: a weaker one would meet in a deadlock who has
    locked a row and is about to write it. On SQLite a transaction that was begun to write has all locked already.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    models = [model._meta.concrete_model or model, *model._meta.all_parents]
    tables = sorted({connection.ops.quote_name(each._meta.db_table) for each in models})
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE")


def _row(view: Any) -> Model | None:
    if not hasattr(view, "get_object") or (view.lookup_url_kwarg or view.lookup_field) not in view.kwargs:
        return None
    row = view.get_object()
    return row if isinstance(row, Model) else None


def _lock_path(view: Any, using: str) -> None:
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            number = zlib.crc32(view.request.path.encode()) - 2**31
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_SPACE, number])


_SPACE = 0x65746167  # "etag": advisory locks of others have other numbers
