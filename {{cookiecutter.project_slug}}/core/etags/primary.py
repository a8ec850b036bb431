"""Reads that go where the writes go, for as long as a conditional write lasts.

Where a router sends reads to a replica, a write would be compared with rows of a moment ago, and made of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import router
from django.db.models import Model

_writing: ContextVar[bool] = ContextVar("core.etags.primary", default=False)


class PrimaryRouter:
    """Stands in front of the project's routers, and has an opinion during a conditional write only."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """Return the database that ``model`` is written to."""
        return router.db_for_write(model, **hints) if _writing.get() else None


_primary = PrimaryRouter()


@contextmanager
def reading_from_primary() -> Iterator[None]:
    """Send the reads of this thread to the database that is written. Queries that name a database keep to it."""
    # A project without routers has one database to read from, and its name is on every row.
    if router.routers and _primary not in router.routers:
        router.routers.insert(0, _primary)
    token = _writing.set(True)
    try:
        yield
    finally:
        _writing.reset(token)
