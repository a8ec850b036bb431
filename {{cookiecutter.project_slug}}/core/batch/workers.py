"""Runs items at the same time: the thread of the caller, and helpers from a pool that the process shares.

The caller works itself. Only when one of its items takes longer than ``PATIENCE`` do helpers come and take what is
ready: quick items are done sooner by one thread than by several, each of which needs a connection. A helper has
connections of its own and gives them back when it leaves. If it cannot get one it leaves at once, and the caller goes
on alone; so no batch waits for another.
"""

import contextvars
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.core.cache import caches
from django.db import connections

from core.batch.graph import Schedule

logger = logging.getLogger(__name__)

PATIENCE = 0.005
"""Seconds that an item may take before helpers are called."""

helper: contextvars.ContextVar[object] = contextvars.ContextVar("core.batch.helper", default=None)
"""Which helper this is; None for the caller."""


class Pool:
    """The threads of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._size = 0

    def submit(self, work: Callable[[], None], size: int) -> bool:
        """Have ``work`` done by one of at most ``size`` threads; tell whether that was possible."""
        try:
            self._sized(size).submit(work)
        except RuntimeError:  # the interpreter is ending
            return False
        return True

    def _sized(self, size: int) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None or self._size != size:
                if self._executor is not None:
                    self._executor.shutdown(wait=False)
                self._executor = ThreadPoolExecutor(size, thread_name_prefix="core-batch")
                self._size = size
            return self._executor

    def forget(self) -> None:
        """Begin anew, in the child of a fork: threads are not inherited."""
        self.__init__()  # type: ignore[misc]


pool = Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.forget)


def run(schedule: Schedule, work: Callable[[int], None], workers: int) -> None:
    """Call ``work`` with every item of ``schedule``, when it may run; on up to ``workers`` threads, this one included.

    Raises the first exception that ``work`` raises, when nothing runs any more.
    """
    if workers > 1:
        Crew(schedule, work, workers).run()
        return
    while (item := schedule.take()) is not None:
        work(item)
        schedule.finish(item)


class Crew:
    """Those who work on one batch."""

    def __init__(self, schedule: Schedule, work: Callable[[int], None], workers: int) -> None:
        self._schedule = schedule
        self._work = work
        self._most_helpers = workers - 1
        self._changed = threading.Condition()
        self._ended = threading.Event()  # apart, so that a finished item does not wake who only waits for the end
        self._caller_waits = False
        self._helpers = 0  # called, and not yet gone
        self._busy = 0  # items at work
        self._equipped = 0  # helpers that have connections
        self._began = 0.0  # when the caller took its item
        self._scout = False  # whether one of the helpers still waits for the caller to be late
        self._error: BaseException | None = None

    def run(self) -> None:
        """Work until everything is finished."""
        while True:
            with self._changed:
                while (item := self._take()) is None and self._busy:
                    self._caller_waits = True
                    self._changed.wait()
                    self._caller_waits = False
                if item is None:
                    break
                self._began = time.monotonic()
                if self._schedule.ready and not self._helpers:
                    self._scout = self._call(self._come_if_late)
            self._do(item)
        with self._changed:
            self._changed.wait_for(lambda: not self._equipped)
        if self._error is not None:
            raise self._error

    def _take(self) -> int | None:
        item = None if self._error else self._schedule.take()
        self._busy += item is not None
        return item

    def _do(self, item: int) -> None:
        try:
            self._work(item)
        except BaseException as error:  # noqa: BLE001 - raised by run(), in the thread of the caller
            self._error = self._error or error
        with self._changed:
            self._busy -= 1
            self._schedule.finish(item)
            self._call_helpers()
            if self._over():
                self._ended.set()
            if self._caller_waits:
                self._changed.notify_all()

    def _call_helpers(self) -> None:
        """Call as many as could do something, once it is known that items take their time."""
        if self._helpers and not self._scout:
            for _ in range(min(self._schedule.ready, self._most_helpers) - self._helpers):
                self._call(self._help)

    def _call(self, helper: Callable[[], None]) -> bool:
        self._helpers += 1
        if pool.submit(helper, self._most_helpers):
            return True
        self._helpers -= 1
        return False

    def _come_if_late(self) -> None:
        late = False
        while not late:
            self._ended.wait(PATIENCE)
            with self._changed:
                if self._over() or not self._schedule.ready:
                    self._scout = False
                    self._helpers -= 1
                    return
                late = time.monotonic() - self._began > PATIENCE / 2
        with self._changed:
            self._scout = False
            for _ in range(min(self._schedule.ready, self._most_helpers) - 1):
                self._call(self._help)
        self._help()

    def _over(self) -> bool:
        return self._schedule.finished or self._error is not None

    def _help(self) -> None:
        context = contextvars.Context()  # a request of its own begins here
        try:
            if not self._over() and context.run(_equip):
                self._equipped_work(context)
        finally:
            context.run(_give_back)
            with self._changed:
                self._helpers -= 1

    def _equipped_work(self, context: contextvars.Context) -> None:
        with self._changed:
            self._equipped += 1
        try:
            context.run(self._take_and_do)
        finally:
            context.run(_give_back)
            with self._changed:
                self._equipped -= 1
                self._changed.notify_all()

    def _take_and_do(self) -> None:
        while True:
            with self._changed:
                item = self._take()
            if item is None:
                return
            self._do(item)


def _equip() -> bool:
    """Get connections to databases, so that no item fails for want of one; tell whether there were any."""
    helper.set(object())
    for alias in caches:
        caches[alias]  # one per helper and not per item
    try:
        for connection in connections.all():
            connection.ensure_connection()
    except Exception:
        logger.debug("A helper of a batch got no connection; the batch goes on without it.", exc_info=True)
        return False
    return True


def _give_back() -> None:
    connections.close_all()
    caches.close_all()
