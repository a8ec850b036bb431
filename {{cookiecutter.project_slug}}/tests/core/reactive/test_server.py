"""Live queries in a running server process: its jobs, real sockets, both channel layers."""

import asyncio
import json
import threading
import time
from contextlib import asynccontextmanager

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from channels.routing import ChannelNameRouter, ProtocolTypeRouter, URLRouter
from channels.testing import ApplicationCommunicator
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import re_path
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from core.changes import doorbell
from core.models import Bookmark, Difference, Observer, Subscriber, Subscription
from core.reactive import (
    CHANNEL_POLL_OBSERVER,
    CHANNEL_WORKER_NOTIFY,
    ClientConsumer,
    PollObserversConsumer,
    WorkerConsumer,
    consumers,
    delivery,
    hosting,
    publishing,
    store,
)
from core.reactive.protocol import GROUP, NOTIFY
from core.release import release
from core.routing import websocket_urlpatterns, worker_channels
from core.sockets import CloseCode, websocket_application
from core.testing import PatientCommunicator
from polls.models import Choice

pytestmark = pytest.mark.django_db(transaction=True)

CHOICES = "/api/choices/"
PATIENCE = 60


@pytest.fixture
def site(channel_layer, settings, monkeypatch):
    """Returns a context manager in which a server's jobs run: ``async with site() as connect``."""
    settings.CORE = {**settings.CORE, "REACTIVE": {"THROTTLE_RATE": 0.01}}
    post, host = delivery.Post(), hosting.Host()
    monkeypatch.setattr(publishing, "hands", [post.put])
    monkeypatch.setattr(consumers, "post", post)
    monkeypatch.setattr(consumers, "host", host)

    @asynccontextmanager
    async def running(*, worker=True):
        jobs = [doorbell.server_sender.run(), post.run()]
        if worker:
            host.want()
            jobs.append(host.run())
        tasks = [asyncio.create_task(job) for job in jobs]
        if channel_layer == "redis":
            await until_joined()
        try:
            yield connect
        finally:
            await end(*tasks)

    return running


async def end(*tasks):
    """End ``tasks``. On Python 3.11 a cancellation is lost while redis-py writes to its connection."""
    async with asyncio.timeout(PATIENCE):
        while not all(task.done() for task in tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=0.1)


async def until_joined():
    """Wait until the process hears what workers send."""
    async with asyncio.timeout(PATIENCE):
        layer = get_channel_layer()
        while not await layer.connection(0).exists(layer._group_key(GROUP)):
            await asyncio.sleep(0.01)


@asynccontextmanager
async def connect(subscriber, **headers):
    application = websocket_application(websocket_urlpatterns())
    pairs = [(b"host", b"testserver"), (b"origin", b"http://testserver")]
    pairs += [(name.encode(), value.encode()) for name, value in headers.items()]
    ws = PatientCommunicator(application, f"/ws/{subscriber}", headers=pairs)
    accepted, _ = await ws.connect()
    assert accepted
    try:
        yield ws
    finally:
        await ws.disconnect()


@sync_to_async
def observe(subscriber, url=CHOICES, **query):
    return APIClient().get(url, {**query, "observe": subscriber}).json()


async def told(ws):
    return json.loads(await ws.receive_from())


@sync_to_async
def vote():
    Choice.objects.filter(choice_text="Tea").vote()


async def test_a_difference_arrives(site, question):
    async with site() as connect, connect("me") as ws:
        body = await observe("me")
        await vote()
        message = await told(ws)
        assert (message["msg"], message["seq"], message["item"]["votes"]) == ("changed", body["seq"] + 1, 1)


async def test_it_makes_no_difference_whether_the_socket_or_the_answer_comes_first(site, question):
    async with site() as connect:
        body = await observe("me")
        await vote()
        async with connect("me") as ws:
            await vote()
            seqs = [(await told(ws))["seq"]]
            while seqs[-1] < body["seq"] + 1:
                seqs.append((await told(ws))["seq"])
            assert seqs[0] == body["seq"] + 1


async def test_several_sockets_of_one_subscriber_get_the_same_and_the_first_to_leave_ends_nothing(site, question):
    async with site() as connect, connect("me") as first:
        async with connect("me") as second:
            await observe("me")
            await vote()
            assert await told(first) == await told(second)
        await vote()
        assert (await told(first))["item"]["votes"] == 2
    assert await Subscription.objects.acount() == 1  # for a while, for those who come back


async def test_what_the_layer_loses_comes_from_the_journal(site, question, monkeypatch, settings):
    """Nothing is written after the loss: it is found by looking."""
    settings.CORE = {**settings.CORE, "REACTIVE": {"THROTTLE_RATE": 0, "REPAIR_INTERVAL": 0.4}}
    monkeypatch.setattr(publishing, "send", lambda _: None)
    async with site() as connect, connect("me") as ws:
        await observe("me")
        await vote()
        assert (await told(ws))["item"]["votes"] == 1


