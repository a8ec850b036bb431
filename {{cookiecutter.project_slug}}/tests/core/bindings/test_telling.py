"""How texts get to the event loops of sockets: in order, and without holding a loop up."""

import asyncio
import itertools
from types import SimpleNamespace

from core.bindings import telling
from core.bindings.telling import Delivery, all_offered


class Listener:
    """A socket that is nothing but a list."""

    closing = False
    credential = None

    def __init__(self, offered):
        self.loop = asyncio.get_running_loop()
        self.offered = offered

    def offer(self, text):
        self.offered.append(text)


async def test_what_is_offered_in_slices_lets_others_have_their_turns_and_keeps_its_order(monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(telling, "time", SimpleNamespace(monotonic=lambda: next(ticks) * telling.SLICE / 10))
    offered = []
    listeners = [Listener(offered) for _ in range(500)]
    wanted = []
    for number in range(40):  # several deliveries, of which the first is not through when the last comes
        delivery = Delivery()
        delivery.add(listeners, str(number))
        delivery.send()
        wanted += [str(number)] * len(listeners)
    assert not all_offered()
    turns = 0
    async with asyncio.timeout(60):
        while not all_offered():
            turns += 1
            await asyncio.sleep(0)
    assert offered == wanted
    assert turns > 1000


async def test_a_socket_that_is_closing_is_sent_nothing():
    offered = []
    open_one, closing = Listener(offered), Listener(offered)
    closing.closing = True
    delivery = Delivery()
    delivery.add([open_one, closing], "text")
    delivery.send()
    while not all_offered():
        await asyncio.sleep(0)
    assert offered == ["text"]


def test_a_loop_that_has_ended_is_no_failure():
    async def listener():
        return Listener([])

    delivery = Delivery()
    delivery.add([asyncio.run(listener())], "text")
    delivery.send()
    assert all_offered()
