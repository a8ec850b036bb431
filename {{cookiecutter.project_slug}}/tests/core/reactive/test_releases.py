"""Processes of two versions of the code at the same time, as while a new one is rolled out."""

import pytest

from core.models import Observer
from core.reactive import question as asking
from core.reactive import store
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
