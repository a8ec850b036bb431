"""The promise of subscriptions: every committed event on rows one may see, and none on rows one may not.

Questions are written at random in every way there is, by callers with different rights, in this process and in what
looks like another. After each commit every subscriber's events have to be exactly those that the rule of who sees what
asks for, with the data that REST shows that subscriber.
"""

import contextlib
from contextlib import AsyncExitStack

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from core.bindings.dispatcher import dispatcher
from core.changes import changes_committed, changes_heard
from core.changes.log import everything
from core.testing import socket
from polls.models import Question

pytestmark = pytest.mark.django_db(transaction=True)

TEXTS = ("tea", "coffee", "beer")
FILTERS = (None, {"published": True}, {"question_text": "tea"}, {"question_text__icontains": "E"})

indices = st.integers(0, 3)
flags = st.booleans()
texts = st.sampled_from(TEXTS)
single_writes = st.one_of(
    st.tuples(st.just("create"), flags, texts),
    st.tuples(st.just("save"), indices, flags, texts),
    st.tuples(st.just("rest"), indices, flags, texts),
    st.tuples(st.just("socket"), indices, flags, texts),
    st.tuples(st.just("batch"), indices, flags, texts),
    st.tuples(st.just("delete"), indices),
    st.tuples(st.just("give away"), indices, flags),
)
writes = st.one_of(
    single_writes,
    st.tuples(st.just("update all"), flags),
    st.tuples(st.just("bulk"), texts, flags),
    st.tuples(st.just("delete all"), texts),
    st.tuples(st.just("bulk create"), flags, texts),
    st.tuples(st.just("rolled back"), indices, flags),
    st.tuples(st.just("half rolled back"), indices, flags, texts),
)
steps = st.lists(st.tuples(st.sampled_from(["here", "here", "elsewhere", "missed"]), writes), max_size=8)


@contextlib.contextmanager
def committed(where):
    """Has what is committed heard of as from another process, or not at all until "everything may have changed"."""
    if where == "here":
        yield
        return
    published = []

    def divert(changes, **kwargs):
        published.append(changes)

    changes_committed.disconnect(dispatch_uid="core.bindings")
    changes_committed.connect(divert, dispatch_uid="diverted")
    try:
        yield
    finally:
        changes_committed.disconnect(dispatch_uid="diverted")
        changes_committed.connect(dispatcher.on_changes, dispatch_uid="core.bindings")
    if where == "missed":
        changes_heard.tell(everything("default"))
    else:
        for changes in published:
            changes_heard.tell(changes)


class World:
    """The writers, and what they write; each write is one commit and returns the keys it has touched."""

    def __init__(self, author, staff, writer):
        self.author, self.staff, self.writer = author, staff, writer
        self.api = APIClient()
        self.api.force_login(staff)

    async def write(self, name, *arguments):
        if name == "socket":
            return await self.over_the_socket(*arguments)
        return await sync_to_async(getattr(self, name.replace(" ", "_")))(*arguments)

    def row(self, index):
        rows = list(Question.objects.order_by("pk")[:4])
        return rows[index % len(rows)] if rows else None

    def keys(self, **lookup):
        return set(Question.objects.filter(**lookup).values_list("pk", flat=True))

    def create(self, published, text):
        return {Question.objects.create(question_text=text, published=published, owner=self.author).pk}

    def bulk_create(self, published, text):
        rows = [Question(question_text=text, published=published) for _ in range(2)]
        return {row.pk for row in Question.objects.bulk_create(rows)}

    def save(self, index, published, text):
        if (row := self.row(index)) is None:
            return set()
        row.published, row.question_text = published, text
        row.save()
        return {row.pk}

    def rest(self, index, published, text):
        if (row := self.row(index)) is None:
            return set()
        changed = {"published": published, "question_text": text}
        assert self.api.put(f"/api/questions/{row.pk}/", changed, format="json").status_code == 200
        return {row.pk}

    async def over_the_socket(self, index, published, text):
        if (row := await sync_to_async(self.row)(index)) is None:
            return set()
        changed = {"published": published, "question_text": text}
        assert (await self.writer.request("questions", "update", changed, pk=row.pk))["response_status"] == 200
        return {row.pk}

    def batch(self, index, published, text):
        if (row := self.row(index)) is None:
            return set()
        url = f"/api/questions/{row.pk}/"
        items = [
            {"method": "PATCH", "relative_url": url, "body": {"published": published}},
            {"method": "PATCH", "relative_url": url, "body": {"question_text": text}},
        ]
        answer = self.api.post("/api/batch/", {"batch": items, "atomic": True}, format="json")
        assert [item["code"] for item in answer.json()] == [200, 200]
        return {row.pk}

    def delete(self, index):
        if (row := self.row(index)) is None:
            return set()
        pk = row.pk
        row.delete()
        return {pk}

    def give_away(self, index, to_author):
        if (row := self.row(index)) is None:
            return set()
        row.owner = self.author if to_author else self.staff
        row.save(update_fields=["owner"])
        return {row.pk}

    def update_all(self, published):
        touched = self.keys()
        Question.objects.update(published=published)
        return touched

    def bulk(self, text, published):
        touched = self.keys(question_text=text)
        answer = self.api.patch(
            f"/api/questions/?question_text={text}",
            {"published": published},
            format="json",
            HTTP_X_BULK_OPERATION="true",
        )
        assert answer.status_code == 204
        return touched

    def delete_all(self, text):
        touched = self.keys(question_text=text)
        Question.objects.filter(question_text=text).delete()
        return touched

    def rolled_back(self, index, published):
        with contextlib.suppress(RuntimeError), transaction.atomic():
            self.save(index, published, "never")
            raise RuntimeError
        return set()

    def half_rolled_back(self, index, published, text):
        with transaction.atomic():
            touched = self.save(index, published, text)
            with contextlib.suppress(RuntimeError), transaction.atomic():
                Question.objects.all().delete()
                raise RuntimeError
        return touched


