"""Clients of live queries on a site of several processes, others who write meanwhile, and what may go wrong."""

import contextlib
import json
import random
import re
import subprocess
import sys
import textwrap
import threading
import time
import urllib.parse
import urllib.request
import uuid
from http.client import HTTPException

from processes import HOST, PATIENCE, wait_for
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

DROPPED = "0.3"
"""The part of what is sent on the channel layer that gets lost."""
SETTINGS = """
    from config.settings import *
    from config.settings import CORE, REST_FRAMEWORK
    CORE["REACTIVE"] = {**CORE["REACTIVE"], "REPAIR_INTERVAL": 4}
    REST_FRAMEWORK["DEFAULT_THROTTLE_CLASSES"] = []
"""
WORKER = """
    import os, random, django
    django.setup()
    from django.core.management import call_command
    from core.changes import doorbell
    send = doorbell.send
    doorbell.send = lambda *args: random.random() < float(os.environ["TOY_DROP"]) or send(*args)
    call_command("observerworker")
"""
SEED = """
    from polls.models import Choice, Question
    for number in range(4):
        question = Question.objects.create(question_text=f"question {number}")
        Choice.objects.bulk_create([Choice(question=question, choice_text=f"c{each}") for each in range(3)])
    print("FIRST", Question.objects.order_by("id").first().pk)
"""
# The first question stays as it is, so that its choices can be asked for throughout.
WRITER = """
    import os, random, time
    from django.db import DatabaseError, connection, transaction
    from polls.models import Choice, Question
    first = Question.objects.order_by("id").first()

    def some(model):
        return model.objects.order_by("?").first()

    def created():
        Choice.objects.create(question=some(Question), choice_text="new")
        made = Choice.objects.bulk_create([Choice(question=first, choice_text="many", votes=n) for n in range(2)])
        print("MADE", *(choice.pk for choice in made))

    def changed():
        choice = some(Choice)
        choice.choice_text, choice.votes = str(random.random()), random.randrange(9)
        choice.save(update_fields=random.choice([None, ["votes"]]))
        Choice.objects.filter(votes__gt=random.randrange(9)).update(votes=random.randrange(9))

    def moved():
        Choice.objects.filter(pk=some(Choice).pk).update(question=some(Question))

    def deleted():
        if Choice.objects.count() > 12:
            Choice.objects.filter(pk__in=[some(Choice).pk, some(Choice).pk]).delete()
            some(Choice).delete()

    def hidden():
        questions = Question.objects.exclude(pk=first.pk)
        questions.filter(pk=random.choice(questions).pk).update(published=random.choice([True, False]))

    def replaced():
        with transaction.atomic():
            Question.objects.exclude(pk=first.pk).order_by("?").first().delete()
            question = Question.objects.create(question_text="another")
            Choice.objects.create(question=question, choice_text="its own")
            try:
                with transaction.atomic():
                    Choice.objects.all().delete()
                    raise ValueError
            except ValueError:
                pass

    refused = 0

    def done(way):
        global refused
        try:
            way()
        except {survived}:
            refused += 1
            connection.close()
            return False
        return True

    print("BEGUN", flush=True)
    until = time.monotonic() + {seconds}
    while time.monotonic() < until or os.path.exists({goes_on!r}):
        done(random.choice([created, changed, changed, moved, deleted, hidden, replaced]))
        time.sleep(random.random() * 0.1)
    while not done(created):  # whatever chance has done, there is something to be told of
        time.sleep(0.1)
    print("DONE", refused)
"""


def writer(seconds, survived="()", goes_on=""):
    """Return the code of somebody who writes for ``seconds``, and for as long as the file ``goes_on`` is there."""
    return textwrap.dedent(WRITER.format(seconds=seconds, survived=survived, goes_on=str(goes_on)))


class Client(threading.Thread):
    """Keeps its lists as a page does: by GET once, then by what the socket tells, on whichever server answers."""

    def __init__(self, servers, lists):
        super().__init__(daemon=True)
        self.servers = servers
        self.subscriber = uuid.uuid4().hex
        self.lists = {url: {"seq": None, "items": None, "open": []} for url in lists}
        self.stale = set(lists)
        self.told = []  # what a page should not be told here
        self.differences = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            server = random.choice(list(self.servers))
            try:
                with connect(f"ws://{HOST}:{server}/ws/{self.subscriber}", open_timeout=30, close_timeout=1) as socket:
                    self.stale = set(self.lists)
                    while not self.ended.is_set():
                        for url in list(self.stale):
                            self.ask(server, url)
                        self.hear(socket)
            except (OSError, HTTPException, WebSocketException, ValueError):  # ended in the midst of anything
                time.sleep(0.2)

    def hear(self, socket):
        try:
            message = json.loads(socket.recv(timeout=0.3))
        except TimeoutError:
            return
        found = [url for url, live in self.lists.items() if live.get("observer") == message.get("observer")]
        for url in found:
            live = self.lists[url]
            if message["msg"] not in {"added", "changed", "removed"}:
                self.told += [message["msg"]] if message["msg"] != "reload" else []
                live["seq"] = None
                self.stale.add(url)
            elif message["seq"] == live["seq"] + 1:
                live["open"].append(message)
                if message["last"]:
                    self.apply(live, message["seq"])
            elif message["seq"] > live["seq"]:
                self.stale.add(url)

    def ask(self, server, url):
        live = self.lists[url]
        query = {"observe": self.subscriber} | ({} if live["seq"] is None else {"since": live["seq"]})
        body = get(server, f"{url}{'&' if '?' in url else '?'}{urllib.parse.urlencode(query)}")
        if "items" in body:
            live["items"], live["open"] = body["items"], []
        else:
            live["open"] = body["messages"]
        live["observer"], live["key"] = body["observer"], body["primary_key"]
        self.apply(live, body["seq"])
        self.stale.discard(url)

    def apply(self, live, seq):
        items, key = list(live["items"]), live["key"]
        for message in live["open"]:
            items = [each for each in items if each[key] != message["item"][key]]
            if message["msg"] != "removed":
                items.insert(message["order"], message["item"])
        self.differences += bool(live["open"])
        live["items"], live["open"], live["seq"] = items, [], seq


