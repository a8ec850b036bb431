"""What a live query costs: from a write until a client has heard of it, whoever else observes whatever else.

The whole way is measured, in one process: the write, its log entry, the worker that finds out whom it concerns, the
evaluation, the difference, the socket. The floor is one ``group_send`` of the channel layer to the same socket.

The peer, djangorestframework-reactive, cannot be installed beside the others: it caps Django at 3.2. Measured alone,
on Django 5.2 and two cores, it evaluates every live query of the table at every write: 31 ms to the client with one
(554 ms with 100, 3.8 s with 1,000), for a floor of 6 to 9 ms.
"""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Sum
from django.test import RequestFactory, override_settings

from bench.measure import Contender, Row
from core.models import Observer, Subscriber, Subscription
from core.reactive.worker import OVERLAP
from polls.models import Choice, Question

COUNTS = (1, 100, 1_000, 10_000)
LISTENERS = 1_000
GROUP = "bench"
FIRST = 10**9  # a key that stands nowhere else
SETTLING = 3.0
PATIENCE = 60.0
"""Seconds after which a message that has not come is not expected any more."""


def close() -> None:
    """Stop what runs in the background."""
    from core.supervisor import supervisor

    asyncio.run_coroutine_threadsafe(supervisor.stop(), site.loop).result()


def rows() -> list[Row]:
    """One client among ever more live queries, then many clients of one live query."""
    live = Live()
    floor = Contender("floor, one group_send", site.announcing())
    found = [
        Row(
            f"one write, {count:,} live queries with different filters, one concerned",
            floor,
            Contender("ours", live.voting(1), _unthrottled),
            times=20,
            aim="at 1,000 ≤ 3 times that at 1" if count == 1_000 else "",
            setup=lambda count=count: live.grow(count),
            facts=live.facts,
            series="a write among live queries",
            size=count,
        )
        for count in COUNTS
    ]
    many = Live()
    return [
        *found,
        Row(
            f"one write, {LISTENERS:,} subscribers of one live query",
            Contender("floor, one group_send", site.announcing(LISTENERS)),
            Contender("ours", many.voting(LISTENERS), _unthrottled),
            times=5,
            setup=lambda: many.gather(LISTENERS),
            facts=many.facts,
        ),
    ]


@contextmanager
def _unthrottled() -> Iterator[None]:
    core = {**settings.CORE, "REACTIVE": {**settings.CORE["REACTIVE"], "THROTTLE_RATE": 0}}
    with override_settings(CORE=core):
        yield


class Site:
    """A server in a thread: its event loop, its background jobs, and sockets whose messages are counted."""

    def __init__(self) -> None:
        from config.asgi import application
        from core.reactive.hosting import host

        self.application = application
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.loop.call_soon_threadsafe(host.want)  # the worker runs here, on Redis too
        self._sockets: list[Any] = []
        self._left = 0
        self._came = threading.Event()

    def connect(self, application: Any, path: str) -> None:
        """Open a socket, and return when it is open."""
        opened = threading.Event()
        arriving: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        arriving.put_nowait({"type": "websocket.connect"})

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "websocket.accept":
                opened.set()
            elif message["type"] == "websocket.send":
                self._left -= 1
                if self._left == 0:
                    self._came.set()

        scope = {"type": "websocket", "path": path, "headers": [], "query_string": b"", "subprotocols": []}
        self._sockets.append(asyncio.run_coroutine_threadsafe(application(scope, arriving.get, send), self.loop))
        if not opened.wait(PATIENCE):
            raise TimeoutError(f"The socket {path} was not opened.")

    def until(self, messages: int, work: Callable[[], object]) -> int:
        """Do ``work`` and wait until so many messages have come to the sockets; return how many."""
        self._left = messages
        self._came.clear()
        work()
        if not self._came.wait(PATIENCE):
            raise TimeoutError(f"{self._left} of {messages} messages have not come.")
        return messages

    def announcing(self, listeners: int = 1) -> Callable[[], int]:
        """Return the floor: one message to a group of plain sockets."""
        group = f"{GROUP}-{listeners}"

        class Plain(AsyncWebsocketConsumer):
            async def connect(self) -> None:
                await self.channel_layer.group_add(group, self.channel_name)
                await self.accept()

            async def told(self, event: dict[str, Any]) -> None:
                await self.send(event["text"])

        application = Plain.as_asgi()
        for number in range(listeners):
            self.connect(application, f"/plain/{number}")
        message = {"type": "told", "text": json.dumps({"item": {"votes": 1}})}

        def announce() -> None:
            asyncio.run_coroutine_threadsafe(get_channel_layer().group_send(group, message), self.loop).result()

        return lambda: self.until(listeners, announce)


