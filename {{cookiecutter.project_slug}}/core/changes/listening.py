"""Listens to a group of the channel layer, whatever becomes of the layer."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from channels.layers import get_channel_layer

logger = logging.getLogger(__name__)

REJOIN_INTERVAL: Final = 10.0
"""Seconds between two times of joining a group: a layer forgets its members when it restarts."""
RETRY_PAUSE: Final = 1.0
"""Seconds of deafness after the layer has failed."""
LEAVE_TIMEOUT: Final = 1.0
"""Seconds that leaving the group may take when the process ends."""
AGAIN: Final = 0.1
"""Seconds between two attempts to end a receiving that goes on."""

Hear = Callable[[Mapping[str, Any]], None]


async def listen(group: str, hear: Hear) -> None:
    """Call ``hear`` with every message to ``group``, for ever.

    The group is joined again and again: a layer forgets its members after a day, and when it restarts.
    """
    failing = False
    while True:
        layer: Any = get_channel_layer()
        if layer is None:
            await asyncio.Event().wait()
        try:
            # Of the usual kind, as every consumer's: a Redis layer has one task at a time that waits, for one kind of
            # channel, and hands out to the others what arrives for them. Of another kind we would starve each other.
            channel = await layer.new_channel()
            try:
                while True:
                    await layer.group_add(group, channel)
                    failing = False
                    await _hear_for(REJOIN_INTERVAL, layer, channel, hear)
            finally:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(LEAVE_TIMEOUT):
                        await layer.group_discard(group, channel)
        except Exception as error:  # noqa: BLE001 - whatever a layer may raise
            if not failing:
                logger.warning("Messages to the group %s are not heard until the layer works again: %r", group, error)
            failing = True
            await asyncio.sleep(RETRY_PAUSE)


def end_if_cancelled() -> None:
    """Raise ``CancelledError`` if this task has been cancelled, and what it waited for has swallowed that.

    On Python 3.11 a cancellation that comes while redis-py writes to its connection is lost. Who uses a channel layer
    again and again, for ever, calls this in between.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _hear_for(seconds: float, layer: Any, channel: str, hear: Hear) -> None:
    """Hear what comes on ``channel``; return after about ``seconds``, or after the first message beyond them."""
    end_if_cancelled()  # joining may have swallowed it
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    receiving: asyncio.Task[Any] | None = None
    try:
        while (left := until - loop.time()) > 0:
            receiving = receiving or loop.create_task(layer.receive(channel))
            await asyncio.wait({receiving}, timeout=left)
            if receiving.done():
                message, receiving = receiving.result(), None
                _call(hear, message)
    finally:
        while receiving is not None and not receiving.done():
            receiving.cancel()
            await asyncio.wait({receiving}, timeout=AGAIN)


def _call(hear: Hear, message: Mapping[str, Any]) -> None:
    try:
        hear(message)
    except Exception:
        logger.exception("A message of a group could not be taken.")
