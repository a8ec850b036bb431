"""Threads that keep their connections while there is work, and no longer."""

import contextvars
import threading
import time

import pytest
from django.core.cache import caches
from django.db import connection, connections

from core.bindings import demultiplexer
from core.bindings import workers as module
from core.bindings.workers import Workers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def threads():
    made = Workers("tests", lambda: 2)
    yield made
    assert made.wait(60)
    assert made.give_back(60)


@pytest.fixture
def one(monkeypatch):
    """One thread alone, which keeps what it has for as long as the test may take."""
    monkeypatch.setattr(module, "IDLE", 600)
    made = Workers("tests", lambda: 1)
    yield made
    assert made.wait(60)
    assert made.give_back(60)


def use_connection():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return threading.get_ident(), id(connections["default"].connection)


def test_what_a_job_returns_or_raises_is_handed_on(threads):
    assert threads.submit(pow, 2, 3).result(60) == 8
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 / 0).result(60)


def test_a_connection_lasts_from_one_job_to_the_next(one):
    assert len({one.submit(use_connection).result(60) for _ in range(5)}) == 1


def test_a_connection_is_given_back_when_nothing_comes(threads, monkeypatch):
    monkeypatch.setattr(module, "IDLE", 0.05)
    threads.submit(use_connection).result(60)
    deadline = time.monotonic() + 60
    while threads._holding:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert threads.submit(lambda: connections["default"].connection).result(60) is None


def test_a_connection_with_an_error_is_not_used_again(threads):
    def fail():
        with connection.cursor() as cursor:
            cursor.execute("SELECT nonsense FROM nowhere")

    with pytest.raises(Exception, match=r"nowhere|nonsense"):
        threads.submit(fail).result(60)
    assert threads.submit(use_connection).result(60)


def test_no_more_threads_than_may_be(threads):
    gate = threading.Event()
    started = [threads.submit(gate.wait, 60) for _ in range(2)]
    third = threads.submit(threading.get_ident)
    assert threads._threads == 2
    assert not third.done()
    assert not threads.wait(0.01)
    gate.set()
    assert third.result(60)
    assert all(each.result(60) for each in started)


def test_the_size_of_the_sockets_own_pool_is_a_setting(bindings_settings):
    for size in (3, 7):
        bindings_settings(MAX_WORKERS=size)
        assert demultiplexer.workers._size() == size


def test_a_job_that_was_cancelled_is_not_run(threads):
    gate, ran = threading.Event(), []
    held = [threads.submit(gate.wait, 60) for _ in range(2)]
    cancelled = threads.submit(ran.append, 1)
    assert cancelled.cancel()
    gate.set()
    assert all(each.result(60) for each in held)
    assert threads.wait(60)
    assert ran == []


def test_each_job_has_a_context_of_its_own(threads):
    variable = contextvars.ContextVar("variable", default="unset")
    threads.submit(variable.set, "set").result(60)
    assert threads.submit(variable.get).result(60) == "unset"


def test_a_thread_keeps_its_caches_from_one_job_to_the_next(one):
    """A cache made for each job would connect to Redis for each job."""
    held = [one.submit(lambda: caches["default"]).result(60) for _ in range(3)]
    assert len(set(map(id, held))) == 1
