"""Events: whatever wrote the row, after the commit, to whoever may see it."""

import asyncio
import threading
from contextlib import AsyncExitStack

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser, User
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from rest_framework import serializers
from rest_framework.authtoken.models import Token
from rest_framework.permissions import AllowAny as RestAllowAny
from rest_framework.permissions import BasePermission, DjangoModelPermissions, IsAuthenticated
from rest_framework.test import APIClient

from core.bindings import AllowAny, ResourceBinding
from core.bindings import BasePermission as DocumentedPermission
from core.bindings import lane as module
from core.bindings.dispatcher import dispatcher
from core.bindings.sight import Interest, Sight
from core.bindings.streams import declared
from core.callers import Caller
from core.changes import Change, changes_heard, record_change
from core.sockets import CloseCode, SocketConsumer
from core.testing import socket
from polls.models import Choice, Question
from tests.testapp.models import Cafe, Folder, Note, Place, Tag, Ticket

pytestmark = pytest.mark.django_db(transaction=True)

NOBODY = Caller(None, "testserver", "http", "en-us")


def binding_of(model_class, *names, **attributes):
    meta = type("Meta", (), {"model": model_class, "fields": names})
    serializer = type("Serializer", (serializers.ModelSerializer,), {"Meta": meta})
    given = {"queryset": model_class.objects.all(), "serializer_class": serializer, "permission_classes": (AllowAny,)}
    return type(f"{model_class.__name__}Binding", (ResourceBinding,), {**given, **attributes})


def summary(events):
    return [(event["action"], event["pk"]) for event in events]


class LaggingCopy:
    """Sends reads to a database that is not there."""

    def db_for_read(self, model, **hints):
        return "copy"


async def subscribed(ws, stream, *actions, **data):
    for action in actions or ("create", "update", "delete"):
        await ws.subscribe(stream, action, **data)


@sync_to_async
def run(function, *args):
    return function(*args)


