"""One version per table, in the cache that all processes share; raised by every change of the table.

A version is a unique token, never a counter: a counter that was evicted would begin anew, and bring back what was
cached under its old numbers. A token that is missing is made by whoever asks first, with ``cache.add``: if a change
raises the version in between, the raised one stands.

If raising fails, this process does not know which versions are current: ``read`` answers None for the tables in
question, which means "do not use the cache", until ``repair`` has raised them.
"""

import asyncio
import itertools
import threading
import time
import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS

from core.changes import Change
from core.changes.process import in_child
from core.conf import core_settings
from core.outage import guard

ATTEMPTS = 3
"""Times that ``read`` tries to get hold of a token that others keep replacing or the cache keeps evicting."""

_unraised: dict[str, set[int]] = {}
"""The keys of versions that are being raised or could not be, each with the attempts that are open.

By attempt, because one that succeeds says nothing of a later one that fails.
"""
_attempts = itertools.count()
_lock = threading.Lock()


def _forked() -> None:
    global _lock  # noqa: PLW0603 - one per process
    _lock = threading.Lock()


in_child(_forked)


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
    found = guard.call(lambda: completed(wanted, cache.get_many(wanted)), None)
    if found is None:
        return None
    # A version that could not be raised while we were reading may be among them.
    return {wanted[each]: token for each, token in found.items()} if trusted(tables, using) else None


def completed(wanted: Collection[str], found: Mapping[str, str]) -> dict[str, str] | None:
    """Return the tokens under the keys ``wanted``, of which those in ``found`` have just been read from the cache.

    Those that are missing are made. None if others keep replacing them. Raises what the cache raises.
    """
    tokens = {each: found[each] for each in wanted if each in found}
    for _ in range(ATTEMPTS):
        if not (missing := [each for each in wanted if each not in tokens]):
            return tokens
        tokens |= _make(missing)
    return None


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
    return not _unraised or trusted_keys(key(table, using) for table in tables)


def trusted_keys(keys: Iterable[str]) -> bool:
    """Tell whether none of the versions under ``keys`` waits to be raised.

    If one does, it is tried again, when that is due; but what was read before is not to be trusted even so.
    """
    if not _unraised or _unraised.keys().isdisjoint(keys):
        return True
    now = time.monotonic()
    if now >= _due[0]:
        _due[0] = now + core_settings.CACHING.REPAIR_INTERVAL
        repair()
    return False


_due = [0.0]  # when the next repair may be tried


def raise_versions(tables: Iterable[str], using: str = DEFAULT_DB_ALIAS) -> bool:
    """Give each of ``tables`` a new version. Never raises; returns False if it failed and ``repair`` has to do it."""
    keys = [key(table, using) for table in tables]
    with _lock:
        attempt = next(_attempts)
        for each in keys:  # nobody may trust them until it is done
            _unraised.setdefault(each, set()).add(attempt)
        waiting = _waiting()  # what failed before goes along
    return _raise(waiting)


def repair() -> bool:
    """Raise the versions that could not be raised; return whether all is well now."""
    with _lock:
        waiting = _waiting()
    return not waiting or _raise(waiting)


def _waiting() -> dict[str, set[int]]:
    return {each: set(attempts) for each, attempts in _unraised.items()}


async def keep_repairing() -> None:
    """Repair for ever: a job of the server's process."""
    while True:
        if _unraised:
            await asyncio.to_thread(repair)
        await asyncio.sleep(core_settings.CACHING.REPAIR_INTERVAL)


def _raise(attempts: Mapping[str, set[int]]) -> bool:
    tokens = {each: _token() for each in attempts}
    # Tried even if the cache has just failed: others can only see the write by its new version.
    failed = guard.call(lambda: cache.set_many(tokens, timeout=None), list(tokens), insist=True)
    done = [each for each in tokens if each not in failed]
    with _lock:
        for each in done:
            left = _unraised.get(each, set()) - attempts[each]
            if left:
                _unraised[each] = left
            else:
                _unraised.pop(each, None)
    return len(done) == len(tokens)


def _token() -> str:
    return uuid.uuid4().hex


def on_changes(changes: list[Change], **_: Any) -> None:
    """Raise the version of every table that ``changes`` name: a receiver of both signals of the change stream."""
    for using in {change.using for change in changes}:
        raise_versions({change.table for change in changes if change.using == using}, using)
