"""What waits for one interest: in which order it is done, and what is done at once."""

from types import SimpleNamespace

import pytest
from django.db import OperationalError

from core.bindings import lane as module
from core.bindings.audience import Subscription, Touched
from core.bindings.lane import Join, Lane, Leave, News, RollCall
from core.sockets.credentials import Credential, Rights


@pytest.fixture
def lane():
    return Lane(SimpleNamespace(detail=False), lambda: 0)


def join():
    return Join(SimpleNamespace(), Subscription("update"), str)


def work(lane):
    done = []
    while lane.waits:
        done.append(lane.next())
    return done


def test_all_who_join_one_after_another_join_at_once(lane):
    """Who comes back after a restart of the server costs one look at what is in sight, not one each."""
    joins = [join() for _ in range(4)]
    news, leave = News(Touched({1})), Leave(SimpleNamespace())
    for each in (joins[0], joins[1], news, joins[2], leave, joins[3]):
        lane.put(each)
    assert work(lane) == [joins[:2], news, [joins[2]], leave, [joins[3]]]


def test_commits_are_told_one_by_one_as_long_as_few_wait(lane, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    for pk in range(4):
        lane.put(News(Touched({pk})))
    assert [each.touched.pks for each in work(lane)] == [{0}, {1, 2, 3}]


def test_who_is_late_does_not_put_a_commit_before_who_joined_earlier(lane, monkeypatch):
    monkeypatch.setattr(module, "LATE", -1)
    joined = join()
    for each in (News(Touched({1})), News(Touched({2})), joined, News(Touched({3}))):
        lane.put(each)
    first, second, third = work(lane)
    assert (first.touched.pks, second, third.touched.pks) == ({1, 2}, [joined], {3})


def test_commits_that_wait_too_long_do_not_grow_without_bound(lane, monkeypatch, settings):
    monkeypatch.setattr(module, "MOST_WAITING", 1)
    settings.CORE = {**settings.CORE, "CHANGES": {**settings.CORE.get("CHANGES", {}), "MAX_PKS": 10}}
    for pk in range(100):
        lane.put(News(Touched({pk}, {pk})))
    (news,) = work(lane)
    assert news.touched.unknown == {"created", "updated", "deleted"}
    assert len(news.touched.pks) <= 10


class TestRollCall:
    @pytest.fixture
    def asked(self, monkeypatch):
        """Returns the credentials of each question to the database."""
        asked = []

        def rights_of(credentials):
            asked.append(credentials)
            return Rights({}, frozenset())

        monkeypatch.setattr(module, "rights_of", rights_of)
        return asked

    @pytest.fixture
    def callers(self):
        return RollCall()

    @pytest.fixture
    def everybody(self, callers):
        """Returns the credentials of three callers, who hear of row 1, of row 1 and of row 2."""
        held = [frozenset({Credential("token", name, name)}) for name in "abc"]
        for credentials, pk in zip(held, (1, 1, 2), strict=True):
            lane = Lane(SimpleNamespace(detail=True), lambda: 0)
            lane.audience.add(object(), Subscription("update", pk))
            lane.credentials = credentials
            callers.add(lane, Touched({1}))
        return held

    def test_who_comes_first_asks_for_all_who_hear_of_the_commit(self, asked, callers, everybody):
        first, second, _ = everybody
        for each in (first, second, first):
            callers.rights(each)
        assert asked == [first | second]

    def test_who_has_come_meanwhile_is_asked_for(self, asked, callers, everybody):
        first, second, third = everybody
        callers.rights(first)
        callers.rights(third)
        assert asked == [first | second, first | second | third]

    def test_what_was_true_a_while_ago_is_asked_again(self, asked, callers, everybody, monkeypatch):
        first, second, _ = everybody
        callers.rights(first)
        monkeypatch.setattr(module, "FRESH", -1)
        callers.rights(second)
        assert asked == [first | second] * 2

    def test_what_the_database_did_not_answer_is_asked_again(self, callers, everybody, monkeypatch):
        def fail(credentials):
            raise OperationalError("as asked")

        monkeypatch.setattr(module, "rights_of", fail)
        for each in everybody:
            with pytest.raises(OperationalError, match="as asked"):
                callers.rights(each)
