"""The promise of subscriptions: every committed event on rows one may see, and none on rows one may not.

Questions and choices are written at random in every way there is, by callers with different rights, in this process and
in what looks like another. Subscribers come at any time, to single actions or all, to any row or one; choices come into
sight and go from it with their question. After each commit every subscriber's events have to be exactly those that the
rule of who sees what asks for, with the data that REST shows that subscriber.
"""

import contextlib
from contextlib import AsyncExitStack
from typing import NamedTuple

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from core.bindings.dispatcher import dispatcher
from core.changes import changes_committed, changes_heard
from core.changes.log import everything
from core.testing import socket
from polls.models import Choice, Question

pytestmark = pytest.mark.django_db(transaction=True)

TEXTS = ("tea", "coffee", "beer")
ACTIONS = ("create", "update", "delete")
SUBJECTS = (
    ("questions", None),
    ("questions", {"published": True}),
    ("questions", {"question_text": "tea"}),
    ("questions", {"question_text__icontains": "E"}),
    ("choices", None),
    ("choices", {"votes__gte": 2}),
)
MODELS = {"questions": Question, "choices": Choice}

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
    st.tuples(st.just("choice"), indices, indices),
    st.tuples(st.just("save choice"), indices, indices),
    st.tuples(st.just("delete choice"), indices),
    st.tuples(st.just("vote for all")),
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
wishes = st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=3, unique=True)
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["here", "here", "elsewhere", "missed"]), writes),
        st.tuples(st.just("join"), st.tuples(st.integers(0, 5), wishes)),
    ),
    max_size=8,
)


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


CHOICE_WRITES = {"choice", "save choice", "delete choice", "vote for all"}


class Touched(NamedTuple):
    """What a commit did to the rows of a stream."""

    pks: set
    created: set


def everything_there():
    return {stream: set(model.objects.values_list("pk", flat=True)) for stream, model in MODELS.items()}


class World:
    """The writers, and what they write; each write is one commit and returns the keys it has touched.

    Those are of questions, or of choices if the name of the write says so. What was created or deleted besides is found
    by looking.
    """

    def __init__(self, author, staff, writer):
        self.author, self.staff, self.writer = author, staff, writer
        self.api = APIClient()
        self.api.force_login(staff)

    async def write(self, name, *arguments):
        before = await sync_to_async(everything_there)()
        if name == "socket":
            touched = await self.over_the_socket(*arguments)
        else:
            touched = await sync_to_async(getattr(self, name.replace(" ", "_")))(*arguments)
        after = await sync_to_async(everything_there)()
        own = "choices" if name in CHOICE_WRITES else "questions"
        return {
            stream: Touched(
                (touched if stream == own else set()) | (before[stream] ^ after[stream]), after[stream] - before[stream]
            )
            for stream in MODELS
        }

    def choice(self, index, votes):
        if (row := self.row(index)) is not None:
            Choice.objects.create(question=row, choice_text="c", votes=votes)
        return set()

    def chosen(self, index):
        rows = list(Choice.objects.order_by("pk")[:4])
        return rows[index % len(rows)] if rows else None

    def save_choice(self, index, votes):
        if (row := self.chosen(index)) is None:
            return set()
        row.votes = votes
        row.save()
        return {row.pk}

    def delete_choice(self, index):
        if (row := self.chosen(index)) is not None:
            row.delete()
        return set()

    def vote_for_all(self):
        touched = set(Choice.objects.values_list("pk", flat=True))
        Choice.objects.all().vote()
        return touched

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


