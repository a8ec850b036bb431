"""After the last write every live list equals a fresh GET, whatever was lost, restarted or reordered on the way.

Hypothesis writes by all ways, opens pages of several callers on lists of all kinds, breaks connections, kills workers,
and has the transport lose, repeat and shuffle what it is given. Then the site gets the peace that ``REPAIR_INTERVAL``
gives it in life, and every list is compared.
"""

import asyncio
import random

import pytest
from channels.layers import get_channel_layer
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.db.models import F
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from rest_framework.test import APIClient

from core.changes import record_change
from core.models import Observer, Subscriber
from core.reactive import housekeeping, publishing
from core.reactive.protocol import GROUP
from core.reactive.worker import Worker
from polls.models import Choice, Question
from tests.core.reactive.world import Process, World

QUESTIONS, CHOICES = "/api/questions/", "/api/choices/"
LISTS = (
    (QUESTIONS, {}),
    (QUESTIONS, {"published": "true"}),
    (QUESTIONS, {"ordering": "-question_text,id", "limit": 2}),
    (QUESTIONS, {"question_text__icontains": "A", "limit": 3, "offset": 1}),
    (CHOICES, {}),
    (CHOICES, {"votes__gte": 2, "ordering": "-votes,id"}),
    (CHOICES, {"ordering": "-votes,choice_text,id", "limit": 2, "offset": 1}),
    (CHOICES, {"choice_text": "a"}),
    ("question's choices", {"ordering": "-choice_text,id"}),
    ("question's choices", {"limit": 2}),
    ("choices of the question", {}),
    ("question", {}),
)
texts = st.sampled_from(("a", "A", "b", "ab"))
places = st.integers(0, 5)


class Layer:
    """Carries messages over the channel layer, and hands them out when asked."""

    def __init__(self):
        self.runner = asyncio.Runner()
        self.sent = 0
        self.channel = self.runner.run(self._join())

    async def _join(self):
        channel = await get_channel_layer().new_channel()
        await get_channel_layer().group_add(GROUP, channel)
        return channel

    def send(self, message):
        if self.sent < 50:  # a layer that is full drops what it is given
            self.runner.run(get_channel_layer().group_send(GROUP, message))
            self.sent += 1

    def received(self):
        async def receive(number):
            return [await get_channel_layer().receive(self.channel) for _ in range(number)]

        number, self.sent = self.sent, 0
        return self.runner.run(receive(number))

    def close(self):
        self.received()
        self.runner.run(get_channel_layer().group_discard(GROUP, self.channel))
        self.runner.close()