class TestWritesOfEveryKind:
    async def test_an_event_says_which_row_of_which_model_and_how_it_looks(self, question, channel_layer):
        async with socket() as ws:
            await subscribed(ws, "choices")
            choice = await Choice.objects.acreate(question=question, choice_text="Milk")
            data = {"id": choice.pk, "question": question.pk, "choice_text": "Milk", "votes": 0}
            pk, model = choice.pk, "polls.choice"
            assert await ws.event() == {"action": "create", "pk": pk, "model": model, "data": data}
            await Choice.objects.filter(pk=pk).aupdate(votes=3)
            assert await ws.event() == {"action": "update", "pk": pk, "model": model, "data": {**data, "votes": 3}}
            await choice.adelete()
            assert await ws.event() == {"action": "delete", "pk": pk, "model": model, "data": {}}

    async def test_rest_batch_bulk_admin_and_socket_are_all_told(self, question, staff, client, channel_layer):
        staff.is_superuser = True
        await staff.asave()
        api = APIClient()
        await run(api.force_login, staff)
        await run(client.force_login, staff)
        choice = await question.choices.afirst()
        url = f"/api/choices/{choice.pk}/"

        def rest():
            assert api.patch(url, {"choice_text": "rest"}).status_code == 200

        def batch():
            items = [{"method": "PATCH", "relative_url": url, "body": {"choice_text": "batch"}}]
            assert api.post("/api/batch/", {"batch": items}, format="json").json()[0]["code"] == 200

        def bulk():
            headers = {"HTTP_X_BULK_OPERATION": "true"}
            changed = {"choice_text": "bulk"}
            assert api.patch(f"/api/choices/?question={question.pk}", changed, **headers).status_code == 204

        def admin():
            page = f"/admin/polls/choice/{choice.pk}/change/"
            data = {"question": question.pk, "choice_text": "admin", "votes": 0}
            assert client.post(page, data).status_code == 302

        async with socket() as ws, socket(staff) as writer:
            await ws.subscribe("choices", "update", pk=choice.pk)
            for write in (rest, batch, bulk, admin):
                await run(write)
                assert (await ws.event())["data"]["choice_text"] == write.__name__
            await writer.request("choices", "patch", {"choice_text": "socket"}, pk=choice.pk)
            assert (await ws.event())["data"]["choice_text"] == "socket"
            await run(api.post, f"{url}vote/")
            assert (await ws.event())["data"]["votes"] == 1
            assert await ws.events() == []

    async def test_many_rows_of_one_transaction_are_one_event_each(self, question):
        async with socket() as ws:
            await subscribed(ws, "choices")

            def write():
                with transaction.atomic():
                    made = Choice.objects.bulk_create(
                        Choice(question=question, choice_text=str(number)) for number in range(600)
                    )
                    for _ in range(3):
                        Choice.objects.filter(question=question).update(votes=1)
                    made[0].delete()

            await run(write)
            events = await ws.events()
            assert [event["action"] for event in events].count("create") == 599
            assert [event["action"] for event in events].count("update") == 2
            assert len({event["pk"] for event in events}) == len(events) == 601

    async def test_another_process_is_told_of_as_well(self, question):
        """What the log brings comes in another thread and by another signal."""
        async with socket() as ws:
            await ws.subscribe("questions", "update")
            change = Change("polls.question", "polls_question", "updated", (question.pk,), None, "default")
            await run(changes_heard.tell, [change])
            assert summary(await ws.events()) == [("update", question.pk)]

    async def test_fixtures_are_told(self, db):
        async with socket() as ws:
            await ws.subscribe("questions", "create")
            await sync_to_async(call_command)("loaddata", "example", verbosity=0)
            assert len(await ws.events()) == await Question.objects.filter(published=True).acount()

    async def test_a_many_to_many_change_is_an_update_of_both_ends(self, serve_streams):
        streams = serve_streams(tags=binding_of(Tag, "id", "name"), folders=binding_of(Folder, "id", "tags"))
        folder, tag = await Folder.objects.acreate(name="f"), await Tag.objects.acreate(name="t")
        async with socket(demultiplexer=streams) as ws:
            await ws.subscribe("tags", "update")
            await ws.subscribe("folders", "update")
            await folder.tags.aadd(tag)
            assert summary(await ws.events("tags")) == [("update", tag.pk)]
            assert [event["data"]["tags"] for event in await ws.events("folders")] == [[tag.pk]]
            await folder.tags.aclear()
            assert await ws.events("tags") == []  # some tags, nobody knows which: none looks other than before
            assert [event["data"]["tags"] for event in await ws.events("folders")] == [[]]

    async def test_rows_that_point_to_what_is_deleted_are_told(self, serve_streams):
        streams = serve_streams(notes=binding_of(Note, "id", "folder"))
        folder = await Folder.objects.acreate(name="f")
        note = await Note.objects.acreate(folder=folder, text="n")
        async with socket(demultiplexer=streams) as ws:
            await ws.subscribe("notes", "update")
            await folder.adelete()
            assert [(event["pk"], event["data"]["folder"]) for event in await ws.events()] == [(note.pk, None)]

    async def test_a_row_in_several_tables_is_told_once(self, serve_streams):
        streams = serve_streams(cafes=binding_of(Cafe, "name", "seats"), places=binding_of(Place, "name"))
        cafe = await Cafe.objects.acreate(name="a", seats=1)
        async with socket(demultiplexer=streams) as ws:
            await subscribed(ws, "cafes")
            await subscribed(ws, "places")
            cafe.name, cafe.seats = "b", 2
            await cafe.asave()
            await Place.objects.filter(pk=cafe.pk).aupdate(name="c")
            events = await ws.events("cafes")
            assert [(event["action"], event["data"]["seats"]) for event in events] == [("update", 2), ("update", 2)]
            assert events[-1]["data"]["name"] == "c"
            pk = cafe.pk
            await cafe.adelete()
            assert summary(await ws.events("cafes")) == [("delete", pk)]

    async def test_keys_that_json_has_no_type_for_are_written_as_rest_writes_them(self, serve_streams):
        async with socket(demultiplexer=serve_streams(tickets=binding_of(Ticket, "id", "title"))) as ws:
            await subscribed(ws, "tickets")
            ticket = await Ticket.objects.acreate(title="t")
            assert summary(await ws.events()) == [("create", str(ticket.pk))]

    async def test_rows_named_by_another_field_are_so_in_events_even_when_they_have_gone(self, serve_streams):
        streams = serve_streams(tags=binding_of(Tag, "name", lookup_field="name"))
        tag = await Tag.objects.acreate(name="a")
        async with socket(demultiplexer=streams) as ws:
            await subscribed(ws, "tags", "delete")
            await subscribed(ws, "tags", "update", pk="a")
            await tag.asave()
            assert summary(await ws.events()) == [("update", "a")]
            await tag.adelete()
            assert summary(await ws.events()) == [("delete", "a")]

    async def test_a_row_that_is_renamed_has_gone_by_the_old_name_and_come_by_the_new_one(self, serve_streams):
        streams = serve_streams(tags=binding_of(Tag, "name", lookup_field="name"))
        await Tag.objects.acreate(name="a")
        async with socket(demultiplexer=streams) as ws, socket(demultiplexer=streams) as single:
            await subscribed(ws, "tags")
            await subscribed(single, "tags", "update", "delete", pk="a")
            await Tag.objects.aupdate(name="b")
            first, second = await ws.events()
            assert (first["action"], first["pk"], first["data"]) == ("delete", "a", {})
            assert (second["action"], second["pk"], second["data"]) == ("create", "b", {"name": "b"})
            assert summary(await single.events()) == [("delete", "a"), ("update", "b")]

    async def test_a_row_that_holds_half_a_surrogate_pair_is_told_and_so_are_the_others(self, serve_streams):
        """JSON has an escape for it; without, the frame could not be sent."""

        class Binding(binding_of(Tag, "name")):
            def get_serializer_class(self):
                class Serializer(serializers.Serializer):
                    def to_representation(self, instance):
                        return {"name": instance.name.replace("bad", "\ud800")}

                return Serializer

        streams = serve_streams(tags=Binding)
        async with socket(demultiplexer=streams) as ws, socket(demultiplexer=streams) as other:
            for each in (ws, other):
                await each.subscribe("tags", "create")
            await Tag.objects.abulk_create([Tag(name="bad"), Tag(name="good")])
            for each in (ws, other):
                assert sorted(event["data"]["name"] for event in await each.events()) == ["good", "\ud800"]


