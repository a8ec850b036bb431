"""Listens to a group of the channel layer, whatever becomes of the layer."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from channels.layers import get_channel_layer

from core.changes.reader import LEAVE_TIMEOUT, REJOIN_INTERVAL, RETRY_PAUSE

logger = logging.getLogger(__name__)


async def listen(group: str, hear: Callable[[Mapping[str, Any]], None]) -> None:
    """Call ``hear`` with every message to ``group``, for ever.

    The group is joined again and again: a layer forgets its members after a day, and when it restarts.
    """
    failing = False
    while True:
        try:
            layer: Any = get_channel_layer()
            if layer is None:
                await asyncio.Event().wait()
            channel = await layer.new_channel()
            try:
                while True:
                    await layer.group_add(group, channel)
                    failing = False
                    await _hear(layer, channel, hear, time.monotonic() + REJOIN_INTERVAL)
            finally:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(LEAVE_TIMEOUT):
                        await layer.group_discard(group, channel)
        except Exception as error:  # noqa: BLE001 - whatever a layer may raise
            if not failing:
                logger.warning("Messages to the group %s are not heard until the layer works again: %r", group, error)
            failing = True
            await asyncio.sleep(RETRY_PAUSE)


async def _hear(layer: Any, channel: str, hear: Callable[[Mapping[str, Any]], None], until: float) -> None:
    while (left := until - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(left):
                message = await layer.receive(channel)
        except TimeoutError:
            return
        try:
            hear(message)
        except Exception:
            logger.exception("A message of the group could not be taken.")
