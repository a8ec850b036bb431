"""Who is logged in is looked up after all that goes out to them was looked at, and before it goes out."""

import threading
import time
from types import SimpleNamespace

import pytest
from django.db import OperationalError

from core.bindings import desk as module
from core.bindings.desk import Desk
from core.sockets import CloseCode
from core.sockets.credentials import Credential, Rights

pytestmark = pytest.mark.django_db(transaction=True)


class Listener:
    """A socket that keeps what is done to it; its loop does everything at once."""

    def __init__(self, name):
        self.credential = Credential("token", name, name)
        self.loop = SimpleNamespace(call_soon_threadsafe=lambda function, *args: function(*args))
        self.barred = False
        self.closed = None

    def bar(self):
        self.barred = True

    def close(self, code, reason):
        self.closed = code, reason


class Database:
    """Says who has lost their rights. It does not answer while ``slow`` is cleared, and fails ``failures`` times."""

    def __init__(self):
        self.asked, self.lost, self.failures = [], set(), 0
        self.came, self.slow = threading.Event(), threading.Event()
        self.slow.set()

    def rights_of(self, credentials):
        self.asked.append({each.key for each in credentials})
        self.came.set()
        assert self.slow.wait(60)
        if self.failures:
            self.failures -= 1
            raise OperationalError("as asked")
        return Rights({}, frozenset(each for each in credentials if each.key in self.lost))


@pytest.fixture
def database(monkeypatch):
    database = Database()
    monkeypatch.setattr(module, "rights_of", database.rights_of)
    monkeypatch.setattr(module, "PAUSE", 0.001)
    return database


@pytest.fixture
def out():
    """The texts that were handed out, and the calls of ``then``."""
    return []


@pytest.fixture
def desk(out):
    desk = Desk(lambda pairs: out.extend(text for socket, text in pairs if not socket.barred))
    yield desk
    rest(desk)
    assert desk.threads.give_back(60)


def rest(desk):
    until = time.monotonic() + 60
    while desk.busy:
        assert time.monotonic() < until
        time.sleep(0.001)


def put(desk, out, listener, text, *, ask=True):
    desk.put([(listener, text)], lambda: out.append(f"then {text}"), ask=ask)


def test_who_has_lost_the_right_to_be_there_is_barred_before_anything_goes_out(desk, database, out):
    database.lost = {"b"}
    listeners = [Listener(name) for name in "ab"]
    for each in listeners:
        put(desk, out, each, each.credential.key)
    rest(desk)
    assert [each.barred for each in listeners] == [False, True]
    assert out == ["a", "then a", "then b"]


def test_what_comes_while_the_database_is_asked_is_asked_for_together_and_keeps_its_order(desk, database, out):
    database.slow.clear()
    put(desk, out, Listener("a"), "first")
    assert database.came.wait(60)
    for number in range(20):
        put(desk, out, Listener(f"{number}"), f"{number}")
    database.slow.set()
    rest(desk)
    assert database.asked == [{"a"}, {f"{number}" for number in range(20)}]
    assert out[::2] == ["first", *(f"{number}" for number in range(20))]


def test_the_reply_to_who_has_just_been_looked_up_is_not_asked_about_and_overtakes_nothing(desk, database, out):
    put(desk, out, Listener("a"), "reply", ask=False)
    assert (out, database.asked) == (["reply", "then reply"], [])
    database.slow.clear()
    put(desk, out, Listener("a"), "event")
    assert database.came.wait(60)
    put(desk, out, Listener("a"), "another reply", ask=False)
    assert len(out) == 2
    database.slow.set()
    rest(desk)
    assert out[2::2] == ["event", "another reply"]


def test_a_database_that_does_not_answer_delays_what_goes_out(desk, database, out, caplog):
    database.failures = 3
    put(desk, out, Listener("a"), "late")
    rest(desk)
    assert (out, len(database.asked)) == (["late", "then late"], 4)
    assert [record.getMessage() for record in caplog.records] == ["Subscribers cannot be looked up; trying again."]


def test_what_waits_for_a_database_that_does_not_answer_does_not_grow_without_bound(desk, database, out, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    database.failures = 1
    database.slow.clear()
    listeners = [Listener(name) for name in "abcd"]
    for each in listeners:
        put(desk, out, each, each.credential.key)
    database.slow.set()
    rest(desk)
    reason = "It cannot be found out whether you are logged in. Connect, subscribe and load again."
    assert [each.closed for each in listeners] == [(CloseCode.TOO_SLOW, reason)] * 4
    assert out == ["then a", "then b", "then c", "then d"]
    put(desk, out, Listener("e"), "well again")
    rest(desk)
    assert out[4:] == ["well again", "then well again"]
