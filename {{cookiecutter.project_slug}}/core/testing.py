"""Sockets for the tests of your project: the resource socket as a client sees it, without a server.

    async with socket(user) as ws:
        reply = await ws.request("questions", "create", {"question_text": "Why?"})
        assert reply["response_status"] == 201
        await ws.request("questions", "subscribe", {"action": "update"})
        ...
        assert (await ws.event())["pk"] == 1

What a socket does happens in other threads, so a test has to commit: ``TransactionTestCase``, or
``@pytest.mark.django_db(transaction=True)``. Both channel layers will do.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Final

from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.urls import path as route

from core.bindings.demultiplexer import workers
from core.bindings.dispatcher import dispatcher
from core.bindings.telling import desk
from core.routing import websocket_urlpatterns
from core.sockets import websocket_application

TIMEOUT: Final = 30.0
"""Seconds that anything may take, on a machine that does other things as well; nothing waits for their end."""


class PatientCommunicator(WebsocketCommunicator):
    """Waits for ``TIMEOUT`` seconds where Channels' own waits for one, which a busy machine may take for anything.

    Arguments have the names that they have there.
    """

    async def connect(self, timeout: float = TIMEOUT) -> tuple[bool, Any]:  # noqa: ASYNC109
        """Open the socket; return whether it was accepted, and the subprotocol or the code of the refusal."""
        connected: tuple[bool, Any] = await super().connect(timeout)
        return connected

    async def receive_output(self, timeout: float = TIMEOUT) -> dict[str, Any]:  # noqa: ASYNC109
        """Return the next message of the protocol."""
        message: dict[str, Any] = await super().receive_output(timeout)
        return message

    async def receive_from(self, timeout: float = TIMEOUT) -> Any:  # noqa: ASYNC109
        """Return the next text."""
        return await super().receive_from(timeout)

    async def receive_json_from(self, timeout: float = TIMEOUT) -> Any:  # noqa: ASYNC109
        """Return what the next text holds."""
        return await super().receive_json_from(timeout)

    async def disconnect(self, code: int = 1000, timeout: float = TIMEOUT) -> None:  # noqa: ASYNC109
        """Close the socket, and wait until the application has ended."""
        await super().disconnect(code, timeout)


class Socket:
    """A client of the resource socket. Made by ``socket``."""

    def __init__(self, communicator: PatientCommunicator) -> None:
        self.communicator = communicator
        """What is underneath, for a test of something unusual."""
        self._ids = itertools.count(1)
        self._events: deque[dict[str, Any]] = deque()

    async def request(self, stream: str, action: str, data: Any = None, **payload: Any) -> dict[str, Any]:
        """Send a request and return the payload of its reply. ``payload`` has the rest, such as ``pk=1``."""
        request_id = f"request-{next(self._ids)}"
        message = {"action": action, "data": data, **payload, "request_id": request_id}
        await self.communicator.send_json_to({"stream": stream, "payload": message})
        return await self._reply(request_id)

    async def subscribe(self, stream: str, action: str, **data: Any) -> dict[str, Any]:
        """Subscribe to ``action``, perhaps with ``pk=1`` or ``filter={...}``, and return the data of the confirmation.

        Raises ``AssertionError`` with the reply if it is refused.
        """
        reply = await self.request(stream, "subscribe", {"action": action, **data})
        if reply["response_status"] != 200:
            raise AssertionError(reply)
        confirmed: dict[str, Any] = reply["data"]
        return confirmed

    async def event(self, stream: str | None = None) -> dict[str, Any]:
        """Return the payload of the next event, on ``stream`` if that is given. Raises ``TimeoutError``."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                for message in self._events:
                    if stream in {None, message["stream"]}:
                        self._events.remove(message)
                        payload: dict[str, Any] = message["payload"]
                        return payload
                self._take(await self.communicator.receive_json_from())

    async def events(self, stream: str | None = None) -> list[dict[str, Any]]:
        """Return the payloads of all events of what has been committed so far and that were not yet taken.

        Raises ``TimeoutError`` if they are still being told.
        """
        if not await asyncio.to_thread(dispatcher.wait_until_idle, TIMEOUT):
            raise TimeoutError(f"After {TIMEOUT:g} s there is still something to be told.")
        await self._barrier()
        taken = [each for each in self._events if stream in {None, each["stream"]}]
        self._events = deque(each for each in self._events if each not in taken)
        return [each["payload"] for each in taken]

    async def close_code(self) -> int:
        """Wait until the server closes the socket, and return the code that it gives."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                message = await self.communicator.receive_output()
                if message["type"] == "websocket.close":
                    code: int = message["code"]
                    return code

    def _take(self, message: dict[str, Any]) -> bool:
        is_event = "response_status" not in message.get("payload", {"response_status": 0})
        if is_event:
            self._events.append(message)
        return is_event

    async def _reply(self, request_id: str) -> dict[str, Any]:
        while True:
            message = await self.communicator.receive_json_from()
            if not self._take(message) and message["payload"].get("request_id") == request_id:
                payload: dict[str, Any] = message["payload"]
                return payload

    async def _barrier(self) -> None:
        """Wait until everything that was sent before has arrived."""
        number = next(self._ids)
        await self.communicator.send_json_to({"ping": number})
        while (message := await self.communicator.receive_json_from()) != {"pong": number}:
            self._take(message)


@asynccontextmanager
async def socket(
    user: Any = None, path: str = "/ws/", demultiplexer: Any = None, headers: dict[str, str] | None = None
) -> AsyncIterator[Socket]:
    """Open the resource socket, logged in as ``user``, or as nobody; close it at the end.

    ``demultiplexer`` is served instead of the project's own, ``headers`` are sent besides. Raises ``AssertionError`` if
    the feature is off: then there is no such socket.
    """
    routes: Any = websocket_urlpatterns() if demultiplexer is None else [route("ws/", demultiplexer.as_asgi())]
    sent = {"host": "testserver", "origin": "http://testserver", **(headers or {})}
    if user is not None:
        sent["cookie"] = f"{settings.SESSION_COOKIE_NAME}={await sync_to_async(_session)(user)}"
    pairs = [(name.encode(), value.encode()) for name, value in sent.items()]
    communicator = PatientCommunicator(websocket_application(routes), path, headers=pairs)
    connected, _ = await communicator.connect()
    if not connected or await _is_refused(communicator):
        raise AssertionError(f"There is no socket for this caller at {path}. Is CORE_BINDINGS_ENABLED true?")
    try:
        yield Socket(communicator)
    finally:
        await communicator.disconnect()
        await asyncio.to_thread(_come_to_rest)


def _session(user: Any) -> str:
    """Return the key of a session in which ``user`` is logged in."""
    session: Any = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    key: str = session.session_key
    return key


async def _is_refused(communicator: PatientCommunicator) -> bool:
    """Tell whether the server closes the socket at once, by a ping that it would answer otherwise."""
    await communicator.send_json_to({"ping": 0})
    message = await communicator.receive_output()
    return bool(message["type"] == "websocket.close")


def _come_to_rest() -> None:
    """Wait until nothing is under way and no connection is held: a test database is dropped only then."""
    dispatcher.wait_until_idle(TIMEOUT)
    for threads in (workers, dispatcher.threads, desk.threads):
        threads.wait(TIMEOUT)
        threads.give_back(TIMEOUT)
