"""Tells subscribers of commits: one thread per process, which alone knows the audiences.

Every process hears of every commit once (``core.changes``), so that no channel layer is needed: each tells its own
sockets. What comes (commits, subscriptions, sockets that leave) is taken in the order in which it came. A commit of
which nobody wants to hear costs a look into a dictionary.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.utils import translation

from core.bindings.audience import Audience, Subscription, Touched
from core.bindings.sight import Interest, Sight, labels_of
from core.bindings.telling import Listeners, evaluate, refresh
from core.bindings.workers import Workers
from core.callers import Caller, CallerGoneError, User
from core.changes import Change
from core.changes.process import in_child
from core.conf import core_settings
from core.sockets.credentials import Credential, rights_of

if TYPE_CHECKING:
    from core.sockets import SocketConsumer

logger = logging.getLogger(__name__)

MOST_WAITING: Final = 1000
"""Commits that wait to be told; of more, several are told as one."""
LATE: Final = 5.0
"""Seconds that a commit may have waited; of those that have for longer, several are told as one."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
"""Seconds before an audience that could not be told is tried again: at first, and at most."""


@dataclass(slots=True)
class Commit:
    """The changes of a commit that somebody wants to hear of, by model; and when they came."""

    changes: dict[str, list[Change]]
    at: float = field(default_factory=time.monotonic)

    def add(self, later: "Commit") -> None:
        """Make this and a later commit one."""
        for label, changes in later.changes.items():
            self.changes.setdefault(label, []).extend(changes)


Users = dict[tuple[Caller, frozenset[Credential]], User]


