"""A lane: what is to be done for one interest, one thing after another, by whichever thread is free.

Its audience is looked at by one thread at a time, and so needs no lock.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from django.utils import translation

from core.bindings.audience import Audience, Subscription, Touched
from core.bindings.desk import close
from core.bindings.sight import Interest, Sight
from core.bindings.telling import Delivery, Listeners, evaluate, refresh
from core.callers import CallerGoneError, User
from core.conf import core_settings
from core.sockets import CloseCode
from core.sockets.credentials import Credential, Rights, rights_of

if TYPE_CHECKING:
    from core.sockets import SocketConsumer

logger = logging.getLogger(__name__)

MOST_WAITING: Final = 1000
"""Commits that wait to be told; of more, several are told as one."""
LATE: Final = 5.0
"""Seconds that a commit may have waited; of those that have for longer, several are told as one."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
"""Seconds before what could not be told is tried again: at first, and at most."""
FRESH: Final = 1.0
"""Seconds for which what the database has said of callers holds for the lanes that come after."""
GROWTH: Final = 2
"""How many times ``MAX_TRACKED`` an audience that has been told that it is tracked may grow to."""


@dataclass(frozen=True, slots=True)
class Join:
    """A socket that subscribes, to be told so by the text that ``confirmed`` makes of whether all is tracked."""

    socket: "SocketConsumer"
    subscription: Subscription
    confirmed: Callable[[bool], str]
    done: "Future[None]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Leave:
    """A socket that ends a subscription, to be told so, or that is closed."""

    socket: "SocketConsumer"
    subscription: Subscription | None = None
    confirmed: Callable[[], str] | None = None
    done: "Future[None]" = field(default_factory=Future)


