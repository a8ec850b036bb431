"""Doorbells: they ring at once, from any thread, on both layers, and a layer that fails hurts nobody."""

import asyncio
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from asgiref.sync import sync_to_async
from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer
from django.test import override_settings

from core import versions
from core.changes import doorbell, log, reader
from core.changes.change import Change
from core.changes.doorbell import GROUP, RING, Sender
from core.changes.encoding import encode
from core.changes.listening import listen
from core.changes.order import turnstile
from core.changes.process import Process
from core.changes.publisher import unpublished
from core.changes.reader import _publish_carried, _taking
from tests.testapp.models import Tag

CHANGE = Change("testapp.tag", "testapp_tag", "created", (1,), None, "default")
PATIENCE = 30
"""Seconds that nothing may take, on a machine that does other things as well."""


@pytest.fixture
def other_process(monkeypatch):
    """Has doorbells rung as if by another process."""
    monkeypatch.setattr("core.changes.doorbell.this_process", Process("other"))


class Rung(asyncio.Event):
    """What a doorbell sets; keeps count."""

    count = 0

    def set(self):
        self.count += 1
        super().set()

    async def soon(self):
        """Wait until it is set."""
        await asyncio.wait_for(self.wait(), PATIENCE)
        return True


@contextmanager
def joining():
    """Gives an event that is set when somebody has joined a group."""
    layer, joined = get_channel_layer(), Rung()
    add = layer.group_add

    async def group_add(*args):
        await add(*args)
        joined.set()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(layer, "group_add", group_add)
        yield joined


async def listening():
    """Start a listener; once it listens, return the event that a doorbell sets, and the task."""
    rung = Rung()
    with joining() as joined:
        task = asyncio.create_task(_listen(rung))
        await joined.soon()
    return rung, task


async def _listen(rung):
    with ThreadPoolExecutor(1) as threads:
        await listen(GROUP, _taking(rung, threads))


