"""Where a reader of the log stands, and how it moves on without missing an entry. Pure.

PostgreSQL gives out ids when entries are written, not when they are committed: entry 8 may be visible while entry 7 is
still to come. So a reader that sees 8 after 6 moves on to 8 and remembers 7 as missing. It asks for 7 each time,
until it comes, or until it is certain that it never will: when every transaction that was under way as 7 was first
missed has ended, and some time has passed. The time is for a transaction that has drawn its id and not yet
been given its number by the database; as the entry is the last statement of a transaction that has written, and so
has its number, that happens only in autocommit.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from django.db.models import Q

GRACE = 10.0
"""Seconds for which a missing id is asked for in any case."""
RECENT = 1000
"""Ids before the last one that a reader asks for when it begins: those that may be under way at that moment."""
MOST_MISSING = 10_000
"""Missing ids that are remembered; of more, the oldest are given up."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """The transactions of a database at one moment, by number, and the moment.

    All below ``oldest_running`` have ended. None from ``next_one`` on had begun.
    """

    oldest_running: int
    next_one: int
    now: float

    @classmethod
    def of(cls, oldest_running: int, next_one: int) -> "Horizon":
        """Return the horizon of a snapshot that was taken now."""
        return cls(oldest_running, next_one, time.monotonic())

    @classmethod
    def settled(cls) -> "Horizon":
        """Return the horizon of a database whose ids commit in order: what is missing never comes."""
        return cls(1, 0, float("inf"))


@dataclass(frozen=True, slots=True)
class Position:
    """All up to ``last`` has been read except ``missing``, with the horizon at which each was first missed."""

    last: int
    missing: dict[int, Horizon] = field(default_factory=dict)


def begin(present: Sequence[int], horizon: Horizon) -> Position:
    """Return the position behind the ids ``present``, the last ``RECENT`` ones of the log, in any order.

    ``horizon`` was looked up before they were. An id that is lower and not there yet may belong to a transaction that
    is under way: it is missing, as if it had been overtaken while somebody read.
    """
    last = max(present, default=0)
    if horizon.now == float("inf"):
        return Position(last)
    gaps = set(range(max(last - RECENT, 0) + 1, last)).difference(present)
    return Position(last, dict.fromkeys(sorted(gaps), horizon))


def wanted(position: Position) -> Q:
    """Return the condition for entries not yet read."""
    condition = Q(id__gt=position.last)
    return condition | Q(id__in=list(position.missing)) if position.missing else condition


def advance(position: Position, read: Sequence[int], horizon: Horizon) -> Position:
    """Return the position after the entries ``read``, in ascending order, were read.

    ``horizon`` was looked up before they were.
    """
    last = max(position.last, read[-1]) if read else position.last
    present = set(read)
    missing = {
        id_: since for id_, since in position.missing.items() if id_ not in present and not _never_comes(since, horizon)
    }
    fresh = [id_ for id_ in range(max(position.last, last - MOST_MISSING) + 1, last) if id_ not in present]
    if horizon.now != float("inf"):
        missing.update(dict.fromkeys(fresh, horizon))
    while len(missing) > MOST_MISSING:
        del missing[next(iter(missing))]
    return replace(position, last=last, missing=missing)


def _never_comes(since: Horizon, horizon: Horizon) -> bool:
    return horizon.oldest_running >= since.next_one and horizon.now - since.now > GRACE
