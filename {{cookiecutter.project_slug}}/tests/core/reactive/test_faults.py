"""What can go wrong with live queries, and must not."""

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection

from core.changes import changes_committed, log
from core.models import Bookmark, ChangeLogEntry, Difference, Observer, Subscriber
from core.reactive import evaluating, housekeeping, store
from core.reactive.evaluation import evaluate
from core.reactive.matching import Index
from core.reactive.worker import Worker
from polls.models import Choice, Question
from polls.viewsets import ChoiceViewSet

pytestmark = pytest.mark.django_db(transaction=True)

CHOICES = "/api/choices/"


def vote(text="Tea"):
    Choice.objects.filter(choice_text=text).vote()


def due_now():
    """Let all pauses pass."""
    Observer.objects.exclude(due_at=None).update(due_at=0)


# --- Views that fail ---


@pytest.mark.parametrize("failure", ["raises", "status"])
def test_a_view_that_fails_is_asked_again_and_never_taken_for_an_empty_list(world, question, monkeypatch, failure):
    live = world.page().observe(CHOICES)
    now = time.time()
    monkeypatch.setattr(store, "time", SimpleNamespace(time=lambda: now))  # no pause passes by itself

    def fail(self, queryset):
        from rest_framework.exceptions import APIException

        raise ValueError("out of order") if failure == "raises" else APIException

    with monkeypatch.context() as broken:
        broken.setattr(ChoiceViewSet, "filter_queryset", fail)
        vote()
        world.work()
        row = Observer.objects.get()
        assert (len(live.items), live.page.messages, row.failures) == (2, [], 1)
        assert row.due_at is not None
        due_now()
        world.work()
        assert Observer.objects.get().failures == 2
    due_now()
    world.work()
    assert live.items == live.fresh
    assert Observer.objects.get().failures == 0


def test_a_view_that_fails_is_logged_once_with_what_was_asked(world, question, monkeypatch, caplog):
    world.page().observe(CHOICES, votes__gte=0)
    monkeypatch.setattr(ChoiceViewSet, "filter_queryset", lambda *_: 1 / 0)
    vote()
    world.work()
    due_now()
    world.work()
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "/api/choices/?votes__gte=0 (choice-list, user anonymous)" in errors[0].getMessage()


