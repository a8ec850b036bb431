"""Whoever is logged in is checked before anything goes out to them, all together; and what fails then is not lost."""

import asyncio
import logging

import pytest

from core.reactive import catching_up, delivery, housekeeping
from core.reactive.catching_up import Letter
from core.reactive.protocol import DIFFERENCE, NOTICE
from core.sockets.credentials import Credential, Rights

PATIENCE = 60


class Socket:
    def __init__(self, number, credential=None):
        self.subscriber = f"subscriber {number}"
        self.credential = credential
        self.told = []
        self.barred = False

    def offer(self, text):
        if not self.barred:
            self.told.append(text)

    def bar(self):
        self.barred = True


def logged_in(number):
    return Socket(number, Credential("token", f"key {number}", str(number)))


def difference(seq, sockets):
    subscribers = {socket.subscriber: [0, socket.credential and socket.credential.user_pk] for socket in sockets}
    return {"type": DIFFERENCE, "observer": "o", "seq": seq, "messages": [f"m{seq}"], "subscribers": subscribers}


class Checks:
    """Stands for the database: notes who is asked for, and says who is gone."""

    def __init__(self):
        self.asked = []
        self.lost = set()
        self.failing = False

    def __call__(self, credentials):
        self.asked.append(len(credentials))
        if self.failing:
            raise ConnectionError("the database is away")
        return Rights({}, frozenset(self.lost & set(credentials)))


@pytest.fixture
def checks(monkeypatch):
    made = Checks()
    monkeypatch.setattr(delivery, "rights_of", made)
    return made


@pytest.fixture
async def post(monkeypatch, settings):
    """A post whose job runs, and that has missed nothing so far."""

    async def quiet(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(housekeeping, "keep_house", quiet)
    monkeypatch.setattr(catching_up, "missed", lambda sent: [[] for _ in sent])
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    made = delivery.Post()
    task = asyncio.create_task(made.run())
    await asyncio.sleep(0)
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def connected(post, checks, sockets):
    """Connect ``sockets``, and wait until they have been looked at as all are that connect."""
    for socket in sockets:
        post.connect(socket)
    await until(lambda: sum(checks.asked) >= sum(socket.credential is not None for socket in sockets))
    checks.asked.clear()


async def test_any_number_of_messages_to_any_number_of_callers_is_one_check(post, checks):
    sockets = [logged_in(number) for number in range(50)]
    await connected(post, checks, sockets)
    for seq in range(1, 21):
        post.deliver(difference(seq, sockets))
    await until(lambda: len(sockets[-1].told) == 20)
    assert checks.asked == [50]
    assert all(socket.told == [f"m{seq}" for seq in range(1, 21)] for socket in sockets)


async def test_nobody_is_asked_for_who_is_not_concerned_or_not_logged_in(post, checks):
    anonymous, other = Socket("a"), logged_in("b")
    await connected(post, checks, [anonymous, other])
    post.deliver(difference(1, [anonymous]))
    assert anonymous.told == ["m1"]  # at once
    assert checks.asked == []


async def test_messages_keep_their_order_whoever_they_are_for(post, checks):
    anonymous, other = Socket("a"), logged_in("b")
    await connected(post, checks, [anonymous, other])
    post.deliver(difference(1, [anonymous, other]))
    post.deliver(difference(2, [anonymous]))
    await until(lambda: len(anonymous.told) == 2)
    assert (anonymous.told, other.told) == (["m1", "m2"], ["m1"])


async def test_who_has_lost_the_right_is_told_nothing_and_the_others_are(post, checks):
    lost, other = logged_in("a"), logged_in("b")
    await connected(post, checks, [lost, other])
    checks.lost.add(lost.credential)
    post.deliver(difference(1, [lost, other]))
    await until(lambda: other.told)
    assert (lost.told, lost.barred, other.barred) == ([], True, False)


async def test_what_a_user_subscribed_to_reaches_no_socket_of_anybody_else(post, checks):
    """Nor does the notice that ends it."""
    user = logged_in("a")
    nobody, other = Socket("a"), Socket("a", Credential("token", "key b", "b"))
    await connected(post, checks, [user, other])
    post.connect(nobody)
    post.deliver(difference(1, [user]))
    notice = {"type": NOTICE, "observer": "o", "message": "the end", "subscribers": {user.subscriber: "a"}}
    post.deliver(notice)
    await until(lambda: len(user.told) == 2)
    assert (user.told, user.barred) == (["m1", "the end"], False)
    assert (nobody.told, other.told) == ([], [])
    assert nobody.barred
    assert other.barred


async def test_a_notice_to_a_user_bars_a_socket_of_nobody_at_once(post):
    nobody = Socket("a")
    post.connect(nobody)
    post.deliver({"type": NOTICE, "observer": "o", "message": "the end", "subscribers": {nobody.subscriber: "a"}})
    assert (nobody.told, nobody.barred) == ([], True)


async def test_what_cannot_be_checked_comes_from_the_journal_once_it_can(post, checks, monkeypatch, caplog):
    monkeypatch.setattr(delivery, "RETRY_PAUSE", 0.05)
    socket = logged_in("a")
    await connected(post, checks, [socket])
    checks.failing = True
    letter = Letter("o", "a", begun=0, differences=[(1, ["m1"])])
    monkeypatch.setattr(catching_up, "missed", lambda sent: [[letter] for _ in sent])
    post.deliver(difference(1, [socket]))
    await until(lambda: len(checks.asked) >= 3)
    assert socket.told == []
    checks.failing = False
    await until(lambda: socket.told)
    assert socket.told == ["m1"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert sum("Callers cannot be checked" in warning for warning in warnings) == 1


async def test_what_is_too_much_to_wait_comes_from_the_journal(post, checks, monkeypatch):
    monkeypatch.setattr(delivery, "MOST_WAITING", 2)
    socket = logged_in("a")
    await connected(post, checks, [socket])
    letter = Letter("o", "a", begun=0, differences=[(seq, [f"m{seq}"]) for seq in range(1, 6)])
    monkeypatch.setattr(catching_up, "missed", lambda sent: [[letter] for _ in sent])
    for seq in range(1, 6):
        post.deliver(difference(seq, [socket]))
    await until(lambda: len(socket.told) == 5)
    assert socket.told == [f"m{seq}" for seq in range(1, 6)]