async def ended(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def sending(monkeypatch):
    """Start the server's sender."""
    sender = Sender()
    monkeypatch.setattr(doorbell, "server_sender", sender)
    task = asyncio.create_task(sender.run())
    await asyncio.sleep(0)
    return task


async def sent_all():
    """Wait until the server's sender has sent all that it was given."""
    assert await asyncio.to_thread(doorbell.server_sender.wait_until_idle, PATIENCE)


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    return thread


async def test_a_ring_in_any_thread_is_heard_at_once(channel_layer, monkeypatch, other_process):
    """A thread that knows no event loop rings, and the server's sender passes it on in milliseconds."""
    sender = await sending(monkeypatch)
    rung, task = await listening()
    in_thread(lambda: doorbell.ring("default", [CHANGE], logged=True))
    assert await rung.soon()
    await ended(task, sender)


@pytest.fixture
def own_sender(channel_layer, monkeypatch):
    """Lets this process start its own sender, and puts its connections away afterwards."""
    monkeypatch.setattr(doorbell, "_own", None)
    yield
    if doorbell._own is not None:
        layer = get_channel_layer()
        asyncio.run_coroutine_threadsafe(layer.close_pools(), doorbell._own._loop).result(PATIENCE)


async def test_a_process_without_a_server_rings_by_itself(channel_layer, own_sender, other_process):
    """With no server's loop to send on, the message leaves all the same."""
    rung, task = await listening()
    await sync_to_async(doorbell.ring)("default", [CHANGE], logged=True)
    assert await rung.soon()
    await ended(task)


async def test_a_write_rings(channel_layer, monkeypatch, other_process, database_in_threads):
    """A commit in a thread of the server is heard by who listens."""
    sender = await sending(monkeypatch)
    rung, task = await listening()
    await Tag.objects.acreate(name="a")
    assert await rung.soon()
    await ended(task, sender)


async def test_nobody_hears_his_own_doorbell(channel_layer, monkeypatch):
    """What this process rings does not wake its own reader."""
    sender = await sending(monkeypatch)
    rung, task = await listening()
    doorbell.ring("default", [CHANGE], logged=True)
    monkeypatch.setattr("core.changes.doorbell.this_process", Process("other"))
    doorbell.ring("default", [CHANGE], logged=True)
    assert await rung.soon()
    assert rung.count == 1
    await ended(task, sender)


async def test_a_stream_of_writes_is_a_few_messages(monkeypatch):
    """Rings that wait for the layer are one."""
    sent = []

    class Layer:
        async def group_send(self, group, message):
            sent.append(message)

    monkeypatch.setattr(doorbell, "get_channel_layer", Layer)
    sender = await sending(monkeypatch)
    for _ in range(100):
        doorbell.ring("default", [CHANGE], logged=True)
    await sent_all()
    assert len(sent) == 1
    await ended(sender)


def in_fork(check):
    """Return whether ``check()`` is true in a forked child, which ends without ado."""
    pid = os.fork()
    if pid == 0:  # pragma: no cover - in the child
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return os.waitpid(pid, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that it has threads is the point
async def test_the_child_of_a_fork_does_not_feed_its_parents_loop():
    """What a child sends must not wait for a loop that does not run there; nor does it wait for its parent's locks."""
    task = asyncio.create_task(doorbell.server_sender.run())
    await asyncio.sleep(0)
    ticket = turnstile.draw()
    unpublished.add(10**9)
    with doorbell._own_lock, versions._lock, turnstile._changed, unpublished._lock, doorbell.server_sender._lock:
        assert in_fork(
            lambda: (
                not doorbell.server_sender.feed(GROUP, {"type": "x"})
                and doorbell._own is None
                and not turnstile._outstanding
                and unpublished.waits(10**9) is None
                and not any(lock.locked() for lock in (doorbell._own_lock, versions._lock, unpublished._lock))
                and turnstile.draw() == 1
            )
        )
    assert turnstile._outstanding
    assert doorbell.server_sender.feed(GROUP, {"type": "x"})
    turnstile.give_back(ticket)
    unpublished.discard(10**9)
    await ended(task)


@pytest.mark.parametrize("error", [ChannelFull, ConnectionError, TimeoutError])
async def test_a_layer_that_fails_hurts_nobody(monkeypatch, caplog, error):
    """A layer that is full or down is logged once per outage, and the sender goes on."""
    failing, sent = [True], []

    class Layer:
        async def group_send(self, group, message):
            if failing[0]:
                raise error
            sent.append(message)

    monkeypatch.setattr(doorbell, "get_channel_layer", Layer)
    caplog.set_level(logging.INFO)
    sender = await sending(monkeypatch)
    for number in range(3):
        doorbell.send(GROUP, {"type": "x", "number": number})
    await sent_all()
    assert len([each for each in caplog.records if each.levelno >= logging.ERROR]) == (error is not ChannelFull)
    failing[0] = False
    doorbell.send(GROUP, {"type": "x"})
    await sent_all()
    assert sent == [{"type": "x"}]
    await ended(sender)


@pytest.mark.django_db(transaction=True)
def test_a_broken_layer_never_fails_the_write(monkeypatch, caplog):
    """Not even one that cannot be made."""

    def broken():
        raise ImportError("no such layer")

    monkeypatch.setattr(doorbell, "get_channel_layer", broken)
    Tag.objects.create(name="a")
    assert Tag.objects.exists()
    assert "could not be sent" in caplog.text


async def test_without_a_log_the_doorbell_carries_the_changes(channel_layer, monkeypatch, other_process, far_ear):
    """With the log switched off other processes are told by the message itself."""
    sender = await sending(monkeypatch)
    _, task = await listening()
    doorbell.ring("default", [CHANGE], logged=False)
    await until(lambda: far_ear)
    assert list(far_ear) == [[CHANGE]]
    await ended(task, sender)


def test_a_doorbell_that_cannot_be_read_means_that_anything_has_changed(far_ear):
    """Carried changes of another kind do not stop the listener."""
    _publish_carried("nonsense", "default")
    assert {each.pks for each in far_ear[0]} == {None}


class Later:
    """An executor whose thread is busy: what is submitted waits until it is done."""

    def __init__(self):
        self.waiting = []

    def submit(self, function, *arguments):
        self.waiting.append((function, arguments))

    def work(self):
        while self.waiting:
            function, arguments = self.waiting.pop(0)
            function(*arguments)


def test_what_receivers_are_too_slow_for_is_a_bounded_queue_and_then_anything(monkeypatch, far_ear, caplog):
    """After what found room, so that it tells of all that did not; and then it goes on as before."""
    monkeypatch.setattr(reader, "MOST_CARRIED", 3)
    threads = Later()
    take = _taking(asyncio.Event(), threads)
    message = {"type": RING, "origin": "other", "changes": encode([CHANGE]), "using": "default"}
    for _ in range(2):
        far_ear.clear()
        caplog.clear()
        for _ in range(50):
            take(message)
        assert len(threads.waiting) == 4
        threads.work()
        assert list(far_ear)[:-1] == [[CHANGE]] * 3
        assert far_ear[-1] == log.everything("default")
        assert [record.getMessage() for record in caplog.records] == [
            "More of default was changed than receivers keep up with: everything counts as changed."
        ]


def test_what_comes_while_anything_is_published_is_published_after_it(monkeypatch, far_ear):
    monkeypatch.setattr(reader, "MOST_CARRIED", 1)
    threads = Later()
    take = _taking(asyncio.Event(), threads)
    message = {"type": RING, "origin": "other", "changes": encode([CHANGE]), "using": "default"}
    publish = reader._publish

    def publishing(changes):
        if not far_ear[1:]:
            take(message)
        publish(changes)

    take(message)
    take(message)
    monkeypatch.setattr(reader, "_publish", publishing)
    threads.work()
    assert far_ear[-1] == [CHANGE]


async def test_the_listener_survives_a_layer_that_fails(monkeypatch, caplog, channel_layer, other_process):
    """When the layer comes back, so do the doorbells."""
    monkeypatch.setattr("core.changes.listening.RETRY_PAUSE", 0.05)
    layer, failed = get_channel_layer(), []
    add = layer.group_add

    async def group_add(*args):
        if len(failed) < 3:
            failed.append(args)
            raise ConnectionError
        await add(*args)

    monkeypatch.setattr(layer, "group_add", group_add)
    rung, task = await listening()
    sender = await sending(monkeypatch)
    doorbell.ring("default", [CHANGE], logged=True)
    assert await rung.soon()
    assert caplog.text.count("are not heard until the layer works again") == 1
    await ended(task, sender)


def test_with_no_reader_of_changes_nobody_rings(monkeypatch):
    """While the features that listen are off, no message is sent."""
    monkeypatch.setattr(doorbell, "send", lambda *_: pytest.fail("rang"))
    off = {feature: {"ENABLED": False} for feature in ("CACHING", "REACTIVE", "BINDINGS")}
    with override_settings(CORE=off):
        doorbell.ring("default", [CHANGE], logged=False)
