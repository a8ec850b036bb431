"""The reader: tells this process what others have committed.

One task per server process. It looks into the log whenever a doorbell rings, and every ``POLL_INTERVAL`` seconds in
case one was lost, and sends ``changes_heard``. Between two looks it holds no database connection.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Final

from django.db import connections

from core.changes import log
from core.changes.change import Change
from core.changes.doorbell import GROUP, RING
from core.changes.listening import listen
from core.changes.position import Position
from core.changes.process import this_process
from core.changes.publisher import LOST_AFTER, unpublished
from core.changes.signals import changes_heard
from core.conf import core_settings

logger = logging.getLogger(__name__)

MOST_CARRIED: Final = 1000
"""Doorbells with changes in them that wait to be published; after more, everything counts as changed."""


class Reader:
    """Reads the logs of all databases on from where it stands, and publishes what it finds.

    It begins by taking everything as changed: what a process did that was killed after its commit is in the log, and
    nobody may have been there to read it.
    """

    def __init__(self) -> None:
        self._positions: dict[str, Position] = {}
        self._undecided: dict[str, list[log.Entry]] = {}
        self._prune_at = 0.0
        self._failing: set[str] = set()

    def poll(self) -> None:
        """Read and publish what is new, and prune when it is time. Closes the connections it has used.

        A database that fails is logged, once until it works again, and is in the way of no other.
        """
        aliases = log.aliases()
        pruning = bool(aliases) and time.monotonic() >= self._prune_at
        if pruning:
            # Not all processes at once.
            interval = core_settings.CHANGES.PRUNE_INTERVAL
            self._prune_at = time.monotonic() + interval * random.uniform(0.75, 1.25)  # noqa: S311
        for using in aliases:
            try:
                self._look(using, pruning=pruning)
                self._failing.discard(using)
            except Exception as error:  # noqa: BLE001 - whatever a database may raise
                if using not in self._failing:
                    logger.warning("The log of %s cannot be read; trying on: %r", using, error)
                self._failing.add(using)

    def _look(self, using: str, *, pruning: bool) -> None:
        try:
            self._read(using)
            if pruning:
                log.prune(using)
        finally:
            connections[using].close()

    def _read(self, using: str) -> None:
        position = self._positions.get(using)
        if position is None:
            self._positions[using] = log.end(using)
            _publish(log.everything(using))
            return
        while True:
            reading = log.changes_since(position, using)
            # Moved on before publishing: whatever a receiver does, no entry is published twice.
            self._positions[using] = position = reading.position
            if reading.missed:
                logger.warning("The log of %s was pruned before it was read: everything counts as changed.", using)
                self._undecided.pop(using, None)
                _publish(log.everything(using))
            else:
                for entry in self._news(using, reading.entries):
                    _publish(entry.changes)
            if not reading.more:
                return

    def _news(self, using: str, entries: list[log.Entry]) -> list[log.Entry]:
        """Return the entries that ``changes_committed`` has not told of in this process."""
        news, undecided = [], []
        for entry in [*self._undecided.get(using, ()), *entries]:
            if entry.origin != this_process.origin:
                news.append(entry)
            elif (waiting := unpublished.waits(entry.number)) is None:
                continue
            elif waiting < LOST_AFTER:
                undecided.append(entry)
            else:
                logger.warning("A commit of this process was not published; the log makes up for it.")
                unpublished.discard(entry.number)
                news.append(entry)
        self._undecided[using] = undecided
        return news


def _publish(changes: list[Change]) -> None:
    if changes:
        changes_heard.tell(changes)


def _taking(rung: asyncio.Event, threads: Executor) -> Callable[[Mapping[str, Any]], None]:
    """Return what takes the doorbells of other processes: sets ``rung``, or publishes the changes that one carries."""
    carried = _Carried(threads)

    def take(message: Mapping[str, Any]) -> None:
        if message.get("type") != RING or message["origin"] == this_process.origin:
            return
        if message["changes"] is None:
            rung.set()
        else:
            carried.take(message["changes"], message["using"])

    return take


class _Carried:
    """What doorbells have carried here, on its way to the receivers: a bounded number, in order.

    Where receivers are slower than others write, the changes of a database that found no room are published as
    "anything may have changed", after those that did. ``threads`` has one thread, so that nothing overtakes another.
    """

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._room = threading.Semaphore(MOST_CARRIED)
        self._missed: set[str] = set()

    def take(self, text: str, using: str) -> None:
        """Have the changes ``text`` of the database ``using`` published, from the event loop."""
        if using in self._missed:
            return
        if self._room.acquire(blocking=False):
            self._threads.submit(self._publish, text, using)
        else:
            logger.warning("More of %s was changed than receivers keep up with: everything counts as changed.", using)
            self._missed.add(using)
            self._threads.submit(self._publish_missed, using)

    def _publish(self, text: str, using: str) -> None:
        self._room.release()
        _publish_carried(text, using)

    def _publish_missed(self, using: str) -> None:
        # Before publishing: what comes from now on has not been told of.
        self._missed.discard(using)
        _publish_carried(None, using)


def _publish_carried(text: str | None, using: str) -> None:
    """Publish the changes ``text`` of the database ``using``; None: anything may have changed. Never raises."""
    try:
        _publish(log.everything(using) if text is None else log.decoded(text, using))
    except Exception:
        logger.exception("What a doorbell carried could not be published.")
    finally:
        connections.close_all()


_begun: asyncio.Event | None = None


async def begun() -> None:
    """Wait, where the reader is a job of this process, until it has read for the first time.

    It begins with "anything may have changed", which is of no use to who comes after that.
    """
    if _begun is not None:
        await _begun.wait()


async def run() -> None:
    """Listen and read for ever: the job of the server's process."""
    global _begun  # noqa: PLW0603 - one per process
    _begun = asyncio.Event()
    rung = asyncio.Event()
    # A thread of its own, because the one that synchronous views share may be busy; always the same, because Django
    # keeps connections to a cache per thread.
    threads = ThreadPoolExecutor(1, "core.changes.reader")
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listen(GROUP, _taking(rung, threads)))
            tasks.create_task(_read_for_ever(Reader(), rung, threads))
    finally:
        _begun = None
        threads.shutdown(wait=False)


async def _read_for_ever(reader: Reader, rung: asyncio.Event, threads: Executor) -> None:
    failing = False
    while True:
        rung.clear()
        try:
            await asyncio.get_running_loop().run_in_executor(threads, reader.poll)
            failing = False
        except Exception as error:  # noqa: BLE001 - whatever a database or a receiver may raise
            if not failing:
                logger.warning("The log cannot be read; trying on: %r", error)
            failing = True
        if _begun is not None:
            _begun.set()
        try:
            async with asyncio.timeout(core_settings.CHANGES.POLL_INTERVAL):
                await rung.wait()
        except TimeoutError:
            pass
