"""One filler per entry: of many that miss it at once, one makes it and the others wait for that one.

Within a process they wait for an event, between processes for a claim made with ``cache.add``. No wait is longer than
``FILL_WAIT``; after it everyone serves on their own. Nobody who holds a transaction waits: the filler may need
what they have locked.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.caching.recorder import in_transaction
from core.conf import core_settings
from core.outage import guard

LOOK_EVERY = 0.02
"""Seconds between two looks at a claim of another process."""

_running: dict[tuple[str, str], threading.Event] = {}
_lock = threading.Lock()


@contextmanager
def turn(store: Any, key: str) -> Iterator[bool]:
    """Take the turn to make the entry ``key`` of the cache ``store``.

    Gives True to whoever is to make it. Gives False to the others, after the one who made it is done or has taken too
    long.
    """
    patience = 0.0 if in_transaction() else core_settings.CACHING.FILL_WAIT
    # Not the cache object, of which every thread has its own.
    name = (type(store).__name__, store.make_key(key))
    with _lock:
        others = _running.get(name)
        if others is None:
            done = _running[name] = threading.Event()
    if others is not None:
        others.wait(patience)
        yield False
        return
    claimed = False
    try:
        claimed = claim(store, key)
        if not claimed:
            _wait(store, key, patience)
        yield claimed
    finally:
        if claimed:
            release(store, key)
        with _lock:
            del _running[name]
        done.set()


def claim(store: Any, key: str) -> bool:
    """Try to claim the making of the entry ``key``. A cache that does not answer lets everyone."""
    lasts = max(1, round(core_settings.CACHING.FILL_WAIT * 2))
    return guard.call(lambda: bool(store.add(_claimed(key), 1, lasts)), default=True)


def release(store: Any, key: str) -> None:
    """Give the claim back."""
    guard.call(lambda: store.delete(_claimed(key)), default=False)


def is_claimed(store: Any, key: str) -> bool:
    """Tell whether somebody is making the entry ``key``."""
    return guard.call(lambda: _claimed(key) in store, default=False)


def _claimed(key: str) -> str:
    return f"{key}:turn"


def _wait(store: Any, key: str, patience: float) -> None:
    until = time.monotonic() + patience
    while time.monotonic() < until and is_claimed(store, key):
        time.sleep(LOOK_EVERY)