class Group:
    """All who subscribe alike, and what the rule says that they know: the keys of the rows that are in their sight.

    If there are too many to remember (``tracked`` is false), it is those of the rows that an event could name.
    """

    def __init__(self, user, stream, filter_, pk, tracked):
        self.user, self.stream, self.filter, self.pk = user, stream, filter_, pk
        self.tracked = tracked or pk is not None
        self.members, self.known = [], set()
        self.api = APIClient()
        if user.is_authenticated:
            self.api.force_login(user)

    def in_sight(self):
        rows = MODELS[self.stream].objects.visible_to(self.user).filter(**(self.filter or {}))
        return set((rows if self.pk is None else rows.filter(pk=self.pk)).values_list("pk", flat=True))

    def shown(self):
        """What REST shows, in as many pages as it takes."""
        answer = self.api.get(f"/api/{self.stream}/?limit=200").json()
        assert answer["next"] is None
        return {row["id"]: row for row in answer["results"]}

    async def join(self, ws, actions):
        """Have ``ws`` subscribe. Those who are there are told what has come and gone since the last commit."""
        sight = await sync_to_async(self.in_sight)()
        actions = [action for action in actions if self.pk is None or action != "create"]
        if self.pk is not None and self.pk not in sight:
            return
        data = {"pk": self.pk} if self.pk is not None else {"filter": self.filter} if self.filter else {}
        for action in actions:
            confirmed = await ws.subscribe(self.stream, action, **data)
            assert confirmed["tracked"] is self.tracked
        coming = "create" if self.pk is None else "update"
        expected = dict.fromkeys(self.known - sight, "delete")
        if self.tracked:
            expected |= dict.fromkeys(sight - self.known, coming)
            self.known = sight
        else:
            self.known &= sight
        await self.check(expected)
        if actions:
            self.members.append((ws, set(actions)))

    async def hear(self, where, touched):
        """Hold what has been told of a commit against what had to be."""
        sight, known = await sync_to_async(self.in_sight)(), self.known
        if not self.members:
            return
        if where == "missed":  # anything may have changed: rows that may have may be told, those that have must be
            expected = dict.fromkeys(known - sight, "delete")
            if self.tracked and self.pk is None:
                expected |= dict.fromkeys(sight - known, "create")
            self.known = sight
            await self.check(expected, may_be_updated=sight if not self.tracked or self.pk else sight & known)
            return
        pks = touched.pks if self.pk is None else touched.pks & {self.pk}
        expected = dict.fromkeys(pks & known - sight, "delete") | dict.fromkeys(pks & sight, "update")
        if self.pk is None:
            new = (sight - known) if self.tracked else touched.created - known
            expected |= dict.fromkeys(pks & sight & new, "create")
        self.known = (known - pks) | (pks & sight)
        await self.check(expected)

    async def check(self, expected, may_be_updated=frozenset()):
        shown = await sync_to_async(self.shown)()
        for ws, actions in self.members:
            events = await ws.events()
            told = {event["pk"]: event["action"] for event in events}
            assert len(told) == len(events)
            for event in events:
                assert event["data"] == ({} if event["action"] == "delete" else shown[event["pk"]])
            told = {pk: each for pk, each in told.items() if each != "update" or pk not in may_be_updated}
            assert told == {pk: each for pk, each in expected.items() if each in actions}


async def assert_that_each_hears_what_it_may_see(author, staff, stranger, subjects, tracked, program):
    await Question.objects.all().adelete()
    users = [AnonymousUser(), stranger, author, staff]
    async with AsyncExitStack() as stack:
        writer = await stack.enter_async_context(socket(staff))
        world = await sync_to_async(World)(author, staff, writer)
        for published, text, votes in ((False, "tea", 3), (True, "coffee", 1)):
            question = await Question.objects.acreate(question_text=text, published=published, owner=author)
            choice = await Choice.objects.acreate(question=question, choice_text="c", votes=votes)
        kinds = [(user, *subject, None) for user, subject in zip(users, subjects, strict=True)]
        kinds += [(stranger, "questions", None, question.pk), (stranger, "choices", None, choice.pk)]
        groups = [await sync_to_async(Group)(*kind, tracked) for kind in kinds]

        async def join(group, actions):
            ws = await stack.enter_async_context(socket(group.user if group.user.is_authenticated else None))
            await group.join(ws, actions)

        for group in groups:
            await join(group, ACTIONS)
        for where, what in program:
            if where == "join":
                number, actions = what
                await join(groups[number], actions)
                continue
            name, *arguments = what
            with_where = committed(where)
            await sync_to_async(with_where.__enter__)()
            touched = await world.write(name, *arguments)
            await sync_to_async(with_where.__exit__)(None, None, None)
            for group in groups:
                await group.hear(where, touched[group.stream])


CHOICES = [("choices", None)] * 4
COME = [("here", ("update all", True)), ("join", (0, ["update"])), ("here", ("save choice", 0, 5))]
GONE = [("here", ("update all", False)), ("join", (1, ["delete"])), ("join", (5, ["update"]))]


@pytest.mark.slow
@given(subjects=st.lists(st.sampled_from(SUBJECTS), min_size=4, max_size=4), tracked=st.booleans(), program=steps)
@example(subjects=CHOICES, tracked=True, program=[*COME, *GONE, ("here", ("vote for all",))])
@example(subjects=CHOICES, tracked=False, program=[("here", ("vote for all",)), *GONE, ("here", ("vote for all",))])
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
def test_every_event_on_rows_one_may_see_and_none_on_others(
    author, staff, stranger, channel_layer, bindings_settings, subjects, tracked, program
):
    bindings_settings(MAX_TRACKED_IN_ALL=1_000_000 if tracked else 0)
    async_to_sync(assert_that_each_hears_what_it_may_see)(author, staff, stranger, subjects, tracked, program)
