"""Publications leave in the order of their commits, whichever threads they come from.

A thread draws a ticket before it sends COMMIT. Transactions that touch the same rows wait for each other in the
database, so the later of the two draws the later ticket; of transactions that do not, nobody can tell the order.
After the commit each waits until all earlier tickets are spent. It holds no lock of the database by then, so
nothing can wait for it in a circle; still no wait is longer than ``PATIENCE``, for a receiver may block.
"""

import itertools
import logging
import threading
import time
from collections.abc import Callable

from core.changes.process import in_child

logger = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds after which a publication no longer waits for an earlier one."""


class Turnstile:
    """Lets publications through one at a time, in the order of their tickets."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew, with nobody waiting."""
        self._numbers = itertools.count(1)
        self._outstanding: dict[int, float] = {}  # ticket: when it was drawn; in order
        self._changed = threading.Condition()
        self._here = threading.local()

    def draw(self) -> int:
        """Return a ticket. It has to be spent with ``let`` or ``give_back``."""
        with self._changed:
            ticket = next(self._numbers)
            self._outstanding[ticket] = time.monotonic()
            return ticket

    def give_back(self, ticket: int) -> None:
        """Spend a ticket on nothing: its transaction was rolled back."""
        with self._changed:
            self._outstanding.pop(ticket, None)
            self._changed.notify_all()

    def let(self, ticket: int, publish: Callable[[], None]) -> None:
        """Call ``publish`` when it is the turn of ``ticket``.

        When this thread is in the middle of a publication already (a receiver has written to the database), that
        one is finished first and ``publish`` is called before the outer ``let`` returns.
        """
        waiting: list[tuple[int, Callable[[], None]]] | None = getattr(self._here, "waiting", None)
        if waiting is not None:
            waiting.append((ticket, publish))
            return
        self._here.waiting = waiting = [(ticket, publish)]
        try:
            self._all(waiting)
        finally:
            self._here.waiting = None

    def _all(self, waiting: list[tuple[int, Callable[[], None]]]) -> None:
        try:
            while waiting:
                self._one(*waiting.pop(0))
        finally:
            if waiting:  # an interrupt in one publication takes nothing from the others: they were committed too
                self._all(waiting)

    def _one(self, ticket: int, publish: Callable[[], None]) -> None:
        self._wait_for(ticket)
        try:
            publish()
        finally:
            self.give_back(ticket)

    def _wait_for(self, ticket: int) -> None:
        with self._changed:
            while ticket in self._outstanding and (first := next(iter(self._outstanding))) != ticket:
                left = self._outstanding[first] + PATIENCE - time.monotonic()
                if left <= 0:
                    logger.warning("A publication does not wait any longer for one that began %s s ago.", PATIENCE)
                    del self._outstanding[first]
                    self._changed.notify_all()
                else:
                    self._changed.wait(left)


turnstile = Turnstile()
"""The turnstile of this process."""
in_child(turnstile.reset)
