"""Keeps an eye on all open sockets of the process: one task, however many there are.

It closes those whose caller has lost the right to be there (logged out, deactivated, password changed, token deleted)
every ``CHECK_INTERVAL`` seconds, and at once where this process hears of the loss; and all of them when the server
shuts down, with a code that tells clients to connect again.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from channels.db import database_sync_to_async

from core.changes import Change
from core.changes.change import CREATED
from core.conf import core_settings
from core.sockets.codes import CloseCode
from core.sockets.credentials import rights_of
from core.users import users_changed

if TYPE_CHECKING:
    from core.sockets.consumer import SocketConsumer

logger = logging.getLogger(__name__)

PAUSE: Final = 0.5
"""Seconds between two checks at least, however much happens to users."""
CLOSE_TIMEOUT: Final = 2.0
"""Seconds that sockets have to be closed in when the server shuts down."""


class Keeper:
    """The open sockets of this process. For use on the server's event loop; ``check_soon`` from any thread."""

    def __init__(self) -> None:
        self._open: set[SocketConsumer] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wanted: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, socket: "SocketConsumer") -> None:
        """Watch over ``socket`` from now on."""
        self._open.add(socket)

    def discard(self, socket: "SocketConsumer") -> None:
        """Cease to."""
        self._open.discard(socket)

    def open(self) -> "list[SocketConsumer]":
        """Return the sockets that are open now."""
        return list(self._open)

    def check_soon(self) -> None:
        """Have everybody's rights checked as soon as may be, if the server runs."""
        loop, wanted = self._loop, self._wanted
        if loop is None or wanted is None or not self._open:
            return
        try:
            loop.call_soon_threadsafe(wanted.set)
        except RuntimeError:  # it has just ended
            logger.debug("A check of the open sockets came after the end of the loop.")

    async def run(self) -> None:
        """Check for ever; close everything at the end. A job of the server's process."""
        self._loop, self._wanted = asyncio.get_running_loop(), asyncio.Event()
        failing = False
        try:
            while True:
                try:
                    async with asyncio.timeout(core_settings.SOCKETS.CHECK_INTERVAL):
                        await self._wanted.wait()
                except TimeoutError:
                    pass
                self._wanted.clear()
                try:
                    await self.check()
                    failing = False
                except Exception as error:  # noqa: BLE001 - whatever a database may raise
                    if not failing:
                        logger.warning("The callers of open sockets cannot be checked; trying on: %r", error)
                    failing = True
                await asyncio.sleep(PAUSE)
        finally:
            self._loop = self._wanted = None
            await self.close_all()

    async def check(self) -> None:
        """Close the sockets whose caller may not be there any more."""
        credentials = {socket.credential for socket in self._open if socket.credential is not None}
        if not credentials:
            return
        gone = (await database_sync_to_async(rights_of)(credentials)).lost
        for socket in [socket for socket in self._open if socket.credential in gone]:
            socket.bar()

    async def close_all(self) -> None:
        """Close every socket because the server shuts down, and wait a moment for the closes to leave."""
        sockets = list(self._open)
        for socket in sockets:
            socket.close(CloseCode.SHUTTING_DOWN)
        writers = [writer for socket in sockets if (writer := socket.writer) is not None]
        if writers:
            await asyncio.wait(writers, timeout=CLOSE_TIMEOUT)

    # --- What makes a check due: receivers of signals ---

    def on_changes(self, changes: list[Change], **_: Any) -> None:
        """Look at once when users or tokens have changed: a receiver of both signals of the change stream."""
        tokens = any(change.model.lower() == "authtoken.token" and change.kind != CREATED for change in changes)
        if tokens or users_changed(changes) != frozenset():
            self.check_soon()

    def on_logout(self, request: Any = None, **_: Any) -> None:
        """Bar the sockets of a session that is logged out, at once: sessions are not in the change stream.

        Django tells of a logout before it deletes the session, so that to look would be too early.
        """
        key = getattr(getattr(request, "session", None), "session_key", None)
        for socket in self.open() if key else ():
            if (held := socket.credential) is not None and held.kind == "session" and held.key == key:
                socket.bar()


keeper = Keeper()
"""The keeper of this process."""