site = Site()


class Live:
    """A question with one choice that somebody observes, and others that others observe."""

    _names = itertools.count()

    def __init__(self) -> None:

        self.question = Question.objects.create(question_text="the one")
        self.choice = Choice.objects.create(question=self.question, choice_text="a choice")
        # A new question concerns all of them, because the filter asks which questions there are: it is there before.
        self.another = Question(pk=FIRST + self.question.pk, question_text="another")
        self.another.save(force_insert=True)
        self.queries, self.listeners = 1, 0
        self._get = BaseHandler()
        self._get.load_middleware()

    def voting(self, listeners: int) -> Callable[[], int]:
        """Return the work: a vote, and its way to ``listeners`` sockets."""
        votes = Choice.objects.filter(pk=self.choice.pk)
        return lambda: site.until(listeners, lambda: votes.update(votes=next(self._names)))

    def grow(self, count: int) -> None:
        """Have ``count`` queries live, of which one is about the question."""
        self.gather(1)
        if count > self.queries:
            self._copy(count - self.queries)
            self.queries = count

    def gather(self, listeners: int) -> None:
        """Have ``listeners`` subscribers of the one question."""
        for _ in range(listeners - self.listeners):
            subscriber = f"bench{next(self._names)}"
            self._observe(self.question.pk, subscriber)
            site.connect(site.application, f"/ws/{subscriber}")
        self.listeners = listeners

    def _observe(self, question: int, subscriber: str) -> str:
        url = f"/api/choices/?question={question}&observe={subscriber}"
        response = self._get.get_response(RequestFactory().get(url))
        if response.status_code != 200:
            raise ValueError(response.content)
        return json.loads(response.content)["observer"]

    def _copy(self, count: int) -> None:
        """Make more live queries, each of another question without choices: one is asked, the others are like it."""
        first = self.another.pk
        model = Observer.objects.get(pk=self._observe(first, f"bench{next(self._names)}"))
        told = {name: json.dumps(getattr(model, name)) for name in ("question", "profile")}
        copies = []
        for number in range(self.queries, self.queries + count):
            values = {field.attname: getattr(model, field.attname) for field in Observer._meta.concrete_fields}
            values |= {name: json.loads(text.replace(str(first), str(first + number))) for name, text in told.items()}
            copies.append(Observer(**{**values, "id": f"{next(self._names):032d}"}))
        idle = Subscriber(pk=f"bench{next(self._names)}", expires_at=time.time() + 10**6)
        idle.save()
        Observer.objects.bulk_create(copies, batch_size=500)
        caller = model.question["caller"]
        kept = [Subscription(observer=each, subscriber=idle, caller=caller, seq=each.seq) for each in [model, *copies]]
        Subscription.objects.bulk_create(kept, batch_size=500)
        # The worker looks at what is new, for as long as clocks may differ: at the next vote, and soon no more.
        Observer.objects.update(updated_at=time.time() - OVERLAP + SETTLING)
        self.voting(1)()
        time.sleep(SETTLING)

    def facts(self) -> str:
        """Return what one write makes of it: evaluations, and statements in all threads."""
        statements = []
        execute = CursorWrapper.execute
        before = self._evaluations()

        def counted(cursor: CursorWrapper, sql: str, params: Any = None) -> Any:
            statements.append(sql)
            return execute(cursor, sql, params)

        CursorWrapper.execute = counted
        try:
            with _unthrottled():
                self.voting(self.listeners)()
        finally:
            CursorWrapper.execute = execute
        connection.close()
        return f"{self._evaluations() - before} evaluation(s), {len(statements)} statements"

    def _evaluations(self) -> int:
        return Observer.objects.aggregate(n=Sum("evaluations"))["n"]
