"""The same table as the floors', watched by the change stream."""

from bench.plain.models import Row
from core.changes import TrackedManager


class Watched(Row):
    """A tracked manager."""

    objects = TrackedManager()
