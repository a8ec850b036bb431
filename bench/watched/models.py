"""The same table as the floors', watched by the change stream."""

from core.changes import TrackedManager

from bench.plain.models import Row


class Watched(Row):
    """A tracked manager."""

    objects = TrackedManager()
