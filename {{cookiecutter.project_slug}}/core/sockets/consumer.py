"""The consumer that all sockets of the site have in common: an ASGI application for one connection.

It needs no channel layer and, while nothing happens, no task besides the server's own. It keeps the limits on both
ways, so that neither a client that floods nor one that does not read can make the process grow:

- what comes in is answered or refused at once; a subclass that has work to do starts a task, with bounds of its own;
- what goes out waits in an outbox, is written by a task that lives only as long as there is something to write, and is
  counted per interval. A server like daphne hides from us whether the client reads; the count bounds what may pile up.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections import deque
from typing import Any, Final

from django.core.exceptions import DisallowedHost

from core.callers import Caller
from core.conf import core_settings
from core.sockets.closing import goodbye
from core.sockets.codes import CloseCode
from core.sockets.credentials import Credential, credential_of
from core.sockets.keeper import keeper
from core.sockets.limits import Allowance, TokenBucket
from core.supervisor import Application, Receive, Scope, Send

logger = logging.getLogger(__name__)

LONGEST_PING: Final = 200
"""Characters of a message that may be a ping."""
PATIENCE: Final = 5
"""Messages above the rate that are refused one by one, in seconds' worth of the rate, before the socket is closed."""
BAD_REQUEST: Final = 400
TOO_LARGE: Final = 413
TOO_MANY: Final = 429