async def test_a_client_that_has_missed_more_than_is_known_is_told_to_ask_again(site, question):
    async with site() as connect:
        body = await observe("me")
        for number in (1, 2):
            await vote()
            async with asyncio.timeout(PATIENCE):
                while not await Difference.objects.filter(seq=body["seq"] + number).aexists():
                    await asyncio.sleep(0.01)
        await Difference.objects.all().adelete()
        async with connect("me") as ws:
            assert await told(ws) == {"msg": "reload", "observer": body["observer"]}


async def test_a_socket_of_another_caller_is_closed(site, question, author, stranger):
    def cookie(user):
        client = Client()
        client.force_login(user)
        return client, f"sessionid={client.cookies['sessionid'].value}"

    mine, my_cookie = await sync_to_async(cookie)(author)
    _, their_cookie = await sync_to_async(cookie)(stranger)
    await sync_to_async(mine.get)(CHOICES, {"observe": "mine"})
    async with site() as connect:
        async with connect("mine", cookie=their_cookie) as ws:
            assert (await ws.receive_output())["code"] == CloseCode.FORBIDDEN
        async with connect("mine") as ws:
            assert (await ws.receive_output())["code"] == CloseCode.FORBIDDEN
        async with connect("mine", cookie=my_cookie) as ws:
            await vote()
            assert (await told(ws))["msg"] == "changed"


def log_in(user):
    """Return a client with a session, and the cookie that its browser sends."""
    client = Client()
    client.force_login(user)
    return client, {"cookie": f"sessionid={client.cookies['sessionid'].value}"}


def have_token(user):
    """Return a client with a token, and the header that it sends."""
    header = f"Token {Token.objects.create(user=user).key}"
    return APIClient(headers={"authorization": header}), {"authorization": header}


def log_out(user):
    """End the sessions of ``user`` as another process does: nothing in this one hears of it."""
    Session.objects.all().delete()


def take_the_token(user):
    Token.objects.filter(user=user)._raw_delete("default")


def change_the_password(user):
    user.set_password("another")
    User.objects.filter(pk=user.pk).update(password=user.password)


@pytest.mark.parametrize("carrier", ["layer", "journal"])
@pytest.mark.parametrize(
    ("come", "lose"), [(log_in, log_out), (log_in, change_the_password), (have_token, take_the_token)]
)
async def test_who_was_logged_out_elsewhere_hears_nothing_evaluated_afterwards(
    site, question, author, monkeypatch, settings, come, lose, carrier
):
    """Nobody but the database knows of the loss, and the next look at all sockets is far away."""
    if carrier == "journal":
        settings.CORE = {**settings.CORE, "REACTIVE": {"THROTTLE_RATE": 0, "REPAIR_INTERVAL": 0.4}}
        monkeypatch.setattr(publishing, "send", lambda _: None)
    client, header = await sync_to_async(come)(author)
    async with site() as connect, connect("mine", **header) as mine, connect("open") as open_one:
        await sync_to_async(client.get)(CHOICES, {"observe": "mine"})
        await observe("open")
        await vote()
        assert (await told(mine))["item"]["votes"] == (await told(open_one))["item"]["votes"] == 1
        await sync_to_async(lose)(author)
        await vote()
        assert (await told(open_one))["item"]["votes"] == 2
        assert (await mine.receive_output()).get("code") == CloseCode.NOT_AUTHENTICATED


async def test_the_first_to_use_an_id_owns_it_even_by_its_socket_alone(site, author):
    client = Client()
    await sync_to_async(client.force_login)(author)
    async with site() as connect:
        async with connect("mine", cookie=f"sessionid={client.cookies['sessionid'].value}"):
            async with asyncio.timeout(PATIENCE):
                while not await Subscriber.objects.aexists():
                    await asyncio.sleep(0.01)
        answer = await sync_to_async(APIClient().get)(CHOICES, {"observe": "mine"})
        assert answer.status_code == 403


@pytest.mark.parametrize("subscriber", ["a%20b", "%3Cscript%3E", "x" * 101])
async def test_a_socket_without_a_proper_id_is_closed(site, subscriber):
    async with site() as connect, connect(subscriber) as ws:
        assert (await ws.receive_output())["code"] == CloseCode.NOT_FOUND


async def test_the_socket_answers_pings_and_takes_nothing_else(site):
    async with site() as connect, connect("me") as ws:
        await ws.send_to(text_data='{"ping": 1}')
        assert await told(ws) == {"pong": 1}
        await ws.send_to(text_data='{"observe": "everything"}')
        reply = await told(ws)
        assert reply["response_status"] == 400
        assert "ask by GET" in reply["errors"][0]


async def test_a_write_while_no_worker_runs_is_told_once_one_does(site, question):
    async with site(worker=False) as connect, connect("me") as ws:
        await observe("me")
        await vote()
        async with site():
            assert (await told(ws))["item"]["votes"] == 1