class TestCommits:
    async def test_nothing_is_told_before_the_commit(self, question):
        begun, go_on = threading.Event(), threading.Event()

        def write():
            try:
                with transaction.atomic():
                    question.save()
                    begun.set()
                    assert go_on.wait(60)
            finally:
                connections.close_all()

        async with socket() as ws:
            await ws.subscribe("questions", "update")
            writing = asyncio.create_task(sync_to_async(write, thread_sensitive=False)())
            assert await asyncio.to_thread(begun.wait, 60)
            assert await ws.events() == []
            go_on.set()
            await writing
            assert summary(await ws.events()) == [("update", question.pk)]

    async def test_what_was_rolled_back_is_never_told(self, question):
        def write():
            with pytest.raises(RuntimeError), transaction.atomic():
                question.save()
                raise RuntimeError
            with transaction.atomic():
                with pytest.raises(RuntimeError), transaction.atomic():
                    question.choices.all().delete()
                    raise RuntimeError
                Choice.objects.create(question=question, choice_text="kept")

        async with socket() as ws:
            await subscribed(ws, "questions")
            await subscribed(ws, "choices")
            await run(write)
            assert [event["data"]["choice_text"] for event in await ws.events()] == ["kept"]

    async def test_a_write_is_not_hurt_by_what_fails_for_subscribers(self, question, monkeypatch, caplog):
        """And what could not be told is told as soon as it can be."""
        evaluate, failures = module.evaluate, []

        def failing(*args):
            if len(failures) < 2:
                failures.append(args)
                raise RuntimeError("as asked")
            evaluate(*args)

        monkeypatch.setattr(module, "evaluate", failing)
        monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
        async with socket() as ws:
            await subscribed(ws, "questions")
            await question.asave()
            assert summary([await ws.event()]) == [("update", question.pk)]
        assert len(failures) == 2
        assert caplog.text.count("cannot be told; trying again") == 1

    @pytest.mark.parametrize("limit", [100, 0])
    async def test_what_is_made_good_is_what_could_not_be_told_and_no_more(
        self, serve_streams, monkeypatch, bindings_settings, limit
    ):
        """Rows that nobody has touched are not told, and new ones are new even where not all are remembered."""
        evaluate, failing = module.evaluate, [True]

        def evaluate_unless_failing(*args):
            if failing:
                raise RuntimeError("as asked")
            evaluate(*args)

        monkeypatch.setattr(module, "evaluate", evaluate_unless_failing)
        monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
        bindings_settings(MAX_TRACKED=limit)
        await Tag.objects.abulk_create([Tag(name=str(number)) for number in range(50)])
        tag = await Tag.objects.afirst()
        async with socket(demultiplexer=serve_streams(tags=binding_of(Tag, "name"))) as ws:
            await subscribed(ws, "tags")
            new = await Tag.objects.acreate(name="new")
            await tag.asave()
            assert await ws.events() == []
            failing.clear()
            told = [await ws.event(), await ws.event()]
            assert sorted(summary(told)) == [("create", new.pk), ("update", tag.pk)]
            assert await ws.events() == []

    async def test_one_timer_is_enough_for_all_that_is_to_be_made_good(self, question, monkeypatch):
        def failing(*args):
            raise RuntimeError("as asked")

        monkeypatch.setattr(module, "evaluate", failing)
        started = []

        class Timer(threading.Timer):
            """One that is far from its end."""

            def __init__(self, interval, function):
                super().__init__(60, function)
                started.append(self)

        async with asyncio.timeout(60):
            while dispatcher._timer is not None:  # an earlier test's
                await asyncio.sleep(0.01)
        monkeypatch.setattr(threading, "Timer", Timer)
        async with socket() as ws:
            for votes in range(10):
                await ws.subscribe("choices", "update", filter={"votes__gte": -votes})
            await Choice.objects.aupdate(votes=1)
            await ws.events()
            assert len(dispatcher._owing) == 10
            (timer,) = started
        assert not dispatcher._owing
        timer.cancel()
        timer.function()  # the next one who is owed something has one of their own

    async def test_events_of_one_row_come_in_the_order_of_commits(self, question, monkeypatch):
        monkeypatch.setattr(module, "LATE", 60)  # nobody is so far behind that several commits are told as one
        choice = await question.choices.afirst()

        def write():
            for number in range(1, 51):
                Choice.objects.filter(pk=choice.pk).update(votes=number)

        async with socket() as ws:
            await ws.subscribe("choices", "update")
            await run(write)
            votes = [event["data"]["votes"] for event in await ws.events()]
            assert len(votes) == 50
            assert votes == sorted(votes)
            assert votes[-1] == 50

    @pytest.fixture
    def held_up(self, monkeypatch):
        """An event that the evaluation of the first commit sets, and one that it waits for."""
        evaluate, begun, go_on = module.evaluate, threading.Event(), threading.Event()

        def waiting(*args):
            if not begun.is_set():
                begun.set()
                assert go_on.wait(60)
            evaluate(*args)

        monkeypatch.setattr(module, "evaluate", waiting)
        yield begun, go_on
        go_on.set()

    @pytest.mark.parametrize("limits", [{"MOST_WAITING": 1}, {"LATE": 0}])
    async def test_who_is_behind_tells_several_commits_as_one(self, question, held_up, monkeypatch, limits):
        begun, go_on = held_up
        for name, value in limits.items():
            monkeypatch.setattr(module, name, value)
        async with socket() as ws:
            await ws.subscribe("questions", "update")
            await question.asave()
            assert await asyncio.to_thread(begun.wait, 60)
            for _ in range(5):
                await question.asave()
            go_on.set()
            assert summary(await ws.events()) == [("update", question.pk)] * 2

    async def test_who_is_slow_to_be_told_does_not_hold_up_others(self, question, author, held_up):
        """Neither their events nor their confirmations."""
        begun, go_on = held_up
        choice = await question.choices.afirst()
        async with socket() as slow, socket(author) as other:
            await slow.subscribe("questions", "update")
            await question.asave()
            assert await asyncio.to_thread(begun.wait, 60)
            await other.subscribe("choices", "update")
            await choice.asave()
            assert (await other.event())["pk"] == choice.pk
            go_on.set()
            assert summary(await slow.events()) == [("update", question.pk)]

    async def test_a_change_of_another_database_is_no_event(self, question):
        async with socket() as ws:
            await ws.subscribe("questions", "update")
            for database in ("other", "default"):
                change = Change("polls.question", "polls_question", "updated", (question.pk,), None, database)
                await run(changes_heard.tell, [change])
            assert summary(await ws.events()) == [("update", question.pk)]

    async def test_rows_are_read_where_they_are_written(self, question, settings):
        """A copy that has not heard of a commit yet would hide it for good."""
        settings.DATABASE_ROUTERS = [LaggingCopy()]
        sight = Sight(Interest(declared()["choices"], "choices", NOBODY, "", False), AnonymousUser())
        pks = await run(lambda: list(sight.keys(10)))
        assert len(pks) == 2
        assert len(await run(sight.rows, pks)) == 2
        assert sight.databases() == {"default"}


