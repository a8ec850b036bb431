"""Who listens to the channel layer, or sends on it, ends when asked to, though the layer swallows the asking."""

import asyncio

import pytest
from channels.layers import get_channel_layer

from core.changes import doorbell, listening

PATIENCE = 30


class Deaf:
    """A channel layer that loses one cancellation in each of its methods, as redis-py does on Python 3.11."""

    def __init__(self):
        self.entered = asyncio.Queue()

    async def _swallow(self, name, *, seconds=60.0):
        self.entered.put_nowait(name)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            return

    async def new_channel(self):
        return "channel"

    async def group_add(self, group, channel):
        await self._swallow("group_add", seconds=0.0 if self.joins else 60.0)

    async def receive(self, channel):
        await self._swallow("receive")
        await asyncio.sleep(60)

    async def group_send(self, group, message):
        await self._swallow("group_send")

    async def group_discard(self, group, channel):
        self.entered.put_nowait("group_discard")

    joins = True


async def test_who_is_a_member_no_longer_joins_again(monkeypatch, channel_layer):
    """A layer forgets its members after a day, and when it restarts."""
    monkeypatch.setattr(listening, "REJOIN_INTERVAL", 0.1)
    layer, heard, joined = get_channel_layer(), [], asyncio.Queue()
    add = layer.group_add

    async def group_add(group, channel):
        await add(group, channel)
        joined.put_nowait(channel)

    monkeypatch.setattr(layer, "group_add", group_add)
    task = asyncio.create_task(listening.listen("toys", heard.append))
    async with asyncio.timeout(PATIENCE):
        channel = await joined.get()
        await layer.group_discard("toys", channel)
        while not heard:
            await layer.group_send("toys", {"type": "toy"})
            await asyncio.sleep(0.02)
    assert {message["type"] for message in heard} == {"toy"}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def deaf(monkeypatch):
    layer = Deaf()
    for module in (listening, doorbell):
        monkeypatch.setattr(module, "get_channel_layer", lambda: layer)
    return layer


async def until(layer, name):
    async with asyncio.timeout(PATIENCE):
        while await layer.entered.get() != name:
            pass


async def cancelled(task):
    """Cancel ``task`` once, and say whether that ended it."""
    task.cancel()
    await asyncio.wait({task}, timeout=PATIENCE)
    return task.done() and task.cancelled()


@pytest.mark.parametrize("name", ["group_add", "receive"])
async def test_a_listener_ends_though_the_layer_loses_the_cancellation(deaf, name):
    deaf.joins = name != "group_add"
    task = asyncio.create_task(listening.listen("group", lambda _: None))
    await until(deaf, name)
    assert await cancelled(task)
    await until(deaf, "group_discard")


async def test_a_sender_ends_though_the_layer_loses_the_cancellation(deaf):
    sender = doorbell.Sender()
    task = asyncio.create_task(sender.run())
    await asyncio.sleep(0)
    for number in range(2):
        assert sender.feed("group", {"type": "toy", "number": number})
    await until(deaf, "group_send")
    assert await cancelled(task)
    assert not sender.feed("group", {"type": "toy"})
