"""How differences reach the sockets: from any worker, by the channel layer, to the processes where the sockets are.

A layer may lose what it is given. Each process therefore asks the journal for what its sockets have missed: when the
numbers show a gap, when a socket connects, and every half ``REPAIR_INTERVAL`` in case there is nothing to show it.
With a layer in memory there is but one process, and what is published goes straight to its sockets.

Before anything goes out to somebody who is logged in, it is asked whether they still are: another process may have
logged them out. What comes meanwhile waits and is asked for together, a few queries for all of it. And what a user has
subscribed to goes to sockets of that user alone, whoever else may hold the subscriber's id.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Final

from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.db import connections

from core.changes.listening import listen
from core.changes.process import in_child
from core.conf import core_settings
from core.reactive import catching_up, housekeeping
from core.reactive.protocol import DIFFERENCE, GROUP, NOTICE
from core.reactive.publishing import hands
from core.reactive.registry import Line, Registry, Socket
from core.sockets.credentials import Credential, rights_of

logger = logging.getLogger(__name__)

MOST_WAITING: Final = 1000
"""Messages that wait for callers to be checked; what comes beyond that is read from the journal."""


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
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._came: asyncio.Event | None = None

    def put(self, message: Mapping[str, Any]) -> None:
        """Hand ``message`` to the sockets here, if there are any."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended, and the sockets with it
                self._loop.call_soon_threadsafe(self.deliver, message)

    def deliver(self, message: Mapping[str, Any]) -> None:
        """Send what ``message`` holds to the sockets it is for: at once, or once their callers have been checked."""
        lines = self.registry.lines(message["subscribers"])
        if not lines:
            return
        if not self._waiting and all(line.socket.credential is None for line in lines):
            self._hand_out(message)
        elif len(self._waiting) >= MOST_WAITING:
            self.late(line.socket.subscriber for line in lines)
        else:
            self._waiting.append(message)
            if self._came is not None:
                self._came.set()

    def _hand_out(self, message: Mapping[str, Any]) -> None:
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
        self._loop, self._wanted, self._came = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        threads = ThreadPoolExecutor(3, "core.reactive.sockets")  # one for each of the tasks that ask the database
        try:
            async with asyncio.TaskGroup() as tasks:
                if not isinstance(get_channel_layer(), InMemoryChannelLayer):
                    tasks.create_task(listen(GROUP, self.deliver))
                tasks.create_task(self._hand_out_for_ever(self._came, threads))
                tasks.create_task(self._catch_up_for_ever(threads))
                tasks.create_task(housekeeping.keep_house(self.registry.subscribers, threads))
        finally:
            self._wanted = self._came = None
            with contextlib.suppress(RuntimeError):  # at the end of the interpreter, which waits for them itself
                await asyncio.to_thread(threads.shutdown, cancel_futures=True)

    async def _hand_out_for_ever(self, came: asyncio.Event, threads: Executor) -> None:
        failing = False
        while True:
            while self._waiting:
                messages = list(self._waiting)
                subscribers = {each for message in messages for each in message["subscribers"]}
                try:
                    await self._check(subscribers, threads)
                    failing = False
                except Exception as error:  # noqa: BLE001 - whatever a database may raise
                    if not failing:
                        logger.warning("Callers cannot be checked; what is for them waits in the journal: %r", error)
                    failing = True
                    self.late(line.socket.subscriber for line in self.registry.lines(subscribers))
                else:
                    for message in messages:
                        self._hand_out(message)
                for _ in messages:
                    self._waiting.popleft()
            await came.wait()
            came.clear()

    async def _check(self, subscribers: Iterable[str], threads: Executor) -> None:
        """Bar the sockets of ``subscribers`` whose caller has lost the right to be here."""
        checked: set[Line] = set()
        # More may have connected while it was asked.
        while lines := set(self.registry.lines(subscribers)) - checked:
            checked |= lines
            if credentials := {line.socket.credential for line in lines if line.socket.credential is not None}:
                loop = asyncio.get_running_loop()
                _bar(lines, await loop.run_in_executor(threads, _closing, _lost, credentials))

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
                await asyncio.sleep(RETRY_PAUSE)
                self.late(behind)

    async def _catch_up(self, subscribers: Iterable[str], threads: Executor) -> None:
        """Send to all sockets of ``subscribers`` what the database says they have not been sent."""
        lines = self.registry.lines(subscribers)
        if not lines:
            return
        sent = [(line.socket.subscriber, dict(line.sent)) for line in lines]
        credentials = {line.socket.credential for line in lines if line.socket.credential is not None}
        loop = asyncio.get_running_loop()
        missed, lost = await loop.run_in_executor(threads, _closing, _missed, sent, credentials)
        _bar(lines, lost)
        for line, letters in zip(lines, missed, strict=True):
            for letter in letters:
                letter.deliver(line)


RETRY_PAUSE = 1.0
"""Seconds after the database has failed."""


def _missed(
    sent: Sequence[tuple[str, dict[str, int]]], credentials: AbstractSet[Credential]
) -> tuple[list[list[catching_up.Letter]], AbstractSet[Credential]]:
    """Return what sockets have missed, and the credentials that hold no longer; these are asked for last."""
    return catching_up.missed(sent), _lost(credentials)


def _lost(credentials: AbstractSet[Credential]) -> AbstractSet[Credential]:
    return rights_of(credentials).lost if credentials else credentials


def _bar(lines: Iterable[Line], lost: AbstractSet[Credential]) -> None:
    for line in lines:
        if line.socket.credential in lost:
            line.socket.bar()


def _closing(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    finally:
        connections.close_all()


post = Post()
"""The post of this process."""
hands.append(post.put)
in_child(post.reset)
