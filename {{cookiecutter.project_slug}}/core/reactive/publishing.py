"""Sends differences on their way, from any thread of any process."""

from collections.abc import Callable, Mapping
from typing import Any

from channels.layers import InMemoryChannelLayer, get_channel_layer

from core.changes import doorbell
from core.reactive.protocol import DIFFERENCE, GROUP, NOTICE
from core.reactive.store import Finished

Hand = Callable[[Mapping[str, Any]], None]


def publish(finished: Finished) -> None:
    """Send a difference to its subscribers."""
    if finished.messages and finished.subscribers:
        send(
            {
                "type": DIFFERENCE,
                "observer": finished.observer,
                "seq": finished.seq,
                "messages": finished.messages,
                "subscribers": finished.subscribers,
            }
        )


def tell(observer: str, message: str, subscribers: Mapping[str, str | None]) -> None:
    """Send a message after which no differences come to ``subscribers``, given with their users."""
    if subscribers:
        send({"type": NOTICE, "observer": observer, "message": message, "subscribers": dict(subscribers)})


def send(message: dict[str, Any]) -> None:
    """Send ``message`` to every process with sockets. With a layer in memory that is this one: straight to them."""
    if isinstance(get_channel_layer(), InMemoryChannelLayer):
        for hand in hands:
            hand(message)
    else:
        doorbell.send(GROUP, message)


hands: list[Hand] = []
"""Who takes messages in this process: its post."""
