"""The way of a commit's changes to the world: the receivers in this process first, then the doorbell."""

import threading
import time
from dataclasses import dataclass

from core.changes import doorbell
from core.changes.change import Change
from core.changes.order import turnstile
from core.changes.process import in_child
from core.changes.signals import changes_committed

LOST_AFTER = 5.0
"""Seconds after which an entry of our own that was never published is taken for lost on the way."""
FORGOTTEN_AFTER = 120.0
"""Seconds after which nothing is expected any more of an entry that was written and never published."""


class Unpublished:
    """The entries in the log that this process has written and not yet published, by number.

    Between the two lies the COMMIT, of which a broken connection may never tell how it ended. The reader of the log
    asks here: what stands in the log and was not published is published by it.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Expect nothing."""
        self._since: dict[int, float] = {}
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        """Expect ``number`` to be published."""
        now = time.monotonic()
        with self._lock:
            while self._since and now - next(iter(self._since.values())) > FORGOTTEN_AFTER:
                del self._since[next(iter(self._since))]
            self._since[number] = now

    def discard(self, number: int) -> None:
        """Expect no more: it was published, or its transaction was rolled back for certain."""
        with self._lock:
            self._since.pop(number, None)

    def waits(self, number: int) -> float | None:
        """Return for how many seconds ``number`` has been waiting; None if it is not."""
        since = self._since.get(number)
        return None if since is None else time.monotonic() - since


unpublished = Unpublished()
"""The unpublished entries of this process."""
in_child(unpublished.reset)


@dataclass(slots=True, eq=False)
class Publication:
    """The changes of one commit, on their way. Calling it publishes; calling it again does nothing."""

    changes: list[Change]
    using: str
    number: int | None = None  # in the log
    ticket: int | None = None
    done: bool = False

    def __call__(self) -> None:
        """Publish when it is this commit's turn."""
        if self.done:
            return
        self.done = True
        turnstile.let(turnstile.draw() if self.ticket is None else self.ticket, self._publish)

    def _publish(self) -> None:
        changes_committed.tell(self.changes)
        if self.number is not None:
            unpublished.discard(self.number)
        doorbell.ring(self.using, self.changes, logged=self.number is not None)
