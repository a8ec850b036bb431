"""A site in small: processes with sockets, workers, and pages that keep live lists, with a transport in between that a
test controls. Nothing here runs by itself.
"""

import json
import uuid

from rest_framework.test import APIClient

from core.reactive import catching_up
from core.reactive.registry import Registry
from core.reactive.worker import Worker
from core.sockets.credentials import Credential
from tests.core.reactive.client import applied


class Process:
    """A server process: the sockets of some pages, and the post that comes for them."""

    def __init__(self):
        self.registry = Registry()

    def deliver(self, message):
        if "seq" in message:
            behind = self.registry.deliver(
                message["observer"], message["seq"], message["messages"], message["subscribers"]
            )
            self.catch_up(behind)
        else:
            self.registry.end(message["observer"], message["message"], message["subscribers"])

    def catch_up(self, subscribers=None):
        """Ask the journal, as is done when a socket connects, at gaps, and every so often."""
        lines = self.registry.lines(self.registry.subscribers() if subscribers is None else subscribers)
        missed = catching_up.missed([(line.socket.subscriber, dict(line.sent)) for line in lines])
        for line, letters in zip(lines, missed, strict=True):
            for letter in letters:
                letter.deliver(line)


class World:
    """Everything there is. ``post`` is what workers have sent and no process has got yet."""

    def __init__(self):
        self.processes = [Process()]
        self.workers = [Worker()]
        self.post = []
        self.pages = []

    def send(self, message):
        self.post.append(json.loads(json.dumps(message)))

    def page(self, user=None, process=0, **headers):
        """Return a page that ``user`` has opened, connected to a process."""
        page = Page(self, user, **headers)
        self.pages.append(page)
        page.connect(self.processes[process])
        return page

    def work(self):
        """Have every worker do what there is to do, and deliver what comes of it; return the number of evaluations."""
        done = sum(worker.work() for worker in self.workers)
        self.deliver()
        return done

    def deliver(self):
        post, self.post = self.post, []
        for message in post:
            for process in self.processes:
                process.deliver(message)


class Page:
    """A client: it holds the items of the lists that it observes and applies what it is told."""

    def __init__(self, world, user=None, **headers):
        self.world = world
        self.subscriber = uuid.uuid4().hex
        self.api = APIClient(headers=headers or None)
        self.user = user
        if user is not None:
            self.api.force_login(user)
        self.lists = {}
        self.messages = []
        self.credential = None if user is None else Credential("session", "", str(user.pk))
        self.barred = False
        self.line = self.process = None

    # --- The socket ---

    def connect(self, process):
        self.process = process
        self.line = process.registry.add(self)
        process.catch_up([self.subscriber])

    def disconnect(self):
        self.process.registry.discard(self.line)
        self.process = self.line = None

    def bar(self):
        self.barred = True

    def offer(self, text):
        if self.barred:
            return
        message = json.loads(text)
        self.messages.append(message)
        live = self.lists.get(message["observer"])
        if live is None:
            return
        if "seq" not in message:
            live.ended = message["msg"]
        elif message["seq"] > live.seq:
            assert message["seq"] == live.seq + 1, "a difference was left out"
            live.items = applied(live.items, [message])
            if message["last"]:
                live.seq = message["seq"]

    # --- Lists ---

    def get(self, url, **query):
        return self.api.get(url, query)

    def observe(self, url, **query):
        """Observe a list, and return it as it will be kept."""
        answer = self.get(url, **query, observe=self.subscriber)
        assert answer.status_code == 200, answer.content
        body = answer.json()
        live = Live(self, url, query, body)
        self.lists[live.observer] = live
        return live


class Live:
    """A list that is kept up to date."""

    def __init__(self, page, url, query, body):
        self.page, self.url, self.query = page, url, query
        self.observer, self.primary_key = body["observer"], body["primary_key"]
        self.seq, self.items = body["seq"], body["items"]
        self.ended = None

    @property
    def keys(self):
        return [item[self.primary_key] for item in self.items]

    @property
    def fresh(self):
        """What a plain GET answers now."""
        body = self.page.get(self.url, **self.query).json()
        if isinstance(body, dict):
            return body.get("results", [body])
        return body

    def resume(self):
        """Come back: ask what was missed."""
        body = self.page.get(self.url, **self.query, observe=self.page.subscriber, since=self.seq).json()
        if "items" in body:
            self.items = body["items"]
        else:
            self.items = applied(self.items, body["messages"])
        self.observer, self.seq, self.ended = body["observer"], body["seq"], None
        self.page.lists[self.observer] = self
        return body
