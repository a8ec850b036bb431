"""Live queries: the first answer comes over HTTP, every later change as a difference over a WebSocket.

A view is made live by ``observable``. ``GET ...?observe=<subscriber>`` subscribes and answers (``subscribing``). Of
each question that is asked there is one observer in the database (``store``). A worker (``worker``) reads the change
log, finds out which observers a commit concerns (``matching``) and asks their questions anew (``evaluation``). What has
changed (``differences``) is kept in a journal and goes to the sockets (``delivery``), which make good from the journal
what was lost on the way. Described in ``docs/reactive.md``.
"""

from typing import TYPE_CHECKING, Any

from core.reactive.decorators import observable
from core.reactive.protocol import CHANNEL_POLL_OBSERVER, CHANNEL_WORKER_NOTIFY

if TYPE_CHECKING:
    from core.reactive.consumers import ClientConsumer, PollObserversConsumer, WorkerConsumer

__all__ = [
    "CHANNEL_POLL_OBSERVER",
    "CHANNEL_WORKER_NOTIFY",
    "ClientConsumer",
    "PollObserversConsumer",
    "WorkerConsumer",
    "observable",
]


def __getattr__(name: str) -> Any:
    """Import the consumers when they are asked for: they need the models, which views may be imported before."""
    if name in {"ClientConsumer", "PollObserversConsumer", "WorkerConsumer"}:
        from core.reactive import consumers

        return getattr(consumers, name)
    raise AttributeError(name)