async def test_a_message_on_its_channel_starts_the_worker_of_a_process(site, question, channel_layer):
    if channel_layer == "memory":
        pytest.skip("there the worker starts by itself")
    async with site(worker=False) as connect, connect("me") as ws:
        host = asyncio.create_task(consumers.host.run())
        worker = asyncio.create_task(_run_worker())
        await get_channel_layer().send(CHANNEL_WORKER_NOTIFY, {"type": NOTIFY})
        await observe("me")
        await vote()
        assert (await told(ws))["item"]["votes"] == 1
        await end(host, worker)


async def _run_worker():
    """Do what ``runworker`` does with the first message."""
    message = await get_channel_layer().receive(CHANNEL_WORKER_NOTIFY)
    queue = asyncio.Queue()
    queue.put_nowait(message)
    application = worker_channels()[CHANNEL_WORKER_NOTIFY]

    async def send(_):
        raise AssertionError("a worker has nobody to answer")

    await application({"type": "channel", "channel": CHANNEL_WORKER_NOTIFY}, queue.get, send)


async def test_the_routing_of_the_original_document_serves_clients_and_workers(site, question, monkeypatch):
    """As printed there, but for ``as_asgi()``, which Channels wants since."""
    application = ProtocolTypeRouter(
        {
            "websocket": URLRouter([re_path(r"^ws/(?P<subscriber_id>.+)$", ClientConsumer.as_asgi())]),
            "channel": ChannelNameRouter(
                {
                    CHANNEL_POLL_OBSERVER: PollObserversConsumer.as_asgi(),
                    CHANNEL_WORKER_NOTIFY: WorkerConsumer.as_asgi(),
                }
            ),
        }
    )
    async with site():
        ws = PatientCommunicator(application, "/ws/me", headers=[(b"host", b"testserver")])
        assert (await ws.connect())[0]
        await observe("me")
        await vote()
        assert (await told(ws))["item"]["votes"] == 1
        await ws.disconnect()
    for channel in ("core.reactive.worker", "core.reactive.poll_observer"):
        wanted = asyncio.Event()
        monkeypatch.setattr(consumers.host, "want", wanted.set)
        worker = ApplicationCommunicator(application, {"type": "channel", "channel": channel})
        await worker.send_input({"type": NOTIFY})
        await asyncio.wait_for(wanted.wait(), PATIENCE)
        worker.stop()


async def test_many_subscribers_of_one_question_are_one_evaluation(site, question):
    async with site() as connect:
        # A worker's first look has everything evaluated; here it is to have nothing to look at yet.
        async with asyncio.timeout(PATIENCE):
            while not await Bookmark.objects.aexists():
                await asyncio.sleep(0.01)
        async with asyncio.TaskGroup() as tasks:
            arrived = []

            async def one(name):
                async with connect(name) as ws:
                    await observe(name)
                    ready.release()
                    arrived.append(await told(ws))

            ready = asyncio.Semaphore(0)
            for number in range(8):
                tasks.create_task(one(f"page-{number}"))
            for _ in range(8):
                await ready.acquire()
            before = (await Observer.objects.aget()).evaluations
            await vote()
        assert (await Observer.objects.aget()).evaluations == before + 1
        assert len(arrived) == 8
        assert all(message == arrived[0] for message in arrived)


async def test_a_worker_evaluates_no_more_at_once_than_the_setting_says(site, question, monkeypatch, settings):
    running, most, two = [], [0], threading.Event()
    evaluate = hosting.evaluate

    def counted(*args):
        running.append(args)
        most[0] = max(most[0], len(running))
        if most[0] == 2:
            two.set()
        two.wait(PATIENCE)
        time.sleep(0.05)  # so that a third one would have come
        evaluate(*args)
        running.remove(args)

    settings.CORE = {**settings.CORE, "REACTIVE": {"THROTTLE_RATE": 0.01, "MAX_WORKERS": 2}}
    async with site() as connect, connect("me") as ws:
        for number in range(6):
            await observe("me", votes__gte=-number)
        monkeypatch.setattr(hosting, "evaluate", counted)
        await vote()
        assert [(await told(ws))["item"]["votes"] for _ in range(6)] == [1] * 6
    assert most == [2]


async def test_two_workers_do_not_evaluate_one_thing_at_once(site, question):
    @sync_to_async
    def claims():
        store.mark_all("test")
        return [len(store.claim(5, release())) for _ in range(2)]

    async with site(worker=False):
        await observe("me")
        assert await claims() == [1, 0]


def test_with_the_feature_off_there_is_no_route_no_socket_and_no_channel(settings):
    settings.CORE = {**settings.CORE, "REACTIVE": {"ENABLED": False}}
    assert not any("subscriber_id" in str(route.pattern) for route in websocket_urlpatterns())
    assert worker_channels() == {}
    settings.CORE = {**settings.CORE, "REACTIVE": {"ENABLED": True}}
    assert any("subscriber_id" in str(route.pattern) for route in websocket_urlpatterns())
    assert len(worker_channels()) == 2
