"""What waits for one interest: in which order it is done, and what is done at once."""

from types import SimpleNamespace

import pytest

from core.bindings import lane as module
from core.bindings.audience import Subscription, Touched
from core.bindings.lane import Join, Lane, Leave, News


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
