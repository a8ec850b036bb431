"""Threads that run what may touch a database, with connections that last as long as there is work.

A connection per action would make actions several times slower, and one per socket would be none for anybody else. So
a thread keeps its connections from one piece of work to the next, and gives them back when nothing has come for
``IDLE`` seconds. Threads are made when they are needed, up to a number.
"""

import atexit
import contextvars
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Final

from django.core.cache import caches
from django.db import connections

from core.changes.process import in_child

logger = logging.getLogger(__name__)

IDLE: Final = 1.0
"""Seconds without work after which a thread gives back its connections."""
LAST_WAIT: Final = 5.0
"""Seconds that the process waits at its end for work that has been begun."""


class Workers(Executor):
    """Up to ``size()`` threads."""

    def __init__(self, name: str, size: Callable[[], int]) -> None:
        self._name = name
        self._size = size
        self.when_idle: list[Callable[[], None]] = [connections.close_all]
        """What a thread does when nothing has come for a while."""
        self._reset()
        in_child(self._reset)  # threads are not inherited
        atexit.register(self.wait, LAST_WAIT)

    def _reset(self) -> None:
        self._jobs: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._changed = threading.Condition()
        self._idle = 0  # threads that wait for work
        self._holding = 0  # threads that hold connections, perhaps
        self._threads = 0
        self._busy = 0
        self._hurried = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have ``fn`` called in one of the threads, in a context of its own."""
        future: Future[Any] = Future()
        job = (future, lambda: fn(*args, **kwargs))
        with self._changed:
            self._jobs.append(job)
            if len(self._jobs) > self._idle and self._threads < self._size():
                self._threads += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            else:
                self._changed.notify()
        return future

    def wait(self, timeout: float) -> bool:
        """Wait until nothing is under way; return False after ``timeout`` seconds."""
        until = time.monotonic() + timeout
        while self._jobs or self._busy:
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
        return True

    def give_back(self, timeout: float) -> bool:
        """Have connections given back as soon as nothing is under way; return False if not in ``timeout`` seconds."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()
            given = self._changed.wait_for(lambda: not self._holding, timeout)
            self._hurried = False
        return given

    def _work(self) -> None:
        context = contextvars.Context()
        while True:
            future, call = self._next()
            if future.set_running_or_notify_cancel():
                try:
                    # Django keeps caches in the context. Those of the thread are there in each copy; one that a job
                    # had to make would end with the job, and with it the cache's connections.
                    context.run(caches.all)
                    result = context.copy().run(call)
                except BaseException as error:  # noqa: BLE001 - whoever has asked for it gets it
                    future.set_exception(error)
                else:
                    future.set_result(result)
                del future, call
            _drop_broken_connections()
            with self._changed:
                self._busy -= 1

    def _next(self) -> tuple[Future[Any], Callable[[], Any]]:
        with self._changed:
            if not self._jobs:
                self._wait(IDLE)
            if self._jobs:
                return self._taken()
        self._rest()  # without the lock: nobody who has work to be done waits for this
        with self._changed:
            self._hold(0)
            while not self._jobs:
                self._wait(None)
            return self._taken()

    def _rest(self) -> None:
        for work in self.when_idle:
            try:
                work()
            except Exception:
                logger.exception("A thread could not give back what it holds.")

    def _taken(self) -> tuple[Future[Any], Callable[[], Any]]:
        self._hold(1)
        self._busy += 1
        return self._jobs.popleft()

    def _hold(self, holding: int) -> None:
        self._holding += holding - _mine.holding
        _mine.holding = holding
        if not self._holding:
            self._changed.notify_all()

    def _wait(self, timeout: float | None) -> None:
        self._idle += 1
        self._changed.wait_for(lambda: bool(self._jobs) or (self._hurried and timeout is not None), timeout)
        self._idle -= 1


class _Mine(threading.local):
    holding = 0


_mine = _Mine()


def _drop_broken_connections() -> None:
    for connection in connections.all(initialized_only=True):
        if connection.errors_occurred:
            connection.close()
