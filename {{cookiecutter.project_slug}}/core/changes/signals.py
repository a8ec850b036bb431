"""The two signals that carry changes, and how they are sent: no receiver can hurt the write or another receiver.

| signal | who committed | sent where, and when |
|---|---|---|
| ``changes_committed`` | this process | in the thread that wrote, after the commit, before the write returns |
| ``changes_heard`` | another process | in the thread of this process's log reader, within the poll interval |

Both are sent with ``changes``, a list of ``Change``. Every commit reaches a process by exactly one of them.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.dispatch import Signal

from core.changes.change import Change

logger = logging.getLogger(__name__)

SHOWN = 5
"""Changes that a line in the log names; of more it tells the number."""


class ChangesSignal(Signal):
    """A signal that tells when its first receiver comes and its last one goes, so that nobody works for nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.when_receivers_change: Callable[[], None] = lambda: None

    def connect(self, *args: Any, **kwargs: Any) -> None:
        """Connect a receiver, as with any signal."""
        super().connect(*args, **kwargs)
        self.when_receivers_change()

    def disconnect(self, *args: Any, **kwargs: Any) -> bool:
        """Disconnect a receiver, as with any signal."""
        found = super().disconnect(*args, **kwargs)
        self.when_receivers_change()
        return found

    def tell(self, changes: list[Change]) -> None:
        """Send ``changes`` to every receiver. What a receiver raises is logged with the changes and goes no further."""
        for receiver, result in self.send_robust(sender=Change, changes=changes):
            if isinstance(result, Exception):
                name = getattr(receiver, "__qualname__", repr(receiver))
                logger.error("The receiver %s failed on %s.", name, described(changes), exc_info=result)

    def _log_robust_failure(self, receiver: object, err: Exception) -> None:
        """Leave the logging to ``tell``, which knows the changes; Django would log the same failure without them."""


def described(changes: list[Change]) -> str:
    """Return ``changes`` as text for a log: never longer than a few lines."""
    shown = [
        f"{change.kind} {'some' if change.pks is None else len(change.pks)} of {change.model} ({change.using})"
        + (f" {list(change.pks[:SHOWN])}" if change.pks else "")
        for change in changes[:SHOWN]
    ]
    more = len(changes) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


changes_committed = ChangesSignal()
"""Sent with what a transaction of this process has changed, once, after its commit."""
changes_heard = ChangesSignal()
"""Sent with what other processes have committed, as the log tells it."""