class RollCall:
    """What the database says of all who may hear of a commit: asked once, by the lane that comes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lanes: list[tuple[Lane, Touched]] = []
        self._rights: Rights | None = None
        self._asked: frozenset[Credential] = frozenset()
        self._at = 0.0

    def add(self, lane: "Lane", touched: Touched) -> None:
        """Have the callers of ``lane``, which ``touched`` goes to, looked up with the others."""
        self._lanes.append((lane, touched))

    def rights(self, credentials: frozenset[Credential]) -> Rights:
        """Return what holds now, or did ``FRESH`` seconds ago at most, of ``credentials``, and of others."""
        with self._lock:  # the other lanes want to know the same
            if self._rights is None or not credentials <= self._asked or time.monotonic() - self._at > FRESH:
                now = time.monotonic()
                others = (lane.credentials for lane, touched in self._lanes if lane.concerned(touched))
                asked = credentials.union(*others)
                self._rights, self._asked, self._at = rights_of(asked), asked, now
            return self._rights


@dataclass(frozen=True, slots=True)
class News:
    """What a commit did. ``callers`` are all whom it may be told to; ``at`` is when it came."""

    touched: Touched
    callers: RollCall = field(default_factory=RollCall)
    at: float = field(default_factory=time.monotonic)

    def merged(self, later: "News") -> "News":
        """Return this and a later commit as one."""
        return News(self.touched.merged(later.touched, core_settings.CHANGES.MAX_PKS), later.callers, self.at)


Work = list[Join] | Leave | News


class Lane:
    """What waits for one interest, and its audience. ``room`` tells how many keys the process may still remember."""

    def __init__(self, interest: Interest, room: Callable[[], int]) -> None:
        self.interest = interest
        self.audience: Listeners = Audience(interest.detail, core_settings.BINDINGS.MAX_TRACKED * GROWTH)
        self.databases: frozenset[str] | None = None
        """The databases whose commits are of interest; None as long as that is not known."""
        self.busy = False
        self.owed: Touched | None = None
        """What could not be told, to be told at the time ``due``."""
        self.due = 0.0
        self.credentials: frozenset[Credential] = frozenset()
        """What its sockets have come by, and perhaps some that have left. For any thread: it is replaced as a whole."""
        self._pause = 0.0
        self._room = room
        self._waiting: deque[Join | Leave | News] = deque()
        self._commits = 0  # that wait

    @property
    def waits(self) -> bool:
        """Whether there is more to be done."""
        return bool(self._waiting)

    def put(self, work: Join | Leave | News) -> None:
        """Have something done after all that waits."""
        if isinstance(work, News):
            last = self._waiting[-1] if self._waiting else None
            if self._commits >= MOST_WAITING and isinstance(last, News):
                self._waiting[-1] = last.merged(work)
                return
            self._commits += 1
        self._waiting.append(work)

    def next(self) -> Work:
        """Return what is to be done next: all who join one after another join at once."""
        work = self._waiting.popleft()
        if isinstance(work, Join):
            joins = [work]
            while self._waiting and isinstance(each := self._waiting[0], Join):
                joins.append(each)
                self._waiting.popleft()
            return joins
        if isinstance(work, News):
            self._commits -= 1
            while time.monotonic() - work.at > LATE and self._waiting and isinstance(each := self._waiting[0], News):
                work = work.merged(each)
                self._waiting.popleft()
                self._commits -= 1
        return work

    def do(self, work: Work) -> None:
        """Do what ``next`` has returned."""
        match work:
            case News():
                self._tell(work)
            case Leave():
                self._leave(work)
            case _:
                self._join([each for each in work if each.done.set_running_or_notify_cancel()])

    def concerned(self, touched: Touched) -> bool:
        """Tell whether somebody here may want to hear of ``touched``. For any thread."""
        return bool(touched.unknown or self.audience.concerned(touched.pks))

    def _join(self, joins: list[Join]) -> None:
        delivery = Delivery()
        try:
            with translation.override(self.interest.caller.language or None):
                self._look({each.subscription.pk for each in joins})
            texts = [each.confirmed(self.audience.tracked) for each in joins]
        except BaseException as error:  # noqa: BLE001 - it becomes the reply
            # As an error of another kind, what would cancel a task would cancel the one that waits.
            told = error if isinstance(error, Exception) else RuntimeError(repr(error))
            for each in joins:
                each.done.set_exception(told)
            return
        for each, text in zip(joins, texts, strict=True):
            if not each.socket.closing:
                self.audience.add(each.socket, each.subscription)
                self.credentials |= _credentials([each.socket])
                delivery.add([each.socket], text)
        delivery.send(lambda: _finish(joins), ask=False)

    def _look(self, pks: set[object]) -> None:
        """Have the audience know what is in sight now: at first all, unless that is too much, later what differs."""
        sight = Sight(self.interest, self.interest.caller.user())
        known, self.databases = self.databases is not None, sight.databases()
        if known or self.interest.detail:
            refresh(self.interest, self.audience, pks, sight)
            self._close_if_outgrown()
            return
        most = max(min(core_settings.BINDINGS.MAX_TRACKED, self._room()), 0)
        keys = sight.keys(most)
        if keys is not None and most:
            self.audience.seen, self.audience.whole = keys, True

    def _leave(self, leave: Leave) -> None:
        if leave.subscription is None:
            for each in self.audience.subscriptions(leave.socket):
                self.audience.remove(leave.socket, each)
            return
        self.audience.remove(leave.socket, leave.subscription)
        if leave.confirmed is not None and leave.done.set_running_or_notify_cancel():
            delivery = Delivery()
            delivery.add([leave.socket], leave.confirmed())
            delivery.send(lambda: _finish([leave]), ask=False)

    def _tell(self, news: News) -> None:
        touched = (self.owed or Touched()).merged(news.touched, core_settings.CHANGES.MAX_PKS)
        if not self.concerned(touched):
            self.owed = None
            return
        try:
            user = self._user(news.callers)
            with translation.override(self.interest.caller.language or None):
                evaluate(self.interest, self.audience, touched, Sight(self.interest, user))
        except CallerGoneError:
            self.owed = None  # their sockets are about to be closed
        except BaseException as error:  # noqa: BLE001 - logged, and made good later; somebody's code may be cancelled
            self._owe(touched, error)
        else:
            self.owed, self._pause = None, 0.0
            self._close_if_outgrown()

    def _owe(self, touched: Touched, error: BaseException) -> None:
        if self.owed is None:
            logger.error("Subscribers of %s cannot be told; trying again.", self.interest.stream, exc_info=error)
        self.owed = touched
        self._pause = min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
        self.due = time.monotonic() + self._pause

    def _close_if_outgrown(self) -> None:
        """Close those who were promised to be told of all that goes out of sight, if that cannot be kept any more."""
        if self.audience.outgrown:
            self.audience.outgrown = False
            logger.warning("Subscribers of %s see too many rows to remember: closed.", self.interest.stream)
            reason = "More rows are in sight than can be remembered. Connect, subscribe and load again."
            for socket in self.audience.sockets():
                close(socket, CloseCode.TOO_SLOW, reason)

    def _user(self, callers: RollCall) -> User:
        """Return the user as the database has them now; bar the sockets that they have lost the right to.

        Raises ``CallerGoneError`` if that is all of them.
        """
        caller, sockets = self.interest.caller, self.audience.sockets()
        self.credentials = _credentials(sockets)
        if not self.credentials:
            return caller.user()
        users, lost = callers.rights(self.credentials)
        for socket in sockets:
            if socket.credential in lost:
                socket.bar()
        if self.credentials <= lost:
            raise CallerGoneError(f"User {caller.user_pk} has logged out.")
        return users[caller.user_pk] if caller.user_pk is not None else caller.user()  # nobody to a stream is nobody


def _finish(replied: Iterable[Join | Leave]) -> None:
    for each in replied:
        each.done.set_result(None)


def _credentials(sockets: "Iterable[SocketConsumer]") -> frozenset[Credential]:
    return frozenset(socket.credential for socket in sockets if socket.credential is not None)
