"""Connections to Redis that a process keeps for its cache.

Django makes a cache, and with it a pool of connections, for each context: under ASGI for each request. That would begin
with a new connection and drop it at its end.
"""

from typing import Any, ClassVar, Final

from redis import ConnectionPool

MOST: Final = 2**31
"""Connections of a pool: as many as there are threads that use it at the same time."""


class Options(dict[str, Any]):
    """Options of a pool as a key, whatever they are: its hash is of their names, for a list among them has none."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self))


class ProcessPool(ConnectionPool):
    """A pool for ``RedisCache``, named in ``OPTIONS["pool_class"]``: one per address and options in each process."""

    _made: ClassVar[dict[Any, Any]] = {}

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Any:
        """Return the pool of this process for ``url``. It is for any thread, and a forked child begins it anew."""
        key = (cls, url, Options(options))
        if (pool := cls._made.get(key)) is None:
            made = super().from_url(url, **{"max_connections": MOST, **options})
            pool = cls._made.setdefault(key, made)  # another thread may have been first
        return pool
