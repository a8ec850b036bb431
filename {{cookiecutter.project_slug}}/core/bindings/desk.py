"""What goes out to somebody who is logged in passes a desk, where the database is asked whether they still are.

It is asked last, after the rows were looked at: another process may have logged them out meanwhile, and nothing tells.
What comes while it is asked waits and is asked for together, a few queries for all of it.
"""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from core.bindings.workers import Workers
from core.changes.process import in_child
from core.sockets import CloseCode
from core.sockets.credentials import rights_of

if TYPE_CHECKING:
    from core.sockets import SocketConsumer

logger = logging.getLogger(__name__)

PAUSE: Final = 0.5
"""Seconds before a database that has not answered is asked again."""
MOST_WAITING: Final = 1000
"""Deliveries that wait for a database that does not answer; of more, the sockets are closed."""

Pairs = list[tuple["SocketConsumer", str]]
"""Texts, each with the socket that it goes to."""


class Desk:
    """Passes deliveries on by ``hand_out``, in order, once those they go to have been looked up. For any thread."""

    def __init__(self, hand_out: Callable[[Pairs], None]) -> None:
        self.threads = Workers("core.bindings.desk", lambda: 1)
        self._hand_out = hand_out
        self._reset()
        in_child(self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[Pairs, Callable[[], None]]] = []
        self._failing = False
        self.busy = False
        """Whether something has not been handed out yet."""

    def put(self, pairs: Pairs, then: Callable[[], None], *, ask: bool) -> None:
        """Have ``pairs`` handed out after all that came before, and ``then`` called.

        Without ``ask``, as for the reply to somebody who has just been looked up, that is at once if nothing waits.
        """
        with self._lock:
            at_once = not ask and not self.busy
            if at_once:
                self._hand_out(pairs)
            else:
                self._waiting.append((pairs, then))
                if not self.busy:
                    self.busy = True
                    self.threads.submit(self._work)
        if at_once:
            then()

    def _work(self) -> None:
        while True:
            with self._lock:
                waiting, self._waiting = self._waiting, []
                if not waiting:
                    self.busy = self._failing = False
                    return
            try:
                _bar({socket for pairs, _ in waiting for socket, _ in pairs})
            except BaseException as error:  # noqa: BLE001 - whatever a database may raise; nothing goes out unasked
                self._put_back(waiting, error)
                return
            self._failing = False
            for pairs, then in waiting:
                self._hand_out(pairs)
                then()

    def _put_back(self, waiting: list[tuple[Pairs, Callable[[], None]]], error: BaseException) -> None:
        if not self._failing:
            logger.error("Subscribers cannot be looked up; trying again.", exc_info=error)
        self._failing = True
        with self._lock:
            self._waiting[:0] = waiting
            given_up = self._waiting if len(self._waiting) > MOST_WAITING else []
            if given_up:
                self._waiting = []
        reason = "It cannot be found out whether you are logged in. Connect, subscribe and load again."
        for socket in {socket for pairs, _ in given_up for socket, _ in pairs}:
            close(socket, CloseCode.TOO_SLOW, reason)
        for _, then in given_up:
            then()
        timer = threading.Timer(PAUSE, self.threads.submit, [self._work])
        timer.daemon = True
        timer.start()


def close(socket: "SocketConsumer", code: CloseCode, reason: str) -> None:
    """Close ``socket``, and tell it why. From any thread."""
    try:
        socket.loop.call_soon_threadsafe(socket.close, code, reason)
    except RuntimeError:
        logger.debug("A socket that was to be closed found its event loop closed.")


def _bar(sockets: set["SocketConsumer"]) -> None:
    """Bar those of ``sockets`` whose caller has lost the right to be here."""
    credentials = frozenset(socket.credential for socket in sockets if socket.credential is not None)
    lost = rights_of(credentials).lost
    for socket in sockets:
        if socket.credential in lost:
            socket.bar()