class TestSight:
    async def test_each_caller_hears_of_the_rows_it_may_see(self, author, stranger, staff):
        async with socket() as anonymous, socket(stranger) as other, socket(author) as owner, socket(staff) as boss:
            everybody = (anonymous, other, owner, boss)
            for ws in everybody:
                await subscribed(ws, "questions")
            question = await Question.objects.acreate(question_text="Secret?", owner=author, published=False)
            pk = question.pk
            assert [summary(await ws.events()) for ws in everybody] == [[], [], [("create", pk)], [("create", pk)]]
            await Question.objects.filter(pk=pk).aupdate(published=True)
            events = [summary(await ws.events()) for ws in everybody]
            assert events == [[("create", pk)], [("create", pk)], [("update", pk)], [("update", pk)]]
            await Question.objects.filter(pk=pk).aupdate(published=False)
            told = [await ws.events() for ws in everybody]
            gone = [{"action": "delete", "pk": pk, "model": "polls.question", "data": {}}]
            assert told[:2] == [gone, gone]
            assert [summary(each) for each in told[2:]] == [[("update", pk)], [("update", pk)]]
            await Question.objects.filter(pk=pk).adelete()
            events = [summary(await ws.events()) for ws in everybody]
            assert events == [[], [], [("delete", pk)], [("delete", pk)]]

    async def test_rows_that_did_not_change_themselves_send_no_event(self, question):
        async with socket() as ws:
            await subscribed(ws, "choices")
            question.published = False
            await question.asave()
            assert await ws.events() == []
            choice = await question.choices.afirst()
            await choice.asave()  # now it is looked at
            assert summary(await ws.events()) == [("delete", choice.pk)]

    async def test_a_filter_makes_rows_come_and_go(self, question):
        choice = await question.choices.afirst()
        async with socket() as ws:
            await subscribed(ws, "choices", filter={"votes__gte": 2, "question": question.pk})
            for votes, action in ((1, None), (2, "create"), (3, "update"), (1, "delete"), (0, None)):
                await Choice.objects.filter(pk=choice.pk).aupdate(votes=votes)
                assert [event["action"] for event in await ws.events()] == ([action] if action else [])

    async def test_a_filter_of_texts_is_the_databases(self, question):
        async with socket() as ws:
            await subscribed(ws, "questions", "create", filter={"question_text__icontains": "BEER"})
            for text in ("Wine?", "More beer?"):
                await Question.objects.acreate(question_text=text)
            assert [event["data"]["question_text"] for event in await ws.events()] == ["More beer?"]

    async def test_a_single_row_that_goes_out_of_sight_is_deleted_to_who_has_named_it(self, question, stranger):
        async with socket(stranger) as ws:
            await subscribed(ws, "questions", "update", "delete", pk=question.pk)
            for published, action in (
                (True, "update"),
                (False, "delete"),
                (False, None),
                (True, "update"),  # it is back
                (True, "update"),
            ):
                question.published = published
                await question.asave()
                assert [event["action"] for event in await ws.events()] == ([action] if action else [])

    async def test_permissions_of_rows_are_asked(self, serve_streams):
        class LightOnly(BasePermission):
            def has_object_permission(self, request, view, obj):
                return obj.weight < 10

        binding = binding_of(Tag, "name", permission_classes=(LightOnly,))
        tag = await Tag.objects.acreate(name="t", weight=1)
        async with socket(demultiplexer=serve_streams(tags=binding)) as ws:
            assert (await ws.subscribe("tags", "update"))["tracked"] is True
            await subscribed(ws, "tags", "create", "delete")
            pk = tag.pk
            for weight, action in ((2, "update"), (20, "delete"), (30, None), (1, "create")):
                await Tag.objects.filter(pk=pk).aupdate(weight=weight)
                assert [event["action"] for event in await ws.events()] == ([action] if action else [])
            heavy = await Tag.objects.acreate(name="h", weight=100)
            await heavy.adelete()
            assert await ws.events() == []
            await tag.adelete()
            assert summary(await ws.events()) == [("delete", pk)]

    async def test_a_row_that_was_never_named_goes_out_of_sight_with_permissions_of_rows_as_without(
        self, serve_streams, bindings_settings
    ):
        class LightOnly(BasePermission):
            def has_object_permission(self, request, view, obj):
                return obj.weight < 10

        bindings_settings(MAX_TRACKED=2)
        binding = binding_of(Tag, "name", permission_classes=(LightOnly,))
        light, heavy = [await Tag.objects.acreate(name=str(weight), weight=weight) for weight in (1, 100)]
        async with socket(demultiplexer=serve_streams(tags=binding)) as ws:
            assert (await ws.subscribe("tags", "delete"))["tracked"] is True
            pk = light.pk
            await light.adelete()
            await heavy.adelete()
            assert summary(await ws.events()) == [("delete", pk)]

    async def test_compositions_of_permissions_that_ask_of_no_row_ask_of_no_row(self, serve_streams, stranger):
        permissions = (IsAuthenticated & (RestAllowAny | IsAuthenticated),)
        streams = serve_streams(tags=binding_of(Tag, "name", permission_classes=permissions))
        with_permissions = Interest(streams.mapping["tags"], "tags", NOBODY, "", False)
        assert not await run(lambda: Sight(with_permissions, stranger).judges_rows())

    async def test_documented_permissions_are_asked_for_each_event_of_a_single_row(self, serve_streams, stranger):
        allowed = set()

        class Listed(DocumentedPermission):
            def has_permission(self, user, action, pk):
                return pk is None or pk in allowed

        binding = binding_of(Tag, "name", permission_classes=(Listed,), lookup_field="name")
        await Tag.objects.acreate(name="a")
        tag = await Tag.objects.acreate(name="b")
        allowed.update("ab")
        async with socket(stranger, demultiplexer=serve_streams(tags=binding)) as ws:
            for name in "ab":
                await subscribed(ws, "tags", "update", "delete", pk=name)
            allowed.remove("a")
            assert (await ws.request("tags", "retrieve", pk="a"))["response_status"] == 403
            await Tag.objects.aupdate(weight=42)
            await tag.asave()
            assert summary(await ws.events()) == [("delete", "a"), ("update", "b"), ("update", "b")]

    async def test_rows_that_a_join_brings_twice_are_counted_once(self, serve_streams, bindings_settings):
        bindings_settings(MAX_TRACKED=3)

        class Binding(binding_of(Folder, "id")):
            def get_queryset(self):
                return Folder.objects.filter(tags__weight__gte=0)

        tags = [await Tag.objects.acreate(name=str(number)) for number in range(6)]
        folders = [await Folder.objects.acreate(name="f") for _ in range(3)]
        for folder in folders:
            await folder.tags.aset(tags)
        async with socket(demultiplexer=serve_streams(folders=Binding)) as ws:
            assert (await ws.subscribe("folders", "delete"))["tracked"] is True
            pk = folders[-1].pk
            await folders[-1].adelete()
            assert summary(await ws.events()) == [("delete", pk)]

    async def test_who_has_lost_the_permission_hears_nothing_more_of_rows(self, serve_streams, author):
        class Strict(DjangoModelPermissions):
            perms_map = {**DjangoModelPermissions.perms_map, "GET": ["%(app_label)s.view_%(model_name)s"]}

        streams = serve_streams(questions=binding_of(Question, "question_text", permission_classes=(Strict,)))
        question = await Question.objects.acreate(question_text="Why?")
        async with socket(author, demultiplexer=streams) as ws:
            await subscribed(ws, "questions")
            await question.asave()
            assert summary(await ws.events()) == [("update", question.pk)]
            await author.user_permissions.aclear()
            await question.asave()
            assert [event["data"] for event in await ws.events()] == [{}]  # out of sight
            await Question.objects.acreate(question_text="Secret?")
            assert await ws.events() == []

    async def test_a_deactivated_user_hears_nothing(self, question, author):
        async with socket(author) as ws:
            await subscribed(ws, "questions")
            author.is_active = False
            await author.asave()
            await question.asave()
            assert await ws.close_code() == CloseCode.NOT_AUTHENTICATED

    async def test_more_keys_than_may_be_remembered_are_not(self, question, bindings_settings):
        bindings_settings(MAX_TRACKED=1)
        first, second = [choice async for choice in question.choices.all()]
        async with socket() as ws:
            assert (await ws.subscribe("choices", "delete"))["tracked"] is False
            await subscribed(ws, "choices", "create", "update")
            await second.adelete()
            assert await ws.events() == []  # never named: perhaps it was never seen
            await first.asave()
            named = summary(await ws.events())
            assert named == [("update", first.pk)]
            pk = first.pk
            await first.adelete()
            assert summary(await ws.events()) == [("delete", pk)]

    async def test_who_was_promised_everything_is_closed_when_that_has_become_too_much(
        self, question, bindings_settings
    ):
        bindings_settings(MAX_TRACKED=2)
        async with socket() as ws, socket() as other:
            assert (await ws.subscribe("choices", "delete"))["tracked"] is True
            await other.subscribe("questions", "update")
            for number in range(2):  # it may grow to twice as many
                choice = await Choice.objects.acreate(question=question, choice_text=str(number))
            assert await ws.events() == []
            pk = choice.pk
            await choice.adelete()
            assert summary(await ws.events()) == [("delete", pk)]
            for number in range(2):
                await Choice.objects.acreate(question=question, choice_text=str(number))
            assert await ws.close_code() == CloseCode.TOO_SLOW
            assert (await other.request("questions", "list"))["response_status"] == 200
            async with socket() as again:
                assert (await again.subscribe("choices", "delete"))["tracked"] is False

    async def test_no_more_is_remembered_for_all_together_than_may_be(self, question, bindings_settings, author):
        bindings_settings(MAX_TRACKED_IN_ALL=3)
        async with socket() as first, socket(author) as second, socket(author) as third:
            assert (await first.subscribe("choices", "update"))["tracked"] is True
            assert (await second.subscribe("choices", "update"))["tracked"] is False
            assert (await third.subscribe("questions", "update"))["tracked"] is True
            await Choice.objects.filter(question=question).aupdate(votes=1)
            for ws in (first, second):
                assert [event["action"] for event in await ws.events()] == ["update", "update"]

    async def test_rows_of_a_sliced_queryset_are_those_of_the_slice(self, serve_streams):
        class Binding(binding_of(Tag, "name")):
            def get_queryset(self):
                return Tag.objects.order_by("-weight")[:1]

        a, b = await Tag.objects.acreate(name="a", weight=1), await Tag.objects.acreate(name="b", weight=2)
        async with socket(demultiplexer=serve_streams(tags=Binding)) as ws:
            await subscribed(ws, "tags")
            await Tag.objects.filter(pk=a.pk).aupdate(weight=3)
            assert [event["data"]["name"] for event in await ws.events()] == ["a"]
            await b.asave()
            assert [event["action"] for event in await ws.events()] == ["delete"]

    async def test_texts_are_in_the_language_of_the_caller(self, serve_streams):
        class Binding(binding_of(Tag, "name")):
            def get_serializer_class(self):
                class Serializer(serializers.Serializer):
                    def to_representation(self, instance):
                        return {"language": translation.get_language()}

                return Serializer

        streams = serve_streams(tags=Binding)
        async with (
            socket(demultiplexer=streams, headers={"accept-language": "de"}) as german,
            socket(demultiplexer=streams) as english,
        ):
            for ws in (german, english):
                await ws.subscribe("tags", "create")
            await Tag.objects.acreate(name="a")
            assert [(await ws.event())["data"]["language"] for ws in (german, english)] == ["de", "en"]


