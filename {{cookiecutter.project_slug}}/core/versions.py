"""One version per table, in the cache that all processes share; raised by every change of the table.

A version is a unique token, never a counter: a counter that was evicted would begin anew, and bring back what was
cached under its old numbers. A token that is missing is made by whoever asks first, with ``cache.add``: if a change
raises the version in between, the raised one stands.

If raising fails, this process does not know which versions are current: ``read`` answers None for the tables in
question, which means "do not use the cache", until they have been raised: with the next ones, or by ``repair``. If
the process dies before, the others raise them, as they do for every entry in the log.
"""

import asyncio
import logging
import threading
import uuid
from collections.abc import Collection, Iterable
from typing import Any

from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS

from core.changes import Change

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""Times that ``read`` tries to get hold of a token that others keep replacing or the cache keeps evicting."""
REPAIR_INTERVAL = 1.0
"""Seconds between two attempts of a server to raise what could not be raised."""

Name = tuple[str, str]  # alias of the database, name of the table

_unraised: set[Name] = set()
_lock = threading.Lock()


def key(table: str, using: str = DEFAULT_DB_ALIAS) -> str:
    """Return the cache key of a table's version."""
    return f"core.version:{using}:{table}"


def read(tables: Collection[str], using: str = DEFAULT_DB_ALIAS) -> dict[str, str] | None:
    """Return the version of each of ``tables`` in the database ``using``: one call to the cache, if it knows them all.

    None means that the versions are not to be relied on now, and the cache is to be passed by.
    """
    if not trusted(tables, using):
        return None
    wanted = {key(table, using): table for table in tables}
    try:
        found: dict[str, str] = cache.get_many(wanted)
        for _ in range(ATTEMPTS):
            if not (missing := [each for each in wanted if each not in found]):
                break
            found |= _make(missing)
        else:
            return None
    except Exception as error:  # noqa: BLE001 - whatever a cache may raise
        logger.warning("The versions of tables cannot be read from the cache: %r", error)
        return None
    # A version that could not be raised while we were reading may be among them.
    return {wanted[each]: token for each, token in found.items()} if trusted(tables, using) else None


def _make(missing: list[str]) -> dict[str, str]:
    """Give each key a token, unless somebody else does; return what stands."""
    made = {}
    for each in missing:
        token = _token()
        if cache.add(each, token, timeout=None):
            made[each] = token
    others = [each for each in missing if each not in made]
    return made | cache.get_many(others) if others else made


def trusted(tables: Iterable[str], using: str = DEFAULT_DB_ALIAS) -> bool:
    """Tell whether no version of ``tables`` waits to be raised."""
    return not _unraised or _unraised.isdisjoint((using, table) for table in tables)


def raise_versions(tables: Iterable[str], using: str = DEFAULT_DB_ALIAS) -> bool:
    """Give each of ``tables`` a new version. Never raises; returns False if it failed and ``repair`` has to do it."""
    names = {(using, table) for table in tables}
    with _lock:
        _unraised.update(names)  # nobody may trust them until it is done
        names |= _unraised
    return _raise(names)


def repair() -> bool:
    """Raise the versions that could not be raised; return whether all is well now."""
    with _lock:
        names = set(_unraised)
    return not names or _raise(names)


async def keep_repairing() -> None:
    """Repair for ever: a job of the server's process."""
    while True:
        await asyncio.sleep(REPAIR_INTERVAL)
        if _unraised:
            await asyncio.to_thread(repair)


def _raise(names: set[Name]) -> bool:
    tokens = {key(table, using): _token() for using, table in names}
    try:
        failed = cache.set_many(tokens, timeout=None)
    except Exception as error:  # noqa: BLE001 - whatever a cache may raise
        logger.warning("Versions could not be raised; this process passes the cache by until they are: %r", error)
        return False
    done = {(using, table) for using, table in names if key(table, using) not in failed}
    with _lock:
        _unraised.difference_update(done)
    return len(done) == len(names)


def _token() -> str:
    return uuid.uuid4().hex


def on_changes(changes: list[Change], **_: Any) -> None:
    """Raise the version of every table that ``changes`` name: a receiver of both signals of the change stream."""
    for using in {change.using for change in changes}:
        raise_versions({change.table for change in changes if change.using == using}, using)
