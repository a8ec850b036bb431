"""What the resource socket costs: requests, events to many subscribers, sockets that do nothing.

The floor of requests is a plain consumer that does the same work with the same serializer; that of events is a bare
``group_send`` to as many consumers, without any write. Clients are queues in the same process, for all alike.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from rest_framework.permissions import AllowAny

from bench.measure import Contender, Row
from bench.plain.models import Plain
from bench.urls import viewset
from bench.watched.models import Watched
from core.bindings import ResourceBinding, WebsocketDemultiplexer

try:
    from djangochannelsrestframework import mixins as peer_mixins
    from djangochannelsrestframework.generics import GenericAsyncAPIConsumer
    from djangochannelsrestframework.observer.generics import ObserverModelInstanceMixin
except ImportError:
    GenericAsyncAPIConsumer = None

OURS = "ours"
FIRST = 10**9  # a key that no sequence comes to
BODY = {"text": "a row", "number": 3, "on": True}
LAYER = "Redis" if "redis" in settings.CHANNEL_LAYERS["default"]["BACKEND"] else "memory"
GROUP = "bench"
IDLE = 1000 if LAYER == "memory" else 250  # on Redis, to open and to close one takes milliseconds
PATIENCE = 30.0
"""Seconds after which what has not come is not expected any more."""
LEAVING = 5.0
"""Seconds after which sockets that are to close are left to themselves."""
loop = asyncio.new_event_loop()
# Nobody is interested in what becomes of sockets that are open at the end.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def rows() -> list[Row]:
    """Measure requests on 1 and 50 sockets, an update told to 1 to 1,000 sockets, and 1,000 idle sockets."""
    asyncio.set_event_loop(loop)
    found = []
    for sockets in (1, 50):
        found += [_requests(action, sockets) for action in ("create", "retrieve", "update")]
    found += [_subscribers(count) for count in (1, 10, 100, 500, 1000)]
    found.append(_idle())
    return found


class Client:
    """One socket, served in this process."""

    def __init__(self, application: Any) -> None:
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {
            "type": "websocket",
            "path": "/ws/",
            "headers": [(b"host", b"testserver")],
            "client": ["127.0.0.1", 1],
            "query_string": b"",
            "subprotocols": [],
            "user": AnonymousUser(),
        }
        self._sent.put_nowait({"type": "websocket.connect"})
        self.task = loop.create_task(application(scope, self._sent.get, self._received.put))
        # A consumer that dies says nothing to its client, which would wait.
        self.task.add_done_callback(lambda task: self._received.put_nowait({"type": repr(task)}))

    async def opened(self) -> "Client":
        """Wait until the socket is open."""
        await self._get("websocket.accept")
        return self

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a message and return the next one that comes."""
        self._sent.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})
        return await self.next()

    async def next(self) -> dict[str, Any]:
        """Return the next message."""
        found: dict[str, Any] = json.loads((await self._get("websocket.send"))["text"])
        return found.get("payload", found)

    async def _get(self, kind: str) -> dict[str, Any]:
        message = await self._received.get()
        if message["type"] != kind:
            raise ConnectionError(f"Waited for {kind}, and there came {message['type']}.")
        return message

    async def closed(self) -> None:
        """Leave."""
        self._sent.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait([self.task])


class Clients:
    """So many sockets of one application: opened when they are first asked for, each with a first message."""

    def __init__(self, application: Any, count: int, greeting: dict[str, Any] | None = None) -> None:
        self._application, self._count, self._greeting = application, count, greeting
        self._open: list[Client] = []

    def get(self) -> list[Client]:
        """Return the sockets."""
        if not self._open:
            self._open = _run(_open(self._application, self._count), f"{self._count} sockets to open")
            if self._greeting is not None:
                answers = (client.ask(self._greeting) for client in self._open)
                _run(_each(answers), f"{self._count} answers to the first message")
        return self._open

    def close(self) -> None:
        """Leave: what the next row writes is not told to these. Who does not go in time is sent away."""
        with suppress(TimeoutError):
            _run(_each(client.closed() for client in self._open), f"{self._count} sockets to close", LEAVING)
        for client in self._open:
            client.task.cancel()
        self._open = []


async def _open(application: Any, count: int) -> list[Client]:
    return await _each(Client(application).opened() for _ in range(count))