class TestSomeRows:
    """Commits of which nobody knows the rows."""

    async def test_new_rows_are_created_and_gone_ones_deleted(self, question):
        _, gone = [choice async for choice in question.choices.all()]
        async with socket() as ws:
            await subscribed(ws, "choices")

            def write():
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("DELETE FROM polls_choice WHERE id = %s", [gone.pk])
                    cursor.execute(
                        "INSERT INTO polls_choice (question_id, choice_text, votes) VALUES (%s, 'new', 0)",
                        [question.pk],
                    )
                    for kind in ("created", "deleted"):
                        record_change(Choice, kind)

            await run(write)
            new = await Choice.objects.alatest("pk")
            assert sorted(summary(await ws.events())) == [("create", new.pk), ("delete", gone.pk)]

    async def test_rows_that_may_have_changed_are_told_until_it_is_known_how_they_look(self, question):
        first, second = [choice async for choice in question.choices.all()]
        async with socket() as ws:
            await subscribed(ws, "choices")
            await run(record_change, Choice, "updated")
            assert sorted(summary(await ws.events())) == [("update", first.pk), ("update", second.pk)]

            def write():
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("UPDATE polls_choice SET votes = 7 WHERE id = %s", [second.pk])
                    record_change(Choice, "updated")

            await run(write)
            assert [(event["pk"], event["data"]["votes"]) for event in await ws.events()] == [(second.pk, 7)]

    async def test_a_process_that_has_missed_some_commits_makes_up_for_it(self, question):
        """The reader of the log then says that anything may have changed."""
        from core.changes.log import everything

        kept, gone = [choice async for choice in question.choices.all()]
        async with socket() as ws, socket() as single:
            await subscribed(ws, "choices")
            await subscribed(single, "choices", "delete", pk=gone.pk)

            def write():
                with connection.cursor() as cursor:
                    cursor.execute("DELETE FROM polls_choice WHERE id = %s", [gone.pk])
                changes_heard.tell(everything("default"))

            await run(write)
            assert sorted(summary(await ws.events())) == [("delete", gone.pk), ("update", kept.pk)]
            assert summary(await single.events()) == [("delete", gone.pk)]


