"""Processes of two versions of the code at the same time, as while a new one is rolled out."""

import logging
import threading

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from core.models import Observer, Subscription
from core.reactive import evaluating, store, worker
from core.reactive import question as asking
from core.reactive.worker import Worker
from core.release import release
from polls.models import Choice

CHOICES = "/api/choices/"


@pytest.fixture
def serving(monkeypatch):
    """Returns a function that makes this a server of other code."""

    def serve(code):
        for module in (asking, store):
            monkeypatch.setattr(module, "release", lambda: code)

    return serve


def vote():
    Choice.objects.filter(choice_text="Tea").vote()


def test_what_servers_of_other_code_are_asked_is_another_observer(world, question, serving):
    live = world.page().observe(CHOICES)
    serving("new")
    new = world.page().observe(CHOICES)
    assert live.observer != new.observer
    assert set(Observer.objects.values_list("release", flat=True)) == {release(), "new"}


def test_a_worker_evaluates_what_servers_of_its_own_code_were_asked(world, question, serving):
    live = world.page().observe(CHOICES)
    serving("new")
    new = world.page().observe(CHOICES)
    vote()
    assert world.work() == 1
    assert (live.items, new.items[0]["votes"]) == (live.fresh, 0)
    world.workers.append(Worker("new"))
    assert world.work() == 1
    assert new.items == new.fresh


def test_where_no_worker_of_the_right_code_is_left_clients_ask_their_server(world, question, serving, monkeypatch):
    """Each time somebody has written what concerns them, and not at once: a worker may only be busy."""
    serving("new")
    live = world.page().observe(CHOICES)
    for votes in (1, 2):
        vote()
        world.work()
        assert live.ended is None
        Observer.objects.exclude(due_at=None).update(due_at=0)
        monkeypatch.setattr(world.workers[0], "_look_after_others_at", 0.0)
        assert world.work() == 0
        assert live.ended == "reload"
        live = live.page.observe(CHOICES)
        assert (live.items[0]["votes"], live.items) == (votes, live.fresh)
        monkeypatch.setattr(world.workers[0], "_look_after_others_at", 0.0)
        world.work()
        assert live.ended is None


def test_a_question_that_a_worker_does_not_know_is_not_revoked_by_it(world, question, serving, serve, monkeypatch):
    """A route of the new code, and a worker of the old one."""
    serving("new")
    live = world.page().observe(CHOICES)
    serve([])
    vote()
    world.work()
    Observer.objects.update(due_at=0)
    monkeypatch.setattr(world.workers[0], "_look_after_others_at", 0.0)
    world.work()
    assert live.ended == "reload"


def left_alone(world, number):
    """Have ``number`` live queries wait for a worker of other code: those with higher numbers for a longer time."""
    lists = [world.page().observe(CHOICES, votes__gte=-each) for each in range(number)]
    for each, live in enumerate(lists):
        Observer.objects.filter(pk=live.observer).update(due_at=number - each)
    return lists


def test_any_number_of_clients_is_sent_to_their_server_by_the_same_statements(world, question, serving, monkeypatch):
    serving("new")
    counts = []
    for number in (1, 12):
        lists = left_alone(world, number)
        monkeypatch.setattr(world.workers[0], "_look_after_others_at", 0.0)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            world.workers[0]._look_after_others()
        counts.append(len(queries))
        world.deliver()
        assert [live.ended for live in lists] == ["reload"] * number
        told = Subscription.objects.exclude(ended="").values_list("observer_id", "ended")
        assert all(observer in ended for observer, ended in told)
    assert counts[0] == counts[1]


def test_a_look_sends_away_only_so_many_and_the_next_one_the_rest(world, question, serving, monkeypatch):
    """Those who have waited longest first."""
    monkeypatch.setattr(worker, "MOST_RELOADED", 2)
    serving("new")
    lists = left_alone(world, 5)
    gone = []
    monkeypatch.setattr(world.workers[0], "_look_after_others_at", 0.0)
    for _ in range(3):
        world.workers[0].look()
        world.deliver()
        gone.append([live.ended is not None for live in lists])
    assert gone == [[False] * 3 + [True] * 2, [False] + [True] * 4, [True] * 5]


def test_who_subscribes_while_others_are_sent_away_is_either_sent_away_or_goes_on(world, question, monkeypatch):
    first, second = world.page().observe(CHOICES), world.page()
    came = []

    def subscribe():
        try:
            came.append(second.observe(CHOICES))
        finally:
            connections.close_all()

    thread = threading.Thread(target=subscribe)
    made = store.Case

    def interrupted(*arguments):
        thread.start()
        thread.join(0.5)  # it waits for this transaction, and else is done by now
        return made(*arguments)

    monkeypatch.setattr(store, "Case", interrupted)
    evaluating.reload([first.observer])
    thread.join()
    monkeypatch.undo()
    assert Observer.objects.get().status == Observer.ACTIVE
    ended = dict(Subscription.objects.values_list("subscriber_id", "ended"))
    assert "reload" in ended[first.page.subscriber]
    assert ended[second.subscriber] == ""
    assert came[0].items == came[0].fresh


def test_that_servers_run_other_code_is_warned_of_once_until_they_do_not(world, question, serving, monkeypatch, caplog):
    def warnings():
        return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    def look():
        monkeypatch.setattr(world.workers[0], "_look_after_others_at", 0.0)
        world.work()

    serving("new")
    warning = "3 live queries were asked of servers that run other code; restart the workers."
    for _ in range(2):
        left_alone(world, 3)
        look()
    assert warnings() == [warning]
    lists = left_alone(world, 3)
    Observer.objects.update(due_at=None)
    look()  # nothing is left alone, but servers are still asked
    Observer.objects.update(due_at=0)
    look()
    assert [live.ended for live in lists] == ["reload"] * 3
    assert warnings() == [warning]
    look()  # nobody has asked again
    left_alone(world, 3)
    look()
    assert warnings() == [warning, warning]