async def _each(works: Iterable[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*works)


def _run(work: Coroutine[Any, Any, Any], awaited: str, patience: float = PATIENCE) -> Any:
    """Run ``work`` on the loop of all sockets; what takes too long is an error that names what was ``awaited``."""
    try:
        return loop.run_until_complete(asyncio.wait_for(work, patience))
    except TimeoutError:
        raise TimeoutError(f"Waited {patience:.0f} s in vain for {awaited}, {LAYER}.") from None


def _empty() -> None:
    for model in (Plain, Watched):
        model._base_manager.all()._raw_delete("default")
        model(pk=FIRST, text="first").save(force_insert=True)


# --- Requests ---

SERIALIZER = viewset(Watched).serializer_class


class FloorConsumer(AsyncWebsocketConsumer):
    """The same work of the database and the serializer, and nothing else."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        message = json.loads(text_data or "")
        await self.send(text_data=json.dumps({"data": await database_sync_to_async(self.work)(message)}))

    def work(self, message: dict[str, Any]) -> Any:
        if message["action"] == "create":
            serializer = SERIALIZER(data=message["data"])
        else:
            row = Watched.objects.get(pk=message["pk"])
            if message["action"] == "retrieve":
                return SERIALIZER(row).data
            serializer = SERIALIZER(row, data=message["data"])
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return serializer.data


class Binding(ResourceBinding):
    """Ours."""

    viewset_class = viewset(Watched)


class Demultiplexer(WebsocketDemultiplexer):
    """Ours."""

    mapping = {"rows": Binding}


def _peer(model: type, *mixins: type) -> Any:
    members = {
        "queryset": model.objects.all(),
        "serializer_class": viewset(model).serializer_class,
        "permission_classes": (AllowAny,),
        "__module__": __name__,
    }
    return type(f"Peer{model.__name__}", (*mixins, GenericAsyncAPIConsumer), members)


def _requests(action: str, sockets: int) -> Row:
    message = {"action": action, "request_id": 1, "data": BODY, "pk": FIRST}
    if action == "create":
        del message["pk"]

    everybody: list[Clients] = []

    def contender(name: str, application: Any, wrap: Callable[[dict[str, Any]], dict[str, Any]]) -> Contender:
        clients = Clients(application, sockets)
        everybody.append(clients)

        def once() -> list[Any]:
            answers = (client.ask(wrap(message)) for client in clients.get())
            replies = _run(_each(answers), f"answers to {action} on {sockets} sockets from {name}")
            return [{**reply["data"], "id": None} for reply in replies]

        return Contender(name, once)

    peer = None
    if GenericAsyncAPIConsumer is not None:
        parts = (peer_mixins.CreateModelMixin, peer_mixins.RetrieveModelMixin, peer_mixins.UpdateModelMixin)
        peer = contender("djangochannelsrestframework", _peer(Watched, *parts).as_asgi(), dict)
    return Row(
        f"socket {action}, {sockets} {'connection' if sockets == 1 else 'connections'}, {LAYER}",
        contender("floor, a plain consumer", FloorConsumer.as_asgi(), dict),
        contender(OURS, Demultiplexer.as_asgi(), lambda each: {"stream": "rows", "payload": each}),
        peer=peer,
        times=100 if sockets == 1 else 1,
        each_time=sockets > 1,
        setup=_empty,
        close=lambda: [clients.close() for clients in everybody],
        aim="≤ 1.2",
        peer_aim="≥ 1.3",
    )


# --- Events ---


class ListeningConsumer(AsyncWebsocketConsumer):
    """Sends on what its group is sent."""

    groups = [GROUP]

    async def told(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["text"])


def _subscribers(count: int) -> Row:
    everybody: list[Clients] = []

    def contender(
        name: str, application: Any, subscription: dict[str, Any] | None, write: Callable[[], Awaitable[object]]
    ) -> Contender:
        clients = Clients(application, count, subscription)
        everybody.append(clients)

        async def told(listening: list[Client]) -> int:
            await write()
            return len(await _each(client.next() for client in listening))

        def once() -> int:
            listening = clients.get()
            return _run(told(listening), f"what {count} sockets are told by {name}")

        return Contender(name, once)

    text = json.dumps({"action": "update", "pk": FIRST, "data": {**BODY, "id": FIRST}})

    async def send() -> None:
        await get_channel_layer().group_send(f"{GROUP}-{count}", {"type": "told", "text": text})

    def save(model: type) -> Callable[[], Awaitable[object]]:
        return lambda: model(pk=FIRST, text="again").asave(force_update=True)

    floor = type("Listening", (ListeningConsumer,), {"groups": [f"{GROUP}-{count}"]})
    subscribe = {"action": "subscribe", "data": {"action": "update", "pk": FIRST}}
    peer = None
    if GenericAsyncAPIConsumer is not None and count == 500:
        consumer = _peer(Plain, ObserverModelInstanceMixin)
        asked = {"action": "subscribe_instance", "pk": FIRST, "request_id": 1}
        peer = contender("djangochannelsrestframework", consumer.as_asgi(), asked, save(Plain))
    return Row(
        f"one save, {count} {'subscriber' if count == 1 else 'subscribers'} of that row, {LAYER}",
        contender("floor, bare group_send and no save", floor.as_asgi(), None, send),
        contender(OURS, Demultiplexer.as_asgi(), {"stream": "rows", "payload": subscribe}, save(Watched)),
        peer=peer,
        times=20 if count < 500 else 1,
        each_time=count >= 500,  # of the peer, each takes seconds
        setup=_once_empty,
        close=lambda: [clients.close() for clients in everybody],
        series=f"one save, {LAYER}, subscribers",
        size=count,
        aim="≤ 1.3" if count == 500 else "",
        peer_aim="≥ 3" if count == 500 else "",
    )


_emptied: list[bool] = []


def _once_empty() -> None:
    """Make the rows once: subscriptions to them stay as long as a row is measured."""
    if not _emptied:
        _emptied.append(True)
        _empty()


# --- Sockets that do nothing ---


def _idle() -> Row:
    def contender(name: str, application: Any) -> Contender:
        def open_and_close() -> int:
            clients = Clients(application, IDLE)
            count = len(clients.get())
            clients.close()
            return count

        return Contender(name, open_and_close)

    peer = None
    if GenericAsyncAPIConsumer is not None:
        peer = contender("djangochannelsrestframework", _peer(Watched, peer_mixins.RetrieveModelMixin).as_asgi())
    return Row(
        f"{IDLE:,} idle sockets, opened and closed, {LAYER}",
        contender("floor, a plain consumer", FloorConsumer.as_asgi()),
        contender(OURS, Demultiplexer.as_asgi()),
        peer=peer,
        times=1,
        each_time=True,
        memory=True,
        aim="≤ 1.2 (memory)",
        peer_aim="≥ 1 (memory)",
    )
