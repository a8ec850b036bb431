"""How far into the log of changes an answer reaches. Pure, but for ``coverage_now``.

An answer holds every commit that its evaluation could see. Whoever evaluates looks, before they begin, which entries of
the log are there, and writes that down with the answer: ``{alias: [last id, [ids below it that were missing]]}``. An
entry that is not among them may still have to be answered for.
"""

from collections.abc import Mapping
from typing import Any

from core.changes import log
from core.changes.position import Position

Coverage = Mapping[str, Any]


def coverage(positions: Mapping[str, Position]) -> dict[str, Any]:
    """Return what a reader that stands at ``positions`` has seen."""
    return {using: [position.last, sorted(position.missing)] for using, position in positions.items()}


def coverage_now() -> dict[str, Any]:
    """Return what is there now, in every database that has a log."""
    return coverage({using: log.end(using) for using in log.aliases()})


def covers(covered: Coverage, using: str, number: int) -> bool:
    """Tell whether the entry ``number`` is in ``covered``."""
    if using not in covered:
        return False
    last, missing = covered[using]
    return number <= last and number not in missing


def reaches(covered: Coverage, using: str, number: int) -> bool:
    """Tell whether ``covered`` goes as far as ``number``, whatever is missing before."""
    return using in covered and covered[using][0] >= number
