"""Background tasks of the server process: started with it, restarted when they end, stopped with it.

ASGI servers differ in what they tell an application. uvicorn sends lifespan events, daphne and ``runserver`` send
none; ``runserver`` with reload ends its process from another thread. So tasks are started by the first scope that
arrives, whatever it is, and stopped by whichever comes first: the lifespan's shutdown, the shutdown of the
Twisted reactor (daphne), or the end of the interpreter (reload, Ctrl-C). That end has an order: first no pool of
threads takes work any more, and only then the handlers of ``atexit`` run. Jobs need threads to end well, so they are
stopped before that.
"""

import asyncio
import atexit
import concurrent.futures.thread  # noqa: F401 - its handler is to be registered before ours, which then runs first
import logging
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Job = Callable[[], Awaitable[None]]

FIRST_PAUSE = 0.5
"""Seconds before a job that ended is started again; doubled each time, as long as it keeps ending early."""
LONGEST_PAUSE = 30.0
"""Seconds that a pause never exceeds, and after which a job that ran counts as healthy again."""
STOP_TIMEOUT = 5.0
"""Seconds that jobs have to end after they were cancelled."""


@dataclass(frozen=True, slots=True)
class _Running:
    loop: asyncio.AbstractEventLoop
    tasks: tuple[asyncio.Task[None], ...]


class Supervisor:
    """Keeps jobs running on the event loop of the server.

    A job is a function without arguments that gives a coroutine meant to run for ever. When it returns or raises,
    that is logged and it is called again after a pause. It is cancelled at shutdown, once.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._running: _Running | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def add(self, name: str, job: Job) -> None:
        """Have ``job`` run in every server process. Raises ``ValueError`` for a name that is taken, or too late."""
        if name in self._jobs:
            raise ValueError(f"A background job named {name!r} is there already.")
        if self._running:
            raise ValueError(f"The server runs already: add the background job {name!r} before it starts.")
        self._jobs[name] = job

    @property
    def running(self) -> bool:
        """Whether the jobs have been started and not yet been stopped."""
        return self._running is not None and not self._stopped

    def start(self) -> None:
        """Start every job on the running event loop. Does nothing when they run already, or once stopped."""
        if self._running or self._stopped or not self._jobs:
            return
        loop = asyncio.get_running_loop()
        tasks = tuple(loop.create_task(self._keep(name, job), name=name) for name, job in self._jobs.items())
        self._running = _Running(loop, tasks)
        _before_threads_end(self._stop_from_outside)
        _before_reactor_stops(self.stop)

    async def stop(self) -> None:
        """Cancel every job and wait until all have ended, at most ``STOP_TIMEOUT``. May be called again."""
        with self._lock:
            already, self._stopped = self._stopped, True
        if already or not self._running:
            return
        for task in self._running.tasks:
            task.cancel()
        _, late = await asyncio.wait(self._running.tasks, timeout=STOP_TIMEOUT)
        for task in late:
            logger.error("The background job %r did not end within %s s.", task.get_name(), STOP_TIMEOUT)

    async def _keep(self, name: str, job: Job) -> None:
        pause = FIRST_PAUSE
        while not self._stopped:
            started = time.monotonic()
            try:
                await job()
                if self._stopped:  # it swallowed the cancellation
                    return
                logger.error("The background job %r ended by itself; it starts again in %s s.", name, pause)
            except Exception:
                logger.exception("The background job %r failed; it starts again in %s s.", name, pause)
            if time.monotonic() - started > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _stop_from_outside(self) -> None:
        """Stop from another thread, at the end of the interpreter, while the loop may still be running."""
        if self._running is None or self._stopped or not self._running.loop.is_running():
            return
        try:
            asyncio.run_coroutine_threadsafe(self.stop(), self._running.loop).result(STOP_TIMEOUT + 1)
        except Exception:
            logger.exception("The background jobs could not be stopped.")


def _before_threads_end(stop: Callable[[], None]) -> None:
    """Have ``stop`` called at the end of the interpreter, while pools of threads still take work."""
    # What concurrent.futures itself uses; Python has no public name for it.
    register = getattr(threading, "_register_atexit", atexit.register)
    register(stop)


def _before_reactor_stops(stop: Job) -> None:
    """Have Twisted's reactor, where it is what runs the loop, wait for ``stop`` when it shuts down."""
    if "twisted.internet.reactor" not in sys.modules:
        return
    from twisted.internet import defer, reactor

    installed: Any = reactor
    if installed.running:
        installed.addSystemEventTrigger(
            "before", "shutdown", lambda: defer.Deferred.fromFuture(asyncio.ensure_future(stop()))
        )


class Supervised:
    """An ASGI application around another, which starts the supervisor's jobs and stops them."""

    def __init__(self, application: Application, supervisor: Supervisor) -> None:
        self.application = application
        self.supervisor = supervisor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start the jobs if they do not run, then pass the scope on; lifespan ends here."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self.supervisor.start()
        await self.application(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.supervisor.start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.supervisor.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


supervisor = Supervisor()
"""The supervisor of this process. Features add their jobs to it when Django starts."""