class Dispatcher:
    """The audiences of this process, and what is still to be told them."""

    def __init__(self) -> None:
        self.threads = Workers("core.bindings.dispatcher", lambda: 1)
        self._reset()
        in_child(self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Commit | Callable[[], None]] = deque()
        self._commits = 0  # that wait
        self._running = False
        self._wanted: Counter[str] = Counter()  # models, by label
        self._audiences: dict[Interest, Listeners] = {}
        self._by_label: dict[str, dict[Interest, Listeners]] = {}

    # --- From other threads ---

    def on_changes(self, changes: list[Change], **_: Any) -> None:
        """Take a commit: a receiver of both signals of the change stream."""
        if not self._wanted:
            return
        wanted: dict[str, list[Change]] = {}
        for change in changes:
            if change.model in self._wanted:
                wanted.setdefault(change.model, []).append(change)
        if wanted:
            self._put_commit(Commit(wanted))

    def join(
        self, socket: "SocketConsumer", interest: Interest, subscription: Subscription, confirmed: Callable[[bool], str]
    ) -> "Future[None]":
        """Have ``socket`` subscribed, and told so by the text that ``confirmed`` makes of whether all is tracked.

        Whatever is committed after the text has been offered is told. The future ends when it has been.
        """
        done: Future[None] = Future()
        labels = labels_of(interest.model)
        self._want(labels, 1)  # from here on no commit is lost
        self._put(partial(self._complete, done, partial(self._join, socket, interest, subscription, confirmed), labels))
        return done

    def leave(
        self, socket: "SocketConsumer", interest: Interest, subscription: Subscription, confirmed: Callable[[], str]
    ) -> "Future[None]":
        """Have ``socket`` subscribed no longer, and told so."""
        done: Future[None] = Future()

        def work() -> None:
            self._drop(socket, interest, subscription)
            socket.offer_soon(confirmed())

        self._put(partial(self._complete, done, work, {}))
        return done

    def leave_all(self, socket: "SocketConsumer", interests: Iterable[Interest]) -> None:
        """Forget a socket that is closed."""
        for interest in interests:
            self._put(partial(self._drop_all, socket, interest))

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait until everything that came has been told; return False after ``timeout`` seconds."""
        return self.threads.wait(timeout) and not self._waiting

    def __len__(self) -> int:
        return len(self._audiences)

    def _want(self, labels: Iterable[str], number: int) -> None:
        with self._lock:
            self._wanted.update(dict.fromkeys(labels, number))
            self._wanted += Counter()  # drops what nobody wants

    def _put(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.append(work)
            self._wake()

    def _put_commit(self, commit: Commit) -> None:
        with self._lock:
            last = self._waiting[-1] if self._waiting else None
            if self._commits >= MOST_WAITING and isinstance(last, Commit):
                last.add(commit)
                return
            self._waiting.append(commit)
            self._commits += 1
            self._wake()

    def _wake(self) -> None:
        if not self._running:
            self._running = True
            self.threads.submit(self._run)

    # --- In the thread ---

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running = False
                    return
                work = self._next()
            try:
                if isinstance(work, Commit):
                    self._tell(work)
                else:
                    work()
            except BaseException:  # the thread has to go on
                logger.exception("Subscribers could not be served.")

    def _next(self) -> Commit | Callable[[], None]:
        work = self._waiting.popleft()
        if isinstance(work, Commit):
            self._commits -= 1
            while time.monotonic() - work.at > LATE and self._waiting and isinstance(self._waiting[0], Commit):
                work.add(self._waiting.popleft())  # type: ignore[arg-type]
                self._commits -= 1
        return work

    def _complete(self, done: "Future[None]", work: Callable[[], None], labels: Iterable[str]) -> None:
        try:
            if done.set_running_or_notify_cancel():  # else the socket has closed meanwhile
                work()
                done.set_result(None)
        except BaseException as error:  # noqa: BLE001 - it becomes the reply
            # As an error of another kind, what would cancel a task would cancel the one that waits.
            done.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))
        finally:
            self._want(labels, -1)

    def _join(
        self, socket: "SocketConsumer", interest: Interest, subscription: Subscription, confirmed: Callable[[bool], str]
    ) -> None:
        if socket.closing:
            return
        audience = self._audiences.get(interest)
        with translation.override(interest.caller.language or None):
            sight = Sight(interest, interest.caller.user())
            if audience is None:
                audience = self._gathered(interest, sight)
            refresh(interest, audience, [subscription.pk], sight)
        audience.add(socket, subscription)
        if interest not in self._audiences:
            self._open(interest, audience)
        socket.offer_soon(confirmed(audience.tracked))

    def _gathered(self, interest: Interest, sight: Sight) -> Listeners:
        """Return a new audience, which knows what is in sight, unless that is too much or rows are named."""
        limits = core_settings.BINDINGS
        audience: Listeners = Audience(interest.detail, limits.MAX_TRACKED)
        if interest.detail:
            return audience
        left = limits.MAX_TRACKED_IN_ALL - sum(len(each.seen) for each in self._audiences.values())
        keys = sight.keys(max(min(limits.MAX_TRACKED, left), 0))
        if keys is not None:
            audience.seen, audience.whole = keys, True
        return audience

    def _open(self, interest: Interest, audience: Listeners) -> None:
        labels = labels_of(interest.model)
        self._want(labels, 1)
        self._audiences[interest] = audience
        for label in labels:
            self._by_label.setdefault(label, {})[interest] = audience

    def _drop(self, socket: "SocketConsumer", interest: Interest, subscription: Subscription) -> None:
        if (audience := self._audiences.get(interest)) is not None:
            audience.remove(socket, subscription)
            self._close_if_empty(interest, audience)

    def _drop_all(self, socket: "SocketConsumer", interest: Interest) -> None:
        if (audience := self._audiences.get(interest)) is not None:
            for subscription in audience.subscriptions(socket):
                audience.remove(socket, subscription)
            self._close_if_empty(interest, audience)

    def _close_if_empty(self, interest: Interest, audience: Listeners) -> None:
        if audience:
            return
        del self._audiences[interest]
        labels = labels_of(interest.model)
        self._want(labels, -1)
        for label in labels:
            self._by_label[label].pop(interest)
            if not self._by_label[label]:
                del self._by_label[label]

    def _tell(self, commit: Commit) -> None:
        users: Users = {}
        concerned = {each: None for label in commit.changes for each in self._by_label.get(label, {})}
        for interest in concerned:
            touched = Touched()
            for label, same_keys in labels_of(interest.model).items():
                for change in commit.changes.get(label, ()):
                    touched.add(change, same_keys=same_keys)
            self._tell_audience(interest, touched, users)

    def _tell_audience(self, interest: Interest, touched: Touched, users: Users, pause: float = FIRST_PAUSE) -> None:
        audience = self._audiences.get(interest)
        if audience is None or not (touched.unknown or audience.concerned(touched.pks)):
            return
        try:
            user = _user(interest.caller, audience, users)
            with translation.override(interest.caller.language or None):
                evaluate(interest, audience, touched, Sight(interest, user))
        except CallerGoneError:
            return  # their sockets are about to be closed
        except BaseException as error:  # noqa: BLE001 - logged, and made good later; somebody's code may be cancelled
            self._try_again(interest, audience, pause, error)
        else:
            audience.stale = False

    def _try_again(self, interest: Interest, audience: Listeners, pause: float, error: BaseException) -> None:
        """Make good later for what could not be told: then everything counts as changed."""
        if not audience.stale:
            logger.error("Subscribers of %s cannot be told; trying again.", interest.stream, exc_info=error)
        elif pause == FIRST_PAUSE:
            return  # another attempt is under way
        audience.stale = True
        everything = Touched(unknown={"created", "updated", "deleted"})
        again = partial(self._tell_audience, interest, everything, {}, min(pause * 2, LONGEST_PAUSE))
        timer = threading.Timer(pause, self._put, [again])
        timer.daemon = True
        timer.start()


def _user(caller: Caller, audience: Listeners, known: Users) -> User:
    """Return the user of ``caller`` as the database has them now; bar the sockets that they have lost the right to.

    ``known`` keeps what was looked up for this commit. Raises ``CallerGoneError`` if all sockets are barred.
    """
    sockets = {socket: socket.credential for socket in audience.sockets() if socket.credential is not None}
    credentials = frozenset(sockets.values())
    if (caller, credentials) not in known:
        known[caller, credentials] = _user_unless_lost(caller, sockets) if sockets else caller.user()
    return known[caller, credentials]


def _user_unless_lost(caller: Caller, sockets: Mapping["SocketConsumer", Credential]) -> User:
    users, lost = rights_of(set(sockets.values()))
    for socket, credential in sockets.items():
        if credential in lost:
            socket.bar()
    if lost.issuperset(sockets.values()):
        raise CallerGoneError(f"User {caller.user_pk} has logged out.")
    return users[caller.user_pk] if caller.user_pk is not None else caller.user()  # nobody to a stream is nobody


dispatcher = Dispatcher()
"""The dispatcher of this process."""
