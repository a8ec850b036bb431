"""Runs a worker in this process: the loop around ``Worker``, and who starts it.

With a channel layer in memory every server process has its worker, and there is nothing to start. Otherwise it is
started by ``WorkerConsumer`` (in ``runworker``) or by ``manage.py observerworker``.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.db import connections

from core.changes import Change, changes_committed, changes_heard
from core.changes.doorbell import GROUP as DOORBELLS
from core.changes.listening import listen
from core.conf import core_settings
from core.reactive import store
from core.reactive.evaluating import run as evaluate
from core.reactive.protocol import CHANNEL_POLL_OBSERVER, CHANNEL_WORKER_NOTIFY, NOTIFY
from core.reactive.worker import Claim, Worker
from core.release import release

logger = logging.getLogger(__name__)

TICK: Final = 2.0
"""Seconds between two messages that have a ``runworker`` begin that has just been started."""
RETRY_PAUSE: Final = 1.0
"""Seconds after the database has failed."""


class Host:
    """The worker of this process, from when it is wanted."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._wanted: asyncio.Event | None = None
        self._asked = False

    def want(self) -> None:
        """Have a worker run in this process, if its jobs run. To be called on the event loop, or before it."""
        self._asked = True
        if self._wanted is not None:
            self._wanted.set()
        if self._wake is not None:
            self._wake.set()

    def wake(self) -> None:
        """Have the worker look at once; from any thread."""
        loop, wake = self._loop, self._wake
        if loop is not None and wake is not None:
            try:
                loop.call_soon_threadsafe(wake.set)
            except RuntimeError:
                logger.debug("The worker was woken after the end of its loop.")

    async def run(self) -> None:
        """Wait until a worker is wanted here, and be one. A job."""
        self._wanted = asyncio.Event()
        await asyncio.to_thread(release)  # while the files are those that this process has loaded
        if self._asked or isinstance(get_channel_layer(), InMemoryChannelLayer):
            self._wanted.set()
        await self._wanted.wait()
        await self._work()

    async def _work(self) -> None:
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        worker = Worker()

        def hear(changes: list[Change], **_: Any) -> None:
            worker.hear(changes)
            self.wake()

        for signal in (changes_committed, changes_heard):
            signal.connect(hear, weak=False, dispatch_uid=_UID)
        try:
            async with asyncio.TaskGroup() as tasks:
                if not isinstance(get_channel_layer(), InMemoryChannelLayer):
                    tasks.create_task(listen(DOORBELLS, self._rung))
                tasks.create_task(_Shift(worker, self._wake).run())
        finally:
            for signal in (changes_committed, changes_heard):
                signal.disconnect(dispatch_uid=_UID)
            self._loop = self._wake = None

    def _rung(self, message: Mapping[str, Any]) -> None:
        del message
        if self._wake is not None:
            self._wake.set()


_UID: Final = "core.reactive.hosting"


class _Shift:
    """Has a worker look and evaluate, again and again; each blocking step in a thread."""

    def __init__(self, worker: Worker, wake: asyncio.Event) -> None:
        self.worker = worker
        self.wake = wake
        self.held: dict[str, asyncio.Task[None]] = {}
        self.free = True  # a thread has become free since the last look

    async def run(self) -> None:
        most = core_settings.REACTIVE.MAX_WORKERS
        looking = ThreadPoolExecutor(1, "core.reactive.worker")
        evaluating = ThreadPoolExecutor(most, "core.reactive.evaluation")
        loop = asyncio.get_running_loop()
        renew_at, failing = 0.0, False
        try:
            while True:
                self.wake.clear()
                leases = list(self.held) if time.monotonic() >= renew_at else []
                if leases:
                    renew_at = time.monotonic() + store.LEASE / 3
                try:
                    claims, due = await loop.run_in_executor(looking, self._look, most - len(self.held), leases)
                    failing = False
                except Exception as error:  # noqa: BLE001 - whatever a database may raise
                    if not failing:
                        logger.warning("Live queries cannot be looked after; trying on: %r", error)
                    failing = True
                    await asyncio.sleep(RETRY_PAUSE)
                    continue
                for claim in claims:
                    self._begin(claim, loop, evaluating)
                await self._rest(due)
        finally:
            for task in self.held.values():
                task.cancel()
            with contextlib.suppress(RuntimeError):  # at the end of the interpreter, which waits for them itself
                await asyncio.to_thread(_shut, looking, evaluating)

    def _look(self, room: int, leases: list[str]) -> tuple[list[Claim], float | None]:
        try:
            store.renew(leases)
            self.worker.look()
            claims = self.worker.claim(room) if room > 0 else []
            return claims, store.next_due(self.worker.code)
        finally:
            connections.close_all()

    def _begin(self, claim: Claim, loop: asyncio.AbstractEventLoop, threads: ThreadPoolExecutor) -> None:
        async def evaluated() -> None:
            try:
                await loop.run_in_executor(threads, _closing, evaluate, claim.row, claim.covered)
            except Exception:
                logger.exception("An evaluation could not be brought to its end; it is begun anew.")
            finally:
                del self.held[claim.row.lease]
                self.wake.set()

        self.held[claim.row.lease] = loop.create_task(evaluated())

    async def _rest(self, due: float | None) -> None:
        """Wait until there may be something to do."""
        pause = core_settings.CHANGES.POLL_INTERVAL
        if due is not None and len(self.held) < core_settings.REACTIVE.MAX_WORKERS:
            pause = max(0.0, min(pause, due - time.time()))
        try:
            async with asyncio.timeout(pause):
                await self.wake.wait()
        except TimeoutError:
            pass


def _shut(*pools: ThreadPoolExecutor) -> None:
    """Wait for what threads still do, so that they leave nothing half done."""
    for pool in pools:
        pool.shutdown(wait=True, cancel_futures=True)


def _closing(function: Callable[..., Any], *arguments: Any) -> None:
    try:
        function(*arguments)
    finally:
        connections.close_all()


host = Host()
"""The host of this process."""


async def tick() -> None:
    """Send messages to the workers' channels for ever, so that a ``runworker`` starts its worker. A job of servers."""
    while True:
        layer: Any = get_channel_layer()
        for channel in (CHANNEL_WORKER_NOTIFY, CHANNEL_POLL_OBSERVER):
            try:
                async with asyncio.timeout(TICK):
                    await layer.send(channel, {"type": NOTIFY})
            except Exception as error:  # noqa: BLE001 - full where no such worker runs, or whatever a layer may raise
                logger.debug("The workers' channel %s takes no message: %r", channel, error)
        await asyncio.sleep(TICK)