def test_a_failing_view_is_the_failure_of_the_request_that_subscribes(api, question, monkeypatch):
    monkeypatch.setattr(ChoiceViewSet, "filter_queryset", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        api.get(CHOICES, {"observe": "me"})
    assert not Observer.objects.get().subscriptions.exists()


def test_a_slow_view_is_warned_of_and_then_suspended_with_a_message(world, question, settings, caplog):
    live = world.page().observe(CHOICES)
    settings.CORE = {**settings.CORE, "REACTIVE": {"WARNINGS_MAX_PROCESSING_TIME": 0, "THROTTLE_RATE": 0}}
    vote()
    world.work()
    assert any("A live query took" in record.getMessage() for record in caplog.records)
    assert live.items == live.fresh
    settings.CORE = {**settings.CORE, "REACTIVE": {"ERRORS_MAX_PROCESSING_TIME": 0, "THROTTLE_RATE": 0}}
    vote()
    world.work()
    message = live.page.messages[-1]
    assert (message["msg"], message["observer"]) == ("suspended", live.observer)
    assert "a live query may take 0 s" in message["detail"]
    vote()
    assert world.work() == 0
    settings.CORE = {**settings.CORE, "REACTIVE": {"THROTTLE_RATE": 0}}
    live.page.observe(CHOICES)  # to ask anew makes it live again
    vote()
    world.work()
    again = live.page.lists[live.observer]
    assert again.items == again.fresh


def test_a_list_that_grows_too_long_is_suspended_and_one_that_is_too_long_refused(world, question, settings):
    settings.CORE = {**settings.CORE, "REACTIVE": {"MAX_RESULT_LENGTH": 2, "THROTTLE_RATE": 0}}
    page = world.page()
    page.observe(CHOICES)
    Choice.objects.create(question=question, choice_text="Juice")
    world.work()
    assert [message["msg"] for message in page.messages] == ["suspended"]
    answer = page.get(CHOICES, observe=page.subscriber)
    assert answer.status_code == 400
    assert answer.json() == {"observe": ["The list has 3 items; a live query may have 2. Ask for a page."]}


def test_a_long_list_is_warned_of(world, question, settings, caplog):
    settings.CORE = {**settings.CORE, "REACTIVE": {"WARNINGS_MAX_RESULT_LENGTH": 1}}
    world.page().observe(CHOICES)
    assert any("A live query has 2 items" in record.getMessage() for record in caplog.records)


# --- What is lost on the way ---


def test_a_lost_message_is_made_good_by_the_next_one(world, question):
    live = world.page().observe(CHOICES)
    vote()
    world.work()
    vote()
    world.workers[0].work()
    world.post.clear()
    vote()
    world.work()
    assert live.items == live.fresh


def test_a_lost_message_is_made_good_without_another(world, question):
    live = world.page().observe(CHOICES)
    vote()
    world.workers[0].work()
    world.post.clear()
    world.processes[0].catch_up()
    assert live.items == live.fresh


def test_what_a_full_layer_drops_reaches_everybody_all_the_same(world, question):
    """One write concerns more lists than a layer holds messages (100), and nothing is written after it."""
    page = world.page()
    lives = [page.observe(CHOICES, votes__lte=number) for number in range(1, 121)]
    vote()
    assert world.workers[0].work() == 120
    world.post = world.post[:100]
    world.deliver()
    assert sum(live.items[0]["votes"] == 0 for live in lives) == 20
    world.processes[0].catch_up()
    fresh = lives[0].fresh  # all of them list the same
    assert all(live.items == fresh for live in lives)


def test_messages_that_come_twice_or_in_another_order_do_no_harm(world, question):
    live = world.page().observe(CHOICES)
    for _ in range(3):
        vote()
        world.workers[0].work()
    world.post = [*reversed(world.post), *world.post]
    world.deliver()
    assert live.items == live.fresh
    assert [message["seq"] for message in live.page.messages] == sorted({m["seq"] for m in live.page.messages})


def test_a_killed_worker_is_followed_by_another_that_begins_where_it_was(world, question, monkeypatch):
    live = world.page().observe(CHOICES)
    vote()
    killed = world.workers.pop()
    killed.look()
    claim = killed.claim(1)[0]
    assert world.work() == 0  # no worker is there
    world.workers.append(Worker())
    assert world.work() == 0  # the dead one still holds it
    Observer.objects.filter(lease=claim.row.lease).update(lease_until=0)
    assert world.work() == 1
    assert live.items == live.fresh


def test_a_new_worker_evaluates_nothing_that_is_up_to_date(world, question):
    world.page().observe(CHOICES)
    vote()
    world.work()
    Bookmark.objects.update(last=ChangeLogEntry.objects.order_by("pk").first().pk)
    world.workers.append(Worker())
    assert world.work() == 0


def test_a_worker_that_was_away_for_longer_than_the_log_asks_everything_anew(world, question):
    live = world.page().observe(CHOICES)
    vote()
    vote()
    ChangeLogEntry.objects.exclude(pk=ChangeLogEntry.objects.order_by("pk").last().pk).delete()
    world.work()
    assert live.items == live.fresh


def test_an_answer_that_comes_late_is_not_kept(world, question):
    """Of two answers the one that was kept first counts; the other is asked for again."""
    live = world.page().observe(CHOICES)
    row = Observer.objects.get()
    from core.reactive.question import Question as Asked

    asked = Asked.from_data(row.question)
    late = evaluate(asked)
    vote()
    world.work()
    kept = evaluating.kept_of(asked, late, {})
    assert store.finish(row.pk, late.items, kept, seq=row.seq) is None
    assert Observer.objects.get().seq == row.seq + 1
    assert live.items == live.fresh


def test_a_poll_finds_what_nobody_has_announced(world, question, monkeypatch):
    live = world.page().observe(CHOICES)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE polls_choice SET votes = 9 WHERE choice_text = 'Tea'")
    assert world.work() == 0
    Observer.objects.update(poll_interval=3600)
    vote("Coffee")
    world.work()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE polls_choice SET votes = 11 WHERE choice_text = 'Tea'")
    assert Observer.objects.get().due_at is not None
    assert world.work() == 0
    due_now()
    assert world.work() == 1
    assert [item["votes"] for item in live.items] == [11, 1]


def test_a_burst_is_evaluated_at_once_and_again_when_the_throttle_lets_it(world, question, settings):
    live = world.page().observe(CHOICES)
    settings.CORE = {**settings.CORE, "REACTIVE": {"THROTTLE_RATE": 60}}
    vote()
    assert world.work() == 1
    for _ in range(5):
        vote()
        assert world.work() == 0
    due_now()
    assert world.work() == 1
    assert live.items == live.fresh


# --- Coming back ---


def test_a_client_that_comes_back_gets_what_it_missed(world, question):
    live = world.page().observe(CHOICES)
    live.page.disconnect()
    for _ in range(3):
        vote()
        world.work()
    body = live.resume()
    assert len(body["messages"]) == 3
    assert live.items == live.fresh
    assert live.resume()["messages"] == []


def test_a_client_that_comes_back_too_late_gets_the_list(world, question):
    live = world.page().observe(CHOICES)
    live.page.disconnect()
    vote()
    world.work()
    Difference.objects.all().delete()
    assert "items" in live.resume()
    assert live.items == live.fresh


def messages_of(live):
    return [text for _, texts in store.differences(live.observer, live.seq, live.seq + 3) or () for text in texts]


def test_a_socket_that_has_missed_more_than_it_may_be_sent_at_once_is_told_to_ask_again(world, question, settings):
    """Or it would be closed for being sent too much, each time that it comes back."""
    page = world.page()
    lives = [page.observe(CHOICES), page.observe(CHOICES, ordering="-id")]
    page.disconnect()
    for _ in range(3):
        vote()
        world.work()
    journal = [text for live in lives for text in messages_of(live)]
    assert len(journal) == 6
    # Half of it may be sent at once: what was missed of one list, not of both.
    settings.CORE = {**settings.CORE, "SOCKETS": {"MAX_OUTGOING": 3 * sum(map(len, journal)) // 2}}
    page.connect(world.processes[0])
    assert sorted(live.ended or "" for live in lives) == ["", "reload"]
    [told] = [live for live in lives if live.ended is None]
    assert told.items == told.fresh


def test_a_number_of_an_observer_that_is_gone_is_taken_for_none_of_the_new_one(world, question):
    live = world.page().observe(CHOICES)
    vote()
    world.work()
    housekeeping.clear()
    vote()
    assert "items" in live.resume()
    assert live.items == live.fresh


def test_a_page_on_another_process_goes_on_where_it_was(world, question):
    from tests.core.reactive.world import Process

    live = world.page().observe(CHOICES)
    live.page.disconnect()
    vote()
    world.work()
    world.processes.append(Process())
    live.page.connect(world.processes[1])
    assert live.items == live.fresh
    vote()
    world.work()
    assert live.items == live.fresh


# --- Housekeeping ---


def test_who_does_not_come_back_is_forgotten_and_so_is_what_only_they_asked(world, question):
    gone, here = world.page(), world.page()
    gone.observe(CHOICES, votes__gte=1)
    here.observe(CHOICES)
    vote()
    world.work()
    Subscriber.objects.update(expires_at=0)
    housekeeping.heartbeat([here.subscriber])
    Observer.objects.update(updated_at=0)
    housekeeping.tidy()
    assert [row.pk for row in Subscriber.objects.all()] == [here.subscriber]
    row = Observer.objects.get()
    assert row.subscriptions.count() == 1
    assert set(Difference.objects.values_list("observer_id", flat=True)) <= {row.pk}


def test_how_long_a_query_lives_without_its_page_is_a_setting(world, question, settings, monkeypatch):
    """From the moment when the page was last seen."""
    now = [time.time()]
    monkeypatch.setattr("core.reactive.housekeeping.time.time", lambda: now[0])
    settings.CORE = {**settings.CORE, "REACTIVE": {"SUBSCRIBER_TIMEOUT": 500}}
    page = world.page()
    page.observe(CHOICES)
    for seen in ([], [page.subscriber]):
        housekeeping.heartbeat(seen)
        now[0] += 450
        housekeeping.tidy()
        assert Subscriber.objects.exists() is True
        if not seen:
            housekeeping.heartbeat([page.subscriber])
    now[0] += 100
    housekeeping.tidy()
    assert not Subscriber.objects.exists()


def test_an_observer_somebody_is_about_to_subscribe_to_stays(world, question):
    page = world.page()
    page.observe(CHOICES)
    store.unsubscribe(Observer.objects.get().pk, page.subscriber)
    housekeeping.tidy()
    assert Observer.objects.exists()


def test_the_journal_keeps_a_limited_number_of_differences(world, question, settings):
    settings.CORE = {**settings.CORE, "REACTIVE": {"JOURNAL_LENGTH": 2, "THROTTLE_RATE": 0}}
    live = world.page().observe(CHOICES)
    for _ in range(4):
        vote()
        world.work()
    housekeeping.tidy()
    assert sorted(Difference.objects.values_list("seq", flat=True)) == [live.seq - 1, live.seq]


def test_a_page_whose_observer_was_removed_is_told_to_ask_again(world, question):
    live = world.page().observe(CHOICES)
    assert housekeeping.clear() == 1
    world.deliver()
    assert [message["msg"] for message in live.page.messages] == ["reload"]


def test_a_page_that_did_not_hear_of_it_finds_out(world, question):
    live = world.page().observe(CHOICES)
    world.processes[0].catch_up()
    housekeeping.clear()
    world.post.clear()
    world.processes[0].catch_up()
    assert [message["msg"] for message in live.page.messages] == ["reload"]


def test_questions_that_are_gone_from_the_site_are_revoked(world, question, serve):
    page = world.page()
    live = page.observe(CHOICES)
    serve([])
    Choice.objects.create(question=Question.objects.get(), choice_text="Juice")
    world.work()
    assert live.ended == "revoked"


@pytest.mark.parametrize(
    "broken",
    [
        lambda fail: (store, "mark", fail),
        lambda fail: (Index, "concerned", fail),
        lambda fail: (Worker, "_refresh", fail),
        lambda fail: (Worker, "_learn", fail),
        lambda fail: (Worker, "_keep_bookmarks", fail),
    ],
)
def test_a_look_that_fails_half_way_loses_nothing(world, question, monkeypatch, broken):
    """The database may go away after the log was read and before it was written down whom it concerns."""

    def fail(*_):
        raise OperationalError

    live = world.page().observe(CHOICES)
    with monkeypatch.context() as context:
        context.setattr(*broken(fail))
        vote()
        with pytest.raises(OperationalError):
            world.work()
    world.work()
    assert live.items == live.fresh
    assert live.items[0]["votes"] == 1


def test_a_log_that_cannot_be_read_to_its_end_loses_nothing(world, question, monkeypatch):
    """What was read before the failure is matched by the next look."""
    live = world.page().observe(CHOICES)
    real = log.changes_since

    def fail(*_):
        raise OperationalError

    def once(position, using):
        reading = real(position, using)
        if reading.entries:
            monkeypatch.setattr(log, "changes_since", fail)
            return replace(reading, more=True)
        return reading

    monkeypatch.setattr(log, "changes_since", once)
    vote()
    with pytest.raises(OperationalError):
        world.work()
    monkeypatch.setattr(log, "changes_since", real)
    world.work()
    assert live.items == live.fresh
    assert live.items[0]["votes"] == 1


def test_where_it_cannot_be_told_who_is_concerned_everybody_is(world, question, monkeypatch, caplog):
    live = world.page().observe(CHOICES)
    world.work()

    def fail(*_):
        raise KeyError("votes")

    monkeypatch.setattr(world.workers[0].index, "concerned", fail)
    vote()
    world.work()
    assert live.items == live.fresh
    assert any("It cannot be told whom changes concern" in record.getMessage() for record in caplog.records)


def test_without_a_log_what_is_told_is_heard(world, question, settings):
    """As the signals of the change stream bring it; what is lost then stays lost."""
    settings.CORE = {**settings.CORE, "CHANGES": {**settings.CORE["CHANGES"], "LOG": False}}
    live = world.page().observe(CHOICES)
    heard = []

    def hear(changes, **_):
        heard.append(changes)
        world.workers[0].hear(changes)

    changes_committed.connect(hear)
    try:
        vote()
    finally:
        changes_committed.disconnect(hear)
    assert len(heard) == 1
    assert world.work() == 1
    assert live.items == live.fresh
    assert live.items[0]["votes"] == 1


def test_a_socket_is_closed_only_for_itself(world, question):
    """The first of two that share an id to leave ends nothing for the other."""
    page = world.page()
    live = page.observe(CHOICES)
    other = world.processes[0].registry.add(page)
    assert world.processes[0].registry.discard(other) is False
    vote()
    world.work()
    assert live.items == live.fresh
