"""Which changes belong to which savepoint, and what becomes of them when savepoints end. Pure.

Every frame holds the changes made while the same savepoints were open. Frames form a stack: the savepoints of each
are those of the one below and at least one more. A frame whose savepoints are no longer all open was either
rolled back, and is dropped, or released: then its changes belong to what was around it. Merging at that moment
keeps the memory of a transaction of a million savepoints as small as that of one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from core.changes.ledger import Ledger

Savepoints = tuple[str, ...]


@dataclass(slots=True, eq=False)
class Frame:
    """The changes made within ``savepoints``, outermost first."""

    savepoints: Savepoints
    ledger: Ledger


_Frame = TypeVar("_Frame", bound=Frame)


def settle(
    frames: list[_Frame],
    open_now: Savepoints,
    alive: Callable[[_Frame], bool],
    moved: Callable[[_Frame, _Frame | None], None],
) -> None:
    """Bring the stack of ``frames`` up to date with the savepoints that are open now.

    ``alive`` tells whether a frame has escaped every rollback so far. ``moved`` is told of each frame that survived
    the end of its savepoints: with the frame that took its changes over, or with None when it stays itself and its
    ``savepoints`` have become fewer.
    """
    while frames:
        top = frames[-1]
        if not alive(top):
            frames.pop()
            continue
        kept = _common(top.savepoints, open_now)
        if len(kept) == len(top.savepoints):
            return
        if len(frames) > 1 and len(frames[-2].savepoints) >= len(kept):
            frames.pop()
            frames[-1].ledger.merge(top.ledger)
            moved(top, frames[-1])
        else:
            top.savepoints = kept
            moved(top, None)


def _common(one: Savepoints, other: Savepoints) -> Savepoints:
    length = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        length += 1
    return one[:length]