class Listener:
    """A socket that is nothing but a list."""

    closing = False
    credential = None

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.texts = []

    def offer(self, text):
        self.texts.append(text)


class TestCost:
    @pytest.fixture
    def queries(self, monkeypatch):
        """The statements that each audience has cost for each commit."""
        tell, counted = module.Lane._tell, []

        def counting(*args):
            with CaptureQueriesContext(connection) as captured:
                tell(*args)
            counted.append([query["sql"] for query in captured])

        monkeypatch.setattr(module.Lane, "_tell", counting)
        return counted

    async def test_500_sockets_of_one_kind_of_caller_cost_one_look_and_one_rendering(
        self, question, queries, monkeypatch
    ):
        from core.bindings.audience import Subscription
        from core.bindings.sight import Interest
        from core.callers import Caller
        from polls.bindings import QuestionBinding
        from polls.serializers import QuestionSerializer

        rendered = []
        render = QuestionSerializer.to_representation
        monkeypatch.setattr(
            QuestionSerializer, "to_representation", lambda self, row: (rendered.append(row), render(self, row))[1]
        )
        interest = Interest(QuestionBinding, "questions", Caller(None, "testserver", "http", "en-us"), "", True)
        listeners = [Listener() for _ in range(500)]
        for listener in listeners:
            joined = dispatcher.join(listener, interest, Subscription("update", question.pk), str)
            await asyncio.wrap_future(joined)
        await question.asave()
        async with socket():  # its end waits until all has been told
            await asyncio.to_thread(dispatcher.wait_until_idle, 60)
        assert {len(listener.texts) for listener in listeners} == {2}  # the confirmation and the event
        assert len({id(listener.texts[1]) for listener in listeners}) == 1
        assert len(rendered) == 1
        assert [len(each) for each in queries] == [2]  # the row and its choices
        for listener in listeners:
            dispatcher.leave_all(listener, [interest])
        await asyncio.to_thread(dispatcher.wait_until_idle, 60)
        assert len(dispatcher) == 0

    async def test_a_known_caller_costs_two_queries_more(self, question, author, queries):
        async with socket(author) as ws:
            await subscribed(ws, "questions")
            await question.asave()
            await ws.events()
            assert [len(each) for each in queries] == [4]  # the user and the session; five are the most there may be

    @pytest.mark.parametrize("count", [2, 12])
    async def test_any_number_of_known_callers_cost_three_queries_more(self, question, queries, count, monkeypatch):
        monkeypatch.setattr(module, "FRESH", 60)  # however long it takes to tell all of them

        def header(number):
            user = User.objects.create_user(f"user {number}")
            return user, {"authorization": f"Token {Token.objects.create(user=user).key}"}

        async with AsyncExitStack() as stack:
            for number in range(count):
                user, token = await sync_to_async(header)(number)
                ways = socket(user) if number % 2 else socket(headers=token)
                await (await stack.enter_async_context(ways)).subscribe("questions", "update", pk=question.pk)
            await question.asave()
            async with socket() as ws:
                await ws.events()
            assert len(queries) == count
            # The users, the sessions and the tokens; and for each caller the row and its choices.
            assert sum(len(each) for each in queries) == 3 + count * 2

    async def test_who_does_not_hear_of_a_row_is_not_looked_up_for_it(self, question, author, stranger, monkeypatch):
        other = await Question.objects.acreate(question_text="Another?")
        asked, rights_of = [], module.rights_of
        monkeypatch.setattr(module, "rights_of", lambda those: (asked.append(those), rights_of(those))[1])
        async with socket(author) as ws, socket(stranger) as elsewhere:
            await ws.subscribe("questions", "update", pk=question.pk)
            await elsewhere.subscribe("questions", "update", pk=other.pk)
            await question.asave()
            assert summary(await ws.events()) == [("update", question.pk)]
        assert [{each.user_pk for each in those} for those in asked] == [{str(author.pk)}]

    async def test_who_only_hears_of_deletions_costs_no_rendering(self, question, queries, monkeypatch):
        from polls.serializers import QuestionSerializer

        monkeypatch.setattr(QuestionSerializer, "to_representation", None)
        async with socket() as ws:
            await subscribed(ws, "questions", "delete")
            await question.asave()
            assert await ws.events() == []
            await question.adelete()
            assert [event["action"] for event in await ws.events()] == ["delete"]

    async def test_no_connection_is_held_by_an_idle_socket(self, question, author, monkeypatch):
        from core.bindings.demultiplexer import workers
        from core.bindings.telling import desk
        from core.bindings.workers import Workers

        taken, hold = set(), Workers._hold

        def noted(self, holding):
            hold(self, holding)
            if holding:
                taken.add(self)

        monkeypatch.setattr(Workers, "_hold", noted)
        async with socket(author) as ws:
            await subscribed(ws, "questions")
            await ws.request("questions", "list")
            held = (workers, dispatcher.threads, desk.threads)
            assert taken.intersection(held)
            async with asyncio.timeout(60):
                while sum(threads._holding for threads in held):
                    await asyncio.sleep(0.05)


