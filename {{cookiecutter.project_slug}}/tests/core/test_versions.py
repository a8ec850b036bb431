"""Versions of tables: unique, raised by changes, never brought back, and never trusted after a failure."""

import asyncio
import threading

import pytest
from django.core.cache import cache, caches
from django.db import transaction

from core import versions
from polls.models import Question
from tests import threads


@pytest.fixture(autouse=True)
def _all_raised():
    versions._unraised.clear()
    yield
    versions._unraised.clear()


class Counting:
    """A cache that counts calls, and fails where it is told to."""

    def __init__(self, fail=()):
        self.calls = []
        self.fail = set(fail)

    def __getattr__(self, name):
        def call(*args, **kwargs):
            self.calls.append(name)
            if name in self.fail:
                raise ConnectionError
            return getattr(cache, name)(*args, **kwargs)

        return call


def test_versions_are_read_in_one_call(monkeypatch):
    """Many tables are one call to the cache, when it knows them."""
    first = versions.read(["a", "b", "c"])
    counting = Counting()
    monkeypatch.setattr(versions, "cache", counting)
    assert versions.read(["c", "a", "b"]) == first
    assert counting.calls == ["get_many"]
    assert len(set(first.values())) == 3


def test_a_raised_version_was_never_there_before():
    """Not even after the cache has lost it: a token is unique."""
    seen = set()
    for _ in range(3):
        seen.add(versions.read(["a"])["a"])
        versions.raise_versions(["a"])
        seen.add(versions.read(["a"])["a"])
        cache.delete(versions.key("a"))
    assert len(seen) == 6


def test_databases_have_versions_of_their_own():
    """A table of the same name in another database has another version."""
    assert versions.read(["a"]) != versions.read(["a"], "other")


def test_making_a_missing_token_never_undoes_a_raise(monkeypatch):
    """A version raised between the look and the making of a token stands, and is what is read."""
    raised = []
    add = cache.add

    def late(*args, **kwargs):
        versions.raise_versions(["a"])
        raised.append(cache.get(versions.key("a")))
        return add(*args, **kwargs)

    monkeypatch.setattr(caches["default"], "add", late)
    assert versions.read(["a"]) == {"a": raised[0]}
    assert cache.get(versions.key("a")) == raised[0]


def test_readers_at_once_agree():
    """Of many that miss the same token, all get the one that stands."""
    barrier, found = threading.Barrier(8), []

    def read():
        barrier.wait()
        found.append(versions.read(["a"])["a"])

    started = [threads.start(read) for _ in range(8)]
    for thread in started:
        thread.join()
    assert set(found) == {cache.get(versions.key("a"))}


def test_a_cache_that_evicts_at_once_is_passed_by(monkeypatch):
    """When no token stays, there is no version."""
    monkeypatch.setattr(caches["default"], "add", lambda *_, **__: False)
    assert versions.read(["a"]) is None


def test_if_raising_fails_the_cache_is_passed_by_until_repair(monkeypatch):
    """Reads of the table are None, others are not; repair raises it, and then it is another version."""
    before = versions.read(["a", "b"])
    with monkeypatch.context() as patched:
        patched.setattr(versions, "cache", Counting(fail=["set_many"]))
        assert not versions.raise_versions(["a"])
        assert not versions.repair()
    assert versions.read(["a", "b"]) is None
    assert versions.read(["b"]) == {"b": before["b"]}
    assert versions.repair()
    assert versions.read(["a"])["a"] != before["a"]


def test_the_next_raise_makes_up_for_one_that_failed(monkeypatch):
    """What could not be raised is raised with whatever is raised next."""
    before = versions.read(["a"])
    with monkeypatch.context() as patched:
        patched.setattr(versions, "cache", Counting(fail=["set_many"]))
        versions.raise_versions(["a"])
    assert versions.raise_versions(["b"])
    assert versions.read(["a"])["a"] != before["a"]


def test_a_raise_that_succeeds_does_not_vouch_for_a_later_one_that_fails(monkeypatch):
    """While one raise is on its way to the cache another one of the same table begins and fails: nothing is trusted."""
    before, first_is_in, second_has_begun = versions.read(["a"]), threading.Event(), threading.Event()
    inner, calls = cache, []

    class Cache(Counting):
        def set_many(self, data, timeout):
            calls.append(data)
            if len(calls) == 1:
                inner.set_many(data, timeout=timeout)
                first_is_in.set()
                second_has_begun.wait(60)
                return []
            second_has_begun.set()
            first.join(60)
            raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(versions, "cache", Cache())
        first = threads.start(versions.raise_versions, ["a"])
        first_is_in.wait(60)
        assert not versions.raise_versions(["a"])
        assert versions.read(["a"]) is None
    assert versions.repair()
    assert versions.read(["a"]) not in (None, before)


async def test_a_server_repairs_by_itself(monkeypatch, settings):
    """The server's job raises what could not be raised as soon as the cache works."""
    settings.CORE = {**settings.CORE, "CACHING": {"REPAIR_INTERVAL": 0.1}}
    versions._unraised[versions.key("a")] = {0}
    repair = versions.repair
    monkeypatch.setattr(versions, "repair", lambda: (repair(), threads.close_caches()))
    job = asyncio.create_task(versions.keep_repairing())
    async with asyncio.timeout(60):
        while not versions.trusted(["a"]):
            await asyncio.sleep(0.02)
    job.cancel()
    assert versions.trusted(["a"])


def test_a_key_that_a_cache_refuses_counts_as_failed(monkeypatch):
    """``set_many`` returns what it could not set."""
    monkeypatch.setattr(caches["default"], "set_many", lambda data, timeout: list(data))
    assert not versions.raise_versions(["a"])
    assert versions.read(["a"]) is None


def test_a_cache_that_cannot_be_read_is_passed_by(monkeypatch):
    """Reading never raises."""
    monkeypatch.setattr(versions, "cache", Counting(fail=["get_many"]))
    assert versions.read(["a"]) is None


@pytest.mark.django_db(transaction=True)
def test_a_change_raises_the_version_of_its_table():
    """After the commit, not before, and not after a rollback; of tables that were written, and no others."""
    before = versions.read(["polls_question", "polls_choice"])
    with transaction.atomic():
        Question.objects.create(question_text="a")
        assert versions.read(["polls_question", "polls_choice"]) == before
        transaction.set_rollback(True)
    assert versions.read(["polls_question", "polls_choice"]) == before
    Question.objects.create(question_text="a")
    after = versions.read(["polls_question", "polls_choice"])
    assert after["polls_question"] != before["polls_question"]
    assert after["polls_choice"] == before["polls_choice"]
