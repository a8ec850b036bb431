"""The log: what every transaction has changed, written with it, read by every other process.

Entries come by hand-written SQL, because one is written with every transaction and a model instance would cost more
than the statement. They are read in the order of their ids, though on PostgreSQL ids do not commit in order: see
``core.changes.position`` for how nothing is missed. The table lies in each database that the project writes to,
unless its routers say otherwise.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from django.apps import apps
from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import IntegerField, Max, Min
from django.db.models.functions import Now

from core.changes.change import KINDS, Change
from core.changes.encoding import are_integers, decode, encode
from core.changes.position import RECENT, Horizon, Position, advance, begin, wanted
from core.changes.tables import restored_key
from core.conf import core_settings

logger = logging.getLogger(__name__)

BATCH = 1000
"""Entries read in one go."""


def is_wanted() -> bool:
    """Tell whether any feature reads changes."""
    return core_settings.CACHING.ENABLED or core_settings.REACTIVE.ENABLED or core_settings.BINDINGS.ENABLED


def is_on() -> bool:
    """Tell whether there is a log: it is not switched off, and a feature reads it."""
    return core_settings.CHANGES.LOG and is_wanted()


def writes_to(using: str) -> bool:
    """Tell whether the changes in the database ``using`` are logged."""
    return is_on() and _lies_in(using)


def aliases() -> list[str]:
    """Return the aliases of the databases that have a log."""
    return [alias for alias in connections if _lies_in(alias)] if is_on() else []


def _lies_in(using: str) -> bool:
    return bool(router.allow_migrate_model(using, _model()))


def _model() -> Any:
    from core.models import ChangeLogEntry  # not before the app registry is ready

    return ChangeLogEntry


@cache
def _insert(using: str) -> str:
    quote = connections[using].ops.quote_name
    columns = ", ".join(quote(name) for name in ("origin", "number", "changes"))
    return f"INSERT INTO {quote(_model()._meta.db_table)} ({columns}) VALUES (%s, %s, %s)"  # noqa: S608


def write(connection: BaseDatabaseWrapper, origin: str, number: int, changes: Sequence[Change]) -> None:
    """Write ``changes`` as one entry, in the transaction that is open on ``connection`` if there is one."""
    with connection.cursor() as cursor:
        cursor.execute(_insert(connection.alias), (origin, number, encode(changes)))


@dataclass(frozen=True, slots=True)
class Entry:
    """One transaction, as the log tells it."""

    id: int
    origin: str
    number: int
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class Reading:
    """What ``changes_since`` found: the entries, where to read on, and whether any have been pruned unread."""

    entries: list[Entry]
    position: Position
    missed: bool = False
    more: bool = False  # there are entries beyond these: read on at once


def end(using: str) -> Position:
    """Return the position behind the last entry of the log in the database ``using``."""
    horizon = _horizon(using)  # before the ids are read: what is finished by now is among them
    ids = _model()._base_manager.using(using).order_by("-id").values_list("id", flat=True)
    return begin(list(ids[:RECENT]), horizon)


def changes_since(position: Position, using: str) -> Reading:
    """Return the entries committed since ``position`` in the database ``using``, of all processes.

    An entry is returned once, however late it commits. If entries have been pruned before they could be read, or
    the log has begun anew, ``missed`` is true: then anything may have changed. Idle, this is a single statement.
    """
    entries = _model()._base_manager.using(using)
    bounds = entries.aggregate(first=Min("id"), last=Max("id"))
    first, last = bounds["first"] or 0, bounds["last"] or 0
    if last < position.last or first > position.last + 1:
        return Reading([], end(using), missed=True)
    if last == position.last and not position.missing:
        return Reading([], position)
    horizon = _horizon(using)  # before the entries are read: what is finished by now will be seen
    rows = list(
        entries.filter(wanted(position)).order_by("id").values_list("id", "origin", "number", "changes")[:BATCH]
    )
    found = [Entry(id_, origin, number, decoded(text, using)) for id_, origin, number, text in rows]
    return Reading(found, advance(position, [row[0] for row in rows], horizon), more=len(rows) == BATCH)


def _horizon(using: str) -> Horizon:
    """Return which transactions have ended. On SQLite there is one writer, and ids commit in order."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return Horizon.settled()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text FROM pg_current_snapshot() AS s")
        oldest, next_ = cursor.fetchone()
    return Horizon.of(int(oldest), int(next_))


def prune(using: str) -> int:
    """Delete the entries older than ``PRUNE_AGE`` from the database ``using``; return how many there were.

    The last entry stays, whatever its age: it is what tells a reader that nothing has been pruned beyond it.
    """
    entries = _model()._base_manager.using(using)
    cutoff = Now() - timedelta(seconds=core_settings.CHANGES.PRUNE_AGE)
    old = entries.filter(created_at__lt=cutoff).aggregate(last=Max("id"))["last"]
    last = entries.aggregate(last=Max("id"))["last"]
    if old is None:
        return 0
    deleted: int = entries.filter(id__lte=min(old, last - 1)).delete()[0]
    return deleted


def everything(using: str) -> list[Change]:
    """Return "anything may have changed" as changes: some rows of each watched table, in each way."""
    from core.changes.capture import tables

    return [Change(table.model, table.name, kind, None, None, using) for table in tables() for kind in KINDS]


def decoded(text: str, using: str) -> list[Change]:
    """Return the changes of an entry, or of a doorbell that carries them. Never raises.

    One entry that cannot be read would be in the way of all that follow. It is logged, and what it leaves unknown
    counts as changed.
    """
    try:
        return decode(text, using, _restore_keys)
    except Exception:
        logger.exception("An entry of the log of %s cannot be read: everything counts as changed.", using)
        return everything(using)


def _restore_keys(label: str, pks: list[Any]) -> tuple[Any, ...] | None:
    """Make of keys as JSON knows them what the key field of the model takes them for."""
    try:
        model = apps.get_model(label)
    except LookupError:  # another version of the code wrote it
        return tuple(tuple(pk) if isinstance(pk, list) else pk for pk in pks)
    if isinstance(model._meta.pk, IntegerField) and are_integers(pks):
        return tuple(pks)
    try:
        return tuple(restored_key(model, pk) for pk in pks)
    except Exception:
        logger.exception("The log names keys that are none of %s: some of its rows count as changed.", label)
        return None