class TestFaults:
    async def test_a_socket_that_cannot_be_offered_to_does_not_silence_the_others(self, question, monkeypatch):
        offer, refusing = SocketConsumer.offer, []

        def failing(self, text):
            if self in refusing and '"update"' in text:
                raise RuntimeError("as asked")
            offer(self, text)

        monkeypatch.setattr(SocketConsumer, "offer", failing)
        async with socket() as first, socket() as second:
            for ws in (first, second):
                await ws.subscribe("questions", "update", pk=question.pk)
            (lane,) = dispatcher._lanes.values()
            refusing.append(next(iter(lane.audience.sockets())))
            for _ in range(2):
                await question.asave()
            assert sorted([len(await first.events()), len(await second.events())]) == [0, 2]

    async def test_a_channel_layer_that_is_down_hurts_neither_writes_nor_events(self, question, settings):
        settings.CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "channels_redis.core.RedisChannelLayer",
                "CONFIG": {"hosts": [{"address": "redis://127.0.0.1:1/0", "socket_connect_timeout": 0.1}]},
            }
        }
        async with socket() as ws:
            await subscribed(ws, "questions")
            await question.asave()
            assert summary(await ws.events()) == [("update", question.pk)]

    async def test_a_socket_is_in_no_group_that_could_expire(self, question, settings):
        settings.CHANNEL_LAYERS = {
            "default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"group_expiry": 0}}
        }
        async with socket() as ws:
            await subscribed(ws, "questions")
            await question.asave()
            assert summary(await ws.events()) == [("update", question.pk)]

    async def test_a_client_that_is_sent_too_much_is_dropped_and_can_come_back(self, question, settings):
        settings.CORE = {**settings.CORE, "SOCKETS": {"MAX_OUTGOING": 2000}}
        async with socket() as ws, socket() as other:
            await subscribed(ws, "questions")
            await subscribed(other, "questions", "delete")
            for _ in range(20):
                await question.asave()
            assert await ws.close_code() == CloseCode.TOO_SLOW
            await other.events()
            await question.asave()
            async with socket() as again:
                await subscribed(again, "questions")
                await question.asave()
                assert summary(await again.events()) == [("update", question.pk)]
            assert await other.events() == []

    async def test_whatever_is_raised_for_one_stream_the_process_goes_on_telling(self, serve_streams):
        raised = []

        class Binding(binding_of(Tag, "name")):
            def get_serializer_context(self):
                if self.action == "subscribe" and not raised:
                    raised.append(1)
                    raise asyncio.CancelledError
                return super().get_serializer_context()

        async with socket(demultiplexer=serve_streams(tags=Binding)) as ws:
            await ws.subscribe("tags", "create")
            await Tag.objects.acreate(name="a")
            assert (await ws.event())["data"] == {"name": "a"}
            await Tag.objects.acreate(name="b")
            assert (await ws.event())["data"] == {"name": "b"}

    async def test_one_row_that_cannot_be_shown_does_not_silence_other_streams(self, serve_streams, caplog):
        class Binding(binding_of(Tag, "name")):
            def get_serializer_context(self):
                if self.action == "subscribe":
                    raise RuntimeError("as asked")
                return super().get_serializer_context()

        streams = serve_streams(broken=Binding, tags=binding_of(Tag, "name"))
        async with socket(demultiplexer=streams) as ws:
            await subscribed(ws, "broken")
            await subscribed(ws, "tags")
            await Tag.objects.acreate(name="a")
            assert [event["data"] for event in await ws.events("tags")] == [{"name": "a"}]
        assert "Subscribers of broken cannot be told; trying again." in caplog.text