class Site(RuleBasedStateMachine):
    """The site, what is done to it, and what is done to those who serve it."""

    def __init__(self):
        super().__init__()
        self.world = World()
        self.world.processes.append(Process())
        self.world.workers.append(Worker())
        self.layer = Layer()
        publishing.hands[:] = []
        publishing.send = self.layer.send
        self.users = {name: User.objects.create_user(name) for name in ("author", "stranger")}
        self.users["author"].user_permissions.set(Permission.objects.filter(content_type__app_label="polls"))
        self.users["staff"] = User.objects.create_user("staff", is_staff=True)
        self.users[None] = None
        self.writer = APIClient()
        self.writer.force_login(self.users["author"])
        self.question("a", published=True, owned=True)
        self.question("b", published=False, owned=False)
        for place in (0, 1):
            self.choice(place, "a", 1)
        for name in (None, "stranger"):
            self.open_page(name, 0)
            for path in (QUESTIONS, CHOICES):
                self.world.pages[-1].observe(path)
        self.world.work()

    def teardown(self):
        try:
            self.settle()
        finally:
            for model in (Choice, Question, User):
                model.objects.all().delete()
            housekeeping.clear()
            self.layer.close()

    # --- Writes ---

    def one(self, model, place):
        rows = list(model.objects.order_by("pk"))
        return rows[place % len(rows)] if rows else None

    @rule(text=texts, published=st.booleans(), owned=st.booleans())
    def question(self, text, published, owned):
        owner = self.users["author"] if owned else None
        Question.objects.create(question_text=text, published=published, owner=owner)

    @rule(place=places, text=texts, votes=st.integers(0, 3))
    def choice(self, place, text, votes):
        if (question := self.one(Question, place)) is not None:
            Choice.objects.create(question=question, choice_text=text, votes=votes)

    @rule(place=places, published=st.booleans(), text=texts)
    def change_question(self, place, published, text):
        if (row := self.one(Question, place)) is not None:
            row.published, row.question_text = published, text
            row.save(update_fields=["published", "question_text"])

    @rule(published=st.booleans(), text=texts)
    def hide_or_show_in_bulk(self, published, text):
        Question.objects.filter(question_text=text).update(published=published)

    @rule(place=places, to=places)
    def move_choice(self, place, to):
        row, question = self.one(Choice, place), self.one(Question, to)
        if row is not None and question is not None:
            row.question = question
            row.save()

    @rule(votes=st.integers(0, 3), text=texts)
    def count_in_bulk(self, votes, text):
        Choice.objects.filter(choice_text=text).update(votes=F("votes") + votes)

    @rule(text=texts)
    def rewrite_in_bulk(self, text):
        rows = list(Choice.objects.order_by("pk")[:3])
        for row in rows:
            row.choice_text = text
        Choice.objects.bulk_update(rows, ["choice_text"])

    @rule(place=places, text=texts)
    def create_in_bulk(self, place, text):
        if (question := self.one(Question, place)) is not None:
            Choice.objects.bulk_create([Choice(question=question, choice_text=text, votes=n) for n in range(3)])

    @rule(place=places)
    def delete_choice(self, place):
        if (row := self.one(Choice, place)) is not None:
            row.delete()

    @rule(text=texts)
    def delete_in_bulk(self, text):
        Choice.objects.filter(choice_text=text).delete()

    @rule(place=places)
    def delete_question(self, place):
        if (row := self.one(Question, place)) is not None and Question.objects.count() > 1:
            row.delete()

    @rule(place=places)
    def vote(self, place):
        if (row := self.one(Choice, place)) is not None:
            self.writer.post(f"{CHOICES}{row.pk}/vote/")

    @rule(text=texts, other=texts)
    def patch_the_list(self, text, other):
        self.writer.patch(f"{CHOICES}?choice_text={text}", {"choice_text": other}, headers={"X-Bulk-Operation": "true"})

    @rule(place=places, text=texts)
    def batch(self, place, text):
        if (question := self.one(Question, place)) is None:
            return
        make = {"method": "POST", "relative_url": CHOICES, "name": "made"}
        vote = {"method": "POST", "relative_url": "/api/choices/{result=made:$.id}/vote/"}
        body = {"question": question.pk, "choice_text": text}
        self.writer.post("/api/batch/", {"batch": [{**make, "body": body}, vote]}, format="json")

    @rule(place=places, text=texts)
    def write_half_of_it(self, place, text):
        with transaction.atomic():
            self.choice(place, text, 0)
            with transaction.atomic(), transaction.atomic():
                self.delete_in_bulk(text)
                transaction.set_rollback(True)
            self.count_in_bulk(1, text)

    @rule(place=places, votes=st.integers(0, 3))
    def write_by_hand(self, place, votes):
        if (row := self.one(Choice, place)) is not None:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("UPDATE polls_choice SET votes = %s WHERE id = %s", [votes, row.pk])
                record_change(Choice, "updated", [row.pk], {"votes"})

    @rule(name=st.sampled_from(("author", "stranger")), staff=st.booleans())
    def promote_or_demote(self, name, staff):
        User.objects.filter(username=name).update(is_staff=staff)
        user = User.objects.get(username=name)
        user.is_staff = staff
        user.save()

    @rule(place=places, owned=st.booleans())
    def give(self, place, owned):
        if (row := self.one(Question, place)) is not None:
            row.owner = self.users["author"] if owned else None
            row.save()

    # --- Pages ---

    @rule(name=st.sampled_from((None, "author", "stranger", "staff")), process=st.integers(0, 1))
    def open_page(self, name, process):
        self.world.page(self.users[name], process)

    @precondition(lambda self: self.world.pages)
    @rule(page=places, list_=st.sampled_from(LISTS), place=places)
    def observe(self, page, list_, place):
        page = self.page(page)
        question = self.one(Question, place)
        (path, query), pk = list_, question.pk if question else 0
        if path == "choices of the question":
            path, query = CHOICES, {"question": pk}
        path = {"question's choices": f"{QUESTIONS}{pk}/choices/", "question": f"{QUESTIONS}{pk}/"}.get(path, path)
        if page.get(path, **query).status_code == 200:
            page.observe(path, **query)

    def page(self, place):
        return self.world.pages[place % len(self.world.pages)]

    @precondition(lambda self: self.world.pages)
    @rule(page=places)
    def disconnect(self, page):
        if self.page(page).process is not None:
            self.page(page).disconnect()

    @precondition(lambda self: self.world.pages)
    @rule(page=places, process=st.integers(0, 1), resuming=st.booleans())
    def reconnect(self, page, process, resuming):
        page = self.page(page)
        if page.process is None:
            page.connect(self.world.processes[process])
            if resuming:
                self.ask_again(page, page.lists.values())

    @staticmethod
    def ask_again(page, lists):
        for live in list(lists):
            if page.get(live.url, **live.query).status_code == 200:
                live.resume()
            else:
                page.lists.pop(live.observer)

    @precondition(lambda self: any(page.lists for page in self.world.pages))
    @rule(page=places)
    def leave(self, page):
        page = self.page(page)
        if page.lists:
            observer, _ = page.lists.popitem()
            page.api.post(f"/api/queryobserver/unsubscribe/?observer={observer}&subscriber={page.subscriber}")

    # --- Those who serve ---

    @rule(worker=st.integers(0, 1))
    def work(self, worker):
        self.world.workers[worker].work()

    @rule(worker=st.integers(0, 1))
    def look(self, worker):
        self.world.workers[worker].look()

    @rule(worker=st.integers(0, 1))
    def kill_a_worker(self, worker):
        """It dies with what it has taken; another one begins."""
        self.world.workers[worker].claim(1)
        self.world.workers[worker] = Worker()

    @rule()
    def lease_runs_out(self):
        Observer.objects.exclude(lease_until=None).update(lease_until=0)

    @rule(how=st.sampled_from(("in order", "twice", "shuffled", "half", "not at all")), seed=st.integers(0, 99))
    def deliver(self, how, seed):
        messages = self.layer.received()
        if how == "twice":
            messages *= 2
        elif how == "shuffled":
            random.Random(seed).shuffle(messages)
        elif how == "half":
            messages = messages[::2]
        elif how == "not at all":
            messages = []
        for message in messages:
            for process in self.world.processes:
                process.deliver(message)

    @rule()
    def kill_a_server(self):
        """Its pages connect to another."""
        self.world.processes[0] = Process()
        for page in self.world.pages:
            if page.process is not None and page.process not in self.world.processes:
                page.line = page.process = None

    @rule(all_=st.booleans())
    def tidy(self, all_):
        if all_:
            gone = {page.subscriber for page in self.world.pages if page.process is None}
            Subscriber.objects.filter(pk__in=gone).update(expires_at=0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(housekeeping, "UNUSED_FOR", -1 if all_ else housekeeping.UNUSED_FOR)
            housekeeping.tidy()

    # --- Peace ---

    @rule()
    def settle(self):
        Observer.objects.exclude(lease_until=None).update(lease_until=0)
        for _ in range(5):
            Observer.objects.exclude(due_at=None).update(due_at=0)
            if not sum(worker.work() for worker in self.world.workers):
                break
        self.deliver("half", 0)
        for page in self.world.pages:
            if page.process is None:
                page.connect(self.world.processes[1])
                self.ask_again(page, page.lists.values())
        for process in self.world.processes:
            process.catch_up()
        for page in self.world.pages:
            ended = [live for live in page.lists.values() if live.ended]
            self.ask_again(page, ended)
            for live in page.lists.values():
                assert live.items == live.fresh, (live.url, live.query, page.user)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("examples", [5, pytest.param(60, marks=pytest.mark.slow)])
def test_after_the_last_write_every_live_list_equals_a_fresh_get(channel_layer, settings, monkeypatch, examples):
    settings.CORE = {**settings.CORE, "REACTIVE": {"THROTTLE_RATE": 0, "JOURNAL_LENGTH": 5}}
    monkeypatch.setattr(publishing, "send", publishing.send)
    monkeypatch.setattr(publishing, "hands", [])
    run_state_machine_as_test(Site, settings=_profile(examples))


def _profile(examples):
    return settings(
        deadline=None,
        max_examples=examples,
        stateful_step_count=20,
        suppress_health_check=list(HealthCheck),
    )