class SocketConsumer:
    """One socket. Subclasses override the hooks ``opened``, ``received``, ``left`` and ``refused``.

    Clients may send ``{"ping": x}`` at any time and get ``{"pong": x}``, since a page cannot see the pings of the
    protocol itself.
    """

    scope: Scope
    caller: Caller
    """Who opened the socket."""
    credential: Credential | None
    """What the caller came by; None if anonymous. The keeper closes the socket when it holds no longer."""
    closing: bool
    """Whether the socket is being closed, or is closed: nothing goes out any more."""
    barred: bool
    """Whether its caller has lost the right to be here: what has not gone out yet does not."""

    @classmethod
    def as_asgi(cls, **attributes: Any) -> Application:
        """Return the application that serves each connection by an instance of its own, with ``attributes`` set.

        Raises ``TypeError`` for an attribute that the class does not have.
        """
        if unknown := [name for name in attributes if not hasattr(cls, name)]:
            raise TypeError(f"{cls.__name__} has no attribute {unknown[0]!r}.")

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            consumer = cls()
            for name, value in attributes.items():
                setattr(consumer, name, value)
            await consumer(scope, receive, send)

        return application

    # --- Hooks ---

    async def opened(self) -> None:
        """Do what is to be done once the socket is open. May ``close`` it."""

    def received(self, text: str) -> None:
        """Take one message that is within the limits. Must not wait: the next one is read after it has returned."""

    async def left(self) -> None:
        """Do what is to be done once the socket is closed, whoever closed it."""

    def refused(self, status: int, sentence: str, text: str | None) -> None:
        """Tell the client that a message was not taken: ``status`` as in HTTP, ``sentence`` for a person to read.

        ``text`` is the message, None if it was binary.
        """
        del text
        self.offer(json.dumps({"errors": [sentence], "response_status": status}))

    # --- What subclasses use ---

    def offer(self, text: str) -> None:
        """Send ``text`` after all that was offered before. Never waits; to be called on the socket's loop.

        A client that is sent more per interval than it may be is closed with 4408 instead.
        """
        if self.closing or self.barred:
            return
        if not text.isascii():
            text = sendable(text)
        size = len(text) if text.isascii() else len(text.encode())
        limits = core_settings.SOCKETS
        spent = self._allowance.spend(size, self._waiting, time.monotonic(), limits.PING_INTERVAL)
        if spent > limits.MAX_OUTGOING:
            self._outbox.clear()
            self.close(CloseCode.TOO_SLOW, f"{spent} bytes were sent, and may not have been read. Connect again.")
            return
        self._waiting += size
        self._put({"type": "websocket.send", "text": text}, size)

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Close the socket once what was offered before has been sent. Does nothing if that is under way.

        ``reason`` is for a person to read; without one, that of the code is told. What exceeds 123 bytes is cut off.
        """
        if not self.closing:
            self.closing = True
            self._put(goodbye(self.scope, code, reason), 0)

    @property
    def writer(self) -> asyncio.Task[None] | None:
        """The task that sends what was offered, while there is something to send."""
        return self._writer

    def bar(self) -> None:
        """Send its caller, who has lost the right to be here, nothing from now on, and close. From any thread."""
        self.barred = True
        try:
            self.loop.call_soon_threadsafe(self.close, CloseCode.NOT_AUTHENTICATED)
        except RuntimeError:
            logger.debug("A socket to be closed found its loop closed.")

    # --- The connection ---

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection to its end."""
        self.scope, self._send = scope, send
        self.loop = asyncio.get_running_loop()
        self.closing = self.barred = False
        self._outbox: deque[tuple[dict[str, Any], int]] = deque()
        self._waiting = 0
        self._allowance = Allowance()
        self._writer: asyncio.Task[None] | None = None
        self._rate: TokenBucket | None = None
        self._patience: TokenBucket | None = None
        self.credential = credential_of(scope)
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        try:
            self.caller = Caller.of_scope(scope)
        except DisallowedHost:
            self.close(CloseCode.FORBIDDEN, "The Host header names no host of this site (ALLOWED_HOSTS).")
        keeper.add(self)
        try:
            if not self.closing:
                await self.opened()
            await self._read(receive)
        except asyncio.CancelledError:
            # How daphne ends its applications at shutdown, before it asks the keeper to do anything.
            if not self.closing:
                with contextlib.suppress(Exception):
                    await send(goodbye(self.scope, CloseCode.SHUTTING_DOWN))
            raise
        finally:
            keeper.discard(self)
            self.closing = True
            if self._writer is not None:
                self._writer.cancel()
            await self.left()

    async def _read(self, receive: Receive) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            if self.closing:
                continue
            try:
                self._take(message.get("text"))
            except Exception:
                logger.exception("A message on a socket could not be taken.")
                self.refused(500, "The server failed to take this message. It has been reported.", message.get("text"))

    def _take(self, text: str | None) -> None:
        if not self._within_rate(text):
            return
        limit = core_settings.SOCKETS.MAX_MESSAGE_SIZE
        if text is None:
            self.refused(BAD_REQUEST, "Send text: binary messages are not understood.", None)
        elif len(text) > limit or (not text.isascii() and len(text.encode(errors="replace")) > limit):
            self.refused(TOO_LARGE, f"The message is too large: at most {limit} bytes are taken.", text)
        elif (pong := answer_to_ping(text)) is not None:
            self.offer(pong)
        else:
            self.received(text)

    def _within_rate(self, text: str | None) -> bool:
        now, rate = time.monotonic(), core_settings.SOCKETS.MESSAGE_RATE
        if self._rate is None or self._patience is None or self._rate.rate != rate:
            self._rate = TokenBucket.full(rate, max(rate, 1), now)
            self._patience = TokenBucket.full(rate, max(rate * PATIENCE, 1), now)
        if self._rate.take(now):
            return True
        if self._patience.take(now):
            sentence = f"Too many messages: at most {rate:g} a second are taken. Send this one again later."
            self.refused(TOO_MANY, sentence, text)
        else:
            self.close(CloseCode.FLOODING, f"Too many messages: at most {rate:g} a second are taken. Connect later.")
        return False

    def _put(self, message: dict[str, Any], size: int) -> None:
        self._outbox.append((message, size))
        if self._writer is None:
            self._writer = self.loop.create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._outbox:
                message, size = self._outbox.popleft()
                if not self.barred or message["type"] == "websocket.close":
                    await self._send(message)
                self._waiting -= size
        except Exception as error:  # noqa: BLE001 - servers differ in what they raise for a connection that is gone
            logger.debug("A socket could not be written to: %r", error)
            self.closing = True
            self._outbox.clear()
        finally:
            self._writer = None


def sendable(text: str) -> str:
    """Return ``text`` with a question mark for each lone half of a surrogate pair: JSON may name one, UTF-8 cannot."""
    return text.encode(errors="replace").decode()


def answer_to_ping(text: str) -> str | None:
    """Return the answer to ``{"ping": x}``; None for any other message."""
    if len(text) > LONGEST_PING or '"ping"' not in text:
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.keys() != {"ping"}:
        return None
    return json.dumps({"pong": message["ping"]})