def get(server, url):
    with urllib.request.urlopen(f"http://{HOST}:{server}{url}", timeout=PATIENCE) as response:
        return json.loads(response.read())


def fresh(server, url):
    """What a plain GET answers."""
    body = get(server, url)
    return body["results"] if isinstance(body, dict) else body


def vote_until(ended, servers):
    """Vote through the servers, whichever of them answers."""
    while not ended.wait(0.05):
        try:
            server = random.choice(list(servers))
            choices = fresh(server, "/api/choices/?limit=200")
            url = f"http://{HOST}:{server}/api/choices/{random.choice(choices)['id']}/vote/"
            urllib.request.urlopen(urllib.request.Request(url, method="POST", data=b""), timeout=PATIENCE).close()
        except (OSError, HTTPException, ValueError):  # gone, the choice or the server, or it is going
            continue


class Faults:
    """What goes wrong, one after the other."""

    def __init__(self, site):
        self.site = site
        self.servers = {}  # ports, with their processes
        starting = [threading.Thread(target=self.serve, args=(name,)) for name in ("one", "other")]
        for thread in starting:
            thread.start()
        self.workers = [self.worker(), self.worker()]
        for thread in starting:
            thread.join()

    def worker(self):
        return self.site.start(sys.executable, str(self.site.folder / "toy_worker.py"), TOY_DROP=DROPPED)

    def serve(self, name):
        process, url = self.site.serve(name, TOY_DROP=DROPPED)
        self.servers[int(url.rpartition(":")[2])] = process

    def kill_a_worker(self):
        self.workers.pop(random.randrange(len(self.workers))).kill()
        self.workers.append(self.worker())

    def cut_connections(self):
        for kind in ("normal", "pubsub"):
            command = ["redis-cli", "-p", str(self.site.redis.port), "CLIENT", "KILL", "TYPE", kind]
            subprocess.run(command, check=False, capture_output=True)

    def restart_redis(self):
        self.site.redis.stop()
        time.sleep(0.5)
        self.site.redis.start()

    def kill_a_server(self):
        port = random.choice(list(self.servers))
        self.servers.pop(port).kill()
        self.serve(f"server-{port}")

    def happen(self, seconds):
        """Have all of it happen within ``seconds``, in some order."""
        faults = [self.kill_a_worker, self.cut_connections, self.restart_redis, self.kill_a_server]
        faults += [self.kill_a_worker, self.cut_connections]
        random.shuffle(faults)
        began = time.monotonic()
        for number, fault in enumerate(faults):
            time.sleep(max(0, began + seconds * number / len(faults) - time.monotonic()))
            fault()


def seed(site):
    """Write the first rows; return the key of the question that stays as it is."""
    output = site.manage("shell", "-c", textwrap.dedent(SEED)).communicate(timeout=PATIENCE)[0]
    return int(re.search(r"FIRST (\d+)", output)[1])


def lists_of(first):
    """The lists that clients keep: filtered, nested, ordered, cut into pages."""
    return [
        f"/api/choices/?question={first}",
        f"/api/questions/{first}/choices/?limit=100",
        "/api/choices/?ordering=-votes,id&limit=3",
        "/api/choices/?ordering=id&limit=3&offset=2",
        "/api/choices/?votes__gte=3&limit=200",
        "/api/questions/?limit=100",
    ]


@contextlib.contextmanager
def clients_of(servers, lists):
    """Clients that have been answered once, each with some of the lists."""
    clients = [Client(servers, random.sample(lists, 4)) for _ in range(4)]
    for client in clients:
        client.start()
    wait_for(lambda: not any(client.stale for client in clients), PATIENCE)
    yield clients
    for client in clients:
        client.ended.set()
    for client in clients:
        client.join(PATIENCE)


@contextlib.contextmanager
def voting(servers):
    """Somebody votes meanwhile."""
    ended = threading.Event()
    thread = threading.Thread(target=vote_until, args=(ended, servers), daemon=True)
    thread.start()
    yield
    ended.set()
    thread.join(PATIENCE)


def assert_told_the_truth(site, servers, clients, lists):
    """Each client comes to hold what each server answers, and was told no more than that things have changed."""

    def wrong():
        found = []
        for server in list(servers):
            right = {url: fresh(server, url) for url in lists}
            found += [
                (url, live, right[url])
                for client in clients
                for url, live in client.lists.items()
                if live["items"] != right[url]
            ]
        return found

    end = time.monotonic() + PATIENCE
    while (left := wrong()) and time.monotonic() < end:
        time.sleep(0.2)
    assert not left, f"{left}\n{(site.folder / 'stderr').read_text()[-5000:]}"
    assert all(client.differences for client in clients), "nobody was told of anything"
    assert not any(client.told for client in clients)
