"""Tells subscribers of commits: some threads per process, each audience by one of them at a time.

Every process hears of every commit once (``core.changes``), so that no channel layer is needed: each tells its own
sockets. Each interest has a lane, in which what comes (commits, subscriptions, sockets that leave) is taken in order; a
slow one does not hold up the others. A commit of which nobody wants to hear costs a look into a dictionary.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from core.bindings import lane as lanes
from core.bindings.audience import Subscription, Touched
from core.bindings.lane import Join, Lane, Leave, News, RollCall
from core.bindings.sight import Interest, labels_of
from core.bindings.telling import all_offered
from core.bindings.workers import Workers
from core.changes import Change
from core.changes.process import in_child
from core.conf import core_settings

if TYPE_CHECKING:
    from core.sockets import SocketConsumer

logger = logging.getLogger(__name__)

THREADS: Final = 4
"""Threads that tell: as many kinds of callers may be slow before the others wait."""


class Dispatcher:
    """The lanes of this process."""

    def __init__(self) -> None:
        self.threads = Workers("core.bindings.dispatcher", lambda: THREADS)
        self._router = Workers("core.bindings.router", lambda: 1)
        self._reset()
        in_child(self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._lanes: dict[Interest, Lane] = {}
        self._by_label: dict[str, dict[Interest, Lane]] = {}
        self._owing: set[Lane] = set()
        self._timer: threading.Timer | None = None

    # --- From other threads ---

    def on_changes(self, changes: list[Change], **_: Any) -> None:
        """Take a commit: a receiver of both signals of the change stream."""
        if self._by_label and (wanted := [change for change in changes if change.model in self._by_label]):
            self._put_commit(wanted)

    def join(
        self, socket: "SocketConsumer", interest: Interest, subscription: Subscription, confirmed: Callable[[bool], str]
    ) -> "Future[None]":
        """Have ``socket`` subscribed, and told so by the text that ``confirmed`` makes of whether all is tracked.

        Whatever is committed after the text has been offered is told. The future ends when it has been.
        """
        join = Join(socket, subscription, confirmed)
        with self._lock:
            self._put(self._lanes.get(interest) or self._open(interest), join)
        return join.done

    def leave(
        self, socket: "SocketConsumer", interest: Interest, subscription: Subscription, confirmed: Callable[[], str]
    ) -> "Future[None]":
        """Have ``socket`` subscribed no longer, and told so."""
        leave = Leave(socket, subscription, confirmed)
        with self._lock:
            self._put(self._lanes.get(interest) or self._open(interest), leave)
        return leave.done

    def leave_all(self, socket: "SocketConsumer", interests: Iterable[Interest]) -> None:
        """Forget a socket that is closed."""
        with self._lock:
            for interest in interests:
                if (lane := self._lanes.get(interest)) is not None:
                    self._put(lane, Leave(socket))

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait until everything that came has been told; return False after ``timeout`` seconds."""
        until = time.monotonic() + timeout
        told = self._router.wait(timeout) and self.threads.wait(timeout)
        while told and not all_offered():
            told = time.monotonic() < until
            time.sleep(0.005)
        return told

    def __len__(self) -> int:
        return len(self._lanes)

    def _put_commit(self, changes: list[Change]) -> None:
        self._router.submit(self._route, changes)

    # --- With the lock ---

    def _put(self, lane: Lane, work: Join | Leave | News) -> None:
        lane.put(work)
        if not lane.busy:
            lane.busy = True
            self.threads.submit(self._run, lane)

    def _open(self, interest: Interest) -> Lane:
        self._lanes[interest] = lane = Lane(interest, self._room)
        for label in labels_of(interest.model):
            self._by_label.setdefault(label, {})[interest] = lane
        return lane

    def _close(self, lane: Lane) -> None:
        del self._lanes[lane.interest]
        self._owing.discard(lane)
        for label in labels_of(lane.interest.model):
            del self._by_label[label][lane.interest]
            if not self._by_label[label]:
                del self._by_label[label]

    def _watch_the_clock(self) -> None:
        if self._owing and self._timer is None:
            self._timer = threading.Timer(lanes.FIRST_PAUSE, self._try_again)
            self._timer.daemon = True
            self._timer.start()

    # --- In the threads ---

    def _route(self, changes: list[Change]) -> None:
        """Put a commit into the lanes whose audiences may want to hear of it."""
        callers = RollCall()
        known: dict[Any, Touched] = {}
        with self._lock:
            concerned = {lane: None for change in changes for lane in self._by_label.get(change.model, {}).values()}
            for lane in concerned:
                key = (lane.interest.model, lane.databases)
                if key not in known:
                    known[key] = _touched(changes, labels_of(lane.interest.model), lane.databases)
                if known[key]:
                    callers.add(lane, known[key])
                    self._put(lane, News(known[key], callers))

    def _run(self, lane: Lane) -> None:
        """Do one thing, so that nobody's many hold up somebody's one."""
        with self._lock:
            work = lane.next()
        try:
            lane.do(work)
        except BaseException:  # the thread has to go on
            logger.exception("Subscribers could not be served.")
        finally:
            with self._lock:
                self._put_back(lane)

    def _put_back(self, lane: Lane) -> None:
        if lane.owed:
            self._owing.add(lane)
            self._watch_the_clock()
        if lane.waits:
            self.threads.submit(self._run, lane)
            return
        lane.busy = False
        if not lane.audience:
            self._close(lane)

    def _try_again(self) -> None:
        with self._lock:
            self._timer = None
            self._owing = {lane for lane in self._owing if lane.owed}
            for lane in self._owing:
                if lane.due <= time.monotonic() and not lane.busy:
                    self._put(lane, News(Touched()))
            self._watch_the_clock()

    def _room(self) -> int:
        with self._lock:
            held = sum(len(each.audience.seen) for each in self._lanes.values())
        return core_settings.BINDINGS.MAX_TRACKED_IN_ALL - held


def _touched(changes: list[Change], labels: dict[str, bool], databases: frozenset[str] | None) -> Touched:
    touched = Touched()
    for change in changes:
        if change.model in labels and (databases is None or change.using in databases):
            touched.add(change, same_keys=labels[change.model])
    return touched


dispatcher = Dispatcher()
"""The dispatcher of this process."""
