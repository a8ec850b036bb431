"""The consumer behind ``/ws/``: one socket, any number of streams, told apart by name."""

import asyncio
import logging
from collections import deque
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar, Final

from core.bindings.asking import Call, Origin
from core.bindings.audience import Subscription
from core.bindings.calls import GoneError, Unfinished, failed, perform
from core.bindings.dispatcher import dispatcher
from core.bindings.messages import (
    BAD_REQUEST,
    NOT_FOUND,
    TOO_MANY,
    Request,
    UnreadableMessageError,
    parse,
    refusal,
)
from core.bindings.resource import ResourceBinding
from core.bindings.sight import Interest
from core.bindings.streams import Streams, declared
from core.bindings.subscribing import Subscribing, Unsubscribing
from core.bindings.workers import Workers
from core.callers import CallerGoneError
from core.changes import reader
from core.conf import core_settings
from core.sockets import CloseCode, SocketConsumer

logger = logging.getLogger(__name__)

workers: Final = Workers("core.bindings", lambda: core_settings.BINDINGS.MAX_WORKERS)
"""The threads in which this process answers requests."""


class WebsocketDemultiplexer(SocketConsumer):
    """Routes each message to the stream it names.

    ``mapping`` gives the streams; without one, they are those that the project's applications declare. A message for
    a stream that is not there, or that is no message at all, gets an error in reply and the socket stays open.

    Requests of one stream are answered in order, one after another. Streams do not wait for each other.
    """

    mapping: ClassVar[Mapping[str, type[ResourceBinding]] | None] = None

    @classmethod
    def streams(cls) -> Streams:
        """Return the bindings by the names of their streams."""
        return declared() if cls.mapping is None else cls.mapping

    async def opened(self) -> None:
        """Begin with nothing to do."""
        self._origin = _origin(self.scope)
        self._waiting_for: dict[str, deque[Request]] = {}
        self._pending = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscriptions: dict[Hashable, tuple[Interest, Subscription]] = {}

    def received(self, text: str) -> None:
        """Have one message answered, when those before it on the same stream have been."""
        try:
            request = parse(text)
        except UnreadableMessageError as error:
            self.offer(refusal(error.stream, error.payload, BAD_REQUEST, error.sentence))
            return
        streams = self.streams()
        if request.stream not in streams:
            names = ", ".join(sorted(streams)) or "none yet"
            self._refuse(request, NOT_FOUND, f"There is no stream {request.stream!r}. Streams: {names}.")
        elif self._pending >= core_settings.BINDINGS.MAX_PENDING:
            limit = core_settings.BINDINGS.MAX_PENDING
            self._refuse(request, TOO_MANY, f"{limit} requests wait already. Send this one again later.")
        else:
            self._take_up(request)

    def refused(self, status: int, sentence: str, text: str | None) -> None:
        """Tell the client in the standard form that a message was not taken."""
        stream, payload = None, None
        try:
            request = parse(text or "")
            stream, payload = request.stream, request.payload
        except UnreadableMessageError as error:
            stream, payload = error.stream, error.payload
        self.offer(refusal(stream, payload, status, sentence))

    async def left(self) -> None:
        """Forget what has not been begun. What has been begun is finished, and nobody is told."""
        for task in getattr(self, "_tasks", ()):
            task.cancel()
        dispatcher.leave_all(self, {interest for interest, _ in getattr(self, "_subscriptions", {}).values()})

    def _refuse(self, request: Request, status: int, sentence: str) -> None:
        self.offer(refusal(request.stream, request.payload, status, sentence))

    def _take_up(self, request: Request) -> None:
        self._pending += 1
        waiting = self._waiting_for.get(request.stream)
        if waiting is not None:
            waiting.append(request)
            return
        self._waiting_for[request.stream] = deque([request])
        task = self.loop.create_task(self._serve(request.stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, stream: str) -> None:
        """Answer what waits on one stream. Ends when nothing does."""
        waiting = self._waiting_for[stream]
        try:
            while waiting and not self.closing:
                request = waiting.popleft()
                try:
                    await self._answer(request)
                except Exception:  # those that wait behind it are to be answered
                    logger.exception("A request on a socket could not be answered.")
                finally:
                    self._pending -= 1
        finally:
            del self._waiting_for[stream]

    async def _answer(self, request: Request) -> None:
        call = Call(self.streams()[request.stream], request, self.caller, self._origin, self.credential)
        try:
            match await self.loop.run_in_executor(workers, perform, call):
                case str() as text:
                    self.offer(text)
                case Unfinished() as action:
                    self.offer(await action.finished())
                case Subscribing() as wanted:
                    await self._subscribe(wanted)
                case Unsubscribing() as unwanted:
                    await self._unsubscribe(unwanted)
        except (GoneError, CallerGoneError):
            self.close(CloseCode.NOT_AUTHENTICATED)
        except Exception as error:  # noqa: BLE001 - no reply is to be missing
            self.offer(failed(call, error))

    async def _subscribe(self, wanted: Subscribing) -> None:
        limit = core_settings.BINDINGS.MAX_SUBSCRIPTIONS
        if wanted.wish not in self._subscriptions and len(self._subscriptions) >= limit:
            self._refuse(wanted.request, TOO_MANY, f"A socket has {limit} subscriptions at most. Unsubscribe first.")
            return
        known = wanted.wish in self._subscriptions
        self._subscriptions[wanted.wish] = (wanted.interest, wanted.subscription)
        try:
            await reader.begun()
            joined = dispatcher.join(self, wanted.interest, wanted.subscription, wanted.confirmed)
            await asyncio.wrap_future(joined)
        except Exception:
            if not known:
                del self._subscriptions[wanted.wish]
            raise

    async def _unsubscribe(self, unwanted: Unsubscribing) -> None:
        held = self._subscriptions.pop(unwanted.wish, None)
        if held is None or held in self._subscriptions.values():  # "01" may name the row that "1" does
            self.offer(unwanted.confirmed())
            return
        await asyncio.wrap_future(dispatcher.leave(self, *held, unwanted.confirmed))


def _origin(scope: Any) -> Origin:
    """Return what requests of this socket have besides its caller: the address that throttles count by."""
    headers = dict(scope["headers"])
    forwarded = headers.get(b"x-forwarded-for")
    named = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded.decode("latin-1")}
    client = scope.get("client") or ("", 0)
    return Origin(scope.get("path", "/ws/"), client[0], named)