class Listener:
    """A subscriber to everything under a filter, and what the rule says that it sees."""

    def __init__(self, ws, user, filter_):
        self.ws, self.user, self.filter = ws, user, filter_
        self.api = APIClient()
        if user.is_authenticated:
            self.api.force_login(user)

    def in_sight(self):
        rows = Question.objects.visible_to(self.user)
        return set(rows.filter(**(self.filter or {})).values_list("pk", flat=True))

    def shown(self):
        """What REST shows, in as many pages as it takes."""
        answer = self.api.get("/api/questions/?limit=200").json()
        assert answer["next"] is None
        return {row["id"]: row for row in answer["results"]}

    async def check(self, where, touched, before):
        """Hold what has been told against what had to be."""
        after, shown = await sync_to_async(self.in_sight)(), await sync_to_async(self.shown)()
        events = await self.ws.events()
        told = {event["pk"]: event["action"] for event in events}
        assert len(told) == len(events)
        for event in events:
            assert event["data"] == ({} if event["action"] == "delete" else shown[event["pk"]])
        expected = dict.fromkeys(before & after & touched, "update")
        expected |= dict.fromkeys(after - before, "create") | dict.fromkeys(before - after, "delete")
        if where == "missed":  # rows that may have changed may be told; those that have must be
            assert told.items() >= {pk: each for pk, each in expected.items() if each != "update"}.items()
            assert {pk for pk, action in told.items() if action == "update"} <= before & after
        else:
            assert told == expected
        return after


async def play(author, staff, stranger, filters, program):
    await Question.objects.all().adelete()
    users = [AnonymousUser(), stranger, author, staff]
    async with AsyncExitStack() as stack:
        writer = await stack.enter_async_context(socket(staff))
        world = await sync_to_async(World)(author, staff, writer)
        await world.write("create", False, "tea")
        await world.write("create", True, "coffee")
        listeners = []
        for user, filter_ in zip(users, filters, strict=True):
            ws = await stack.enter_async_context(socket(user if user.is_authenticated else None))
            for action in ("create", "update", "delete"):
                await ws.subscribe("questions", action, **({"filter": filter_} if filter_ else {}))
            listeners.append(await sync_to_async(Listener)(ws, user, filter_))
        seen = [await sync_to_async(each.in_sight)() for each in listeners]
        for where, (name, *arguments) in program:
            with_where = committed(where)
            await sync_to_async(with_where.__enter__)()
            touched = await world.write(name, *arguments)
            await sync_to_async(with_where.__exit__)(None, None, None)
            seen = [await each.check(where, touched, before) for each, before in zip(listeners, seen, strict=True)]


@pytest.mark.slow
@given(filters=st.lists(st.sampled_from(FILTERS), min_size=4, max_size=4), program=steps)
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
def test_every_event_on_rows_one_may_see_and_none_on_others(author, staff, stranger, channel_layer, filters, program):
    async_to_sync(play)(author, staff, stranger, filters, program)
