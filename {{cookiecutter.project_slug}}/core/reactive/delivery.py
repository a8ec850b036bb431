"""How differences reach the sockets: from any worker, by the channel layer, to the processes where the sockets are.

A layer may lose what it is given. Each process therefore asks the journal for what its sockets have missed: when the
numbers show a gap, when a socket connects, and every half ``REPAIR_INTERVAL`` in case there is nothing to show it.
With a layer in memory there is but one process, and what is published goes straight to its sockets.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.db import connections

from core.changes.listening import listen
from core.changes.process import in_child
from core.conf import core_settings
from core.reactive import catching_up, housekeeping
from core.reactive.protocol import DIFFERENCE, GROUP, NOTICE
from core.reactive.publishing import hands
from core.reactive.registry import Line, Registry, Socket

logger = logging.getLogger(__name__)


class Post:
    """Brings messages to the sockets of this process. Its state belongs to the event loop; ``put`` to any thread."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew, with no sockets."""
        self.registry = Registry()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._behind: set[str] = set()
        self._wanted: asyncio.Event | None = None

    def put(self, message: Mapping[str, Any]) -> None:
        """Hand ``message`` to the sockets here, if there are any."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended, and the sockets with it
                self._loop.call_soon_threadsafe(self.deliver, message)

    def deliver(self, message: Mapping[str, Any]) -> None:
        """Send what ``message`` holds to the sockets it is for."""
        if message["type"] == DIFFERENCE:
            self.late(
                self.registry.deliver(message["observer"], message["seq"], message["messages"], message["subscribers"])
            )
        elif message["type"] == NOTICE:
            self.registry.end(message["observer"], message["message"], message["subscribers"])

    def late(self, subscribers: Iterable[str]) -> None:
        """Have the journal asked soon for what ``subscribers`` have missed."""
        self._behind.update(subscribers)
        if self._behind and self._wanted is not None:
            self._wanted.set()

    def connect(self, socket: Socket) -> Line:
        """Take in a socket, and have it sent what its subscriber has missed."""
        self._loop = asyncio.get_running_loop()
        line = self.registry.add(socket)
        self.late([socket.subscriber])
        return line

    # --- The job of the server's process ---

    async def run(self) -> None:
        """Listen to the workers, and make good what was lost, for ever."""
        self._loop, self._wanted = asyncio.get_running_loop(), asyncio.Event()
        threads = ThreadPoolExecutor(1, "core.reactive.sockets")
        try:
            async with asyncio.TaskGroup() as tasks:
                if not isinstance(get_channel_layer(), InMemoryChannelLayer):
                    tasks.create_task(listen(GROUP, self.deliver))
                tasks.create_task(self._catch_up_for_ever(threads))
                tasks.create_task(housekeeping.keep_house(self.registry.subscribers, threads))
        finally:
            self._wanted = None
            with contextlib.suppress(RuntimeError):  # at the end of the interpreter, which waits for them itself
                await asyncio.to_thread(threads.shutdown, cancel_futures=True)

    async def _catch_up_for_ever(self, threads: Executor) -> None:
        assert self._wanted is not None  # noqa: S101 - set by run
        if self._behind:
            self._wanted.set()
        failing = False
        while True:
            try:
                async with asyncio.timeout(core_settings.REACTIVE.REPAIR_INTERVAL / 2):
                    await self._wanted.wait()
                behind, self._behind = self._behind, set()
            except TimeoutError:
                behind = set(self.registry.subscribers())
            self._wanted.clear()
            try:
                await self._catch_up(behind, threads)
                failing = False
            except Exception as error:  # noqa: BLE001 - whatever a database may raise
                if not failing:
                    logger.warning("What sockets have missed cannot be read; trying on: %r", error)
                failing = True
                self._behind |= behind
                await asyncio.sleep(RETRY_PAUSE)

    async def _catch_up(self, subscribers: Iterable[str], threads: Executor) -> None:
        """Send to all sockets of ``subscribers`` what the database says they have not been sent."""
        lines = self.registry.lines(subscribers)
        if not lines:
            return
        sent = [(line.socket.subscriber, dict(line.sent)) for line in lines]
        loop = asyncio.get_running_loop()
        missed = await loop.run_in_executor(threads, _closing, catching_up.missed, sent)
        for line, letters in zip(lines, missed, strict=True):
            for letter in letters:
                letter.deliver(line)


RETRY_PAUSE = 1.0
"""Seconds after the database has failed."""


def _closing(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    finally:
        connections.close_all()


post = Post()
"""The post of this process."""
hands.append(post.put)
in_child(post.reset)
