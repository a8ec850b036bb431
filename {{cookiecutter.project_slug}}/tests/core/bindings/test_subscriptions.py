"""Subscribing and unsubscribing: who may, in which words, and when it takes effect."""

import pytest
from asgiref.sync import sync_to_async
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.permissions import IsAuthenticated
from rest_framework.viewsets import GenericViewSet

from core.bindings import AllowAny, BasePermission, ResourceBinding
from core.bindings.dispatcher import dispatcher
from core.callers import Caller, CallerGoneError
from core.changes import reader
from core.sockets import CloseCode
from core.testing import socket
from polls.models import Choice, Question
from tests.testapp.models import Tag

pytestmark = pytest.mark.django_db(transaction=True)


class TagSerializer(serializers.ModelSerializer):
    class Meta:
        model = Tag
        fields = ("id", "name")


class TagBinding(ResourceBinding):
    queryset = Tag.objects.all()
    serializer_class = TagSerializer
    permission_classes = (AllowAny,)


def summary(events):
    return [(event["action"], event["pk"]) for event in events]


async def refused(ws, stream, data, **payload):
    reply = await ws.request(stream, "subscribe", data, **payload)
    return reply["response_status"], reply["errors"][0] if reply["errors"] else None


async def test_the_confirmation_says_what_was_subscribed_to(question):
    async with socket() as ws:
        reply = await ws.request("questions", "subscribe", {"action": "update"})
        assert (reply["action"], reply["response_status"]) == ("subscribe", 200)
        assert reply["data"] == {"action": "update", "tracked": True}
        assert await ws.subscribe("questions", "delete", pk=question.pk) == {
            "action": "delete",
            "pk": question.pk,
            "tracked": True,
        }
        filtered = await ws.subscribe("questions", "create", filter={"published": True})
        assert filtered == {"action": "create", "filter": {"published": True}, "tracked": True}


async def test_the_key_may_stand_beside_the_data(question):
    other = await Question.objects.acreate(question_text="Other?")
    async with socket() as ws:
        reply = await ws.request("questions", "subscribe", {"action": "update"}, pk=str(question.pk))
        assert reply["data"]["pk"] == str(question.pk)
        await question.asave()
        await other.asave()
        assert summary(await ws.events()) == [("update", question.pk)]


async def test_subscribing_twice_is_subscribing_once(question):
    async with socket() as ws:
        for _ in range(2):
            await ws.subscribe("questions", "update")
        await question.asave()
        assert summary(await ws.events()) == [("update", question.pk)]
        await ws.request("questions", "unsubscribe", {"action": "update"})
        await question.asave()
        assert await ws.events() == []


async def test_unsubscribing_ends_what_it_names_and_nothing_else(question):
    async with socket() as ws:
        await ws.subscribe("questions", "update")
        await ws.subscribe("questions", "update", pk=question.pk)
        await ws.subscribe("questions", "create")
        reply = await ws.request("questions", "unsubscribe", {"action": "update", "pk": question.pk})
        assert (reply["response_status"], reply["data"]) == (200, {"action": "update", "pk": question.pk})
        await question.asave()
        assert summary(await ws.events()) == [("update", question.pk)]
        await ws.request("questions", "unsubscribe", {"action": "update"})
        await question.asave()
        await Question.objects.acreate(question_text="New?")
        assert [event["action"] for event in await ws.events()] == ["create"]


async def test_unsubscribing_from_what_was_never_subscribed_to_does_no_harm():
    async with socket() as ws:
        assert (await ws.request("questions", "unsubscribe", {"action": "update"}))["response_status"] == 200


async def test_who_was_told_twice_over_is_told_once_per_subscription(question):
    """To all and to this one are two subscriptions, with an event each."""
    async with socket() as ws:
        await ws.subscribe("questions", "update")
        await ws.subscribe("questions", "update", pk=question.pk)
        await question.asave()
        assert summary(await ws.events()) == [("update", question.pk)] * 2


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, 'Say what to hear of: "data": {"action": …}, with one of create, update, delete.'),
        ("update", 'Say what to hear of: "data": {"action": …}, with one of create, update, delete.'),
        ({"action": "vote"}, 'Say what to hear of: "data": {"action": …}, with one of create, update, delete.'),
        ({"action": "update", "colour": 1}, '"colour" means nothing in a subscription. It has action, pk, filter.'),
        ({"action": "update", "pk": [True]}, '"pk" is neither a text nor a whole number.'),
        ({"action": "create", "pk": 1}, "A row that is there is not created again: leave the pk out."),
        ({"action": "update", "pk": 1, "filter": {"a": 1}}, 'A subscription to one row has no "filter".'),
        ({"action": "update", "filter": [1]}, 'Send the parameters as an object such as {"page": 2}.'),
        ({"action": "update", "filter": {"observe": "x"}}, '"observe" is for live queries over HTTP. Here, subscribe.'),
    ],
)
async def test_what_makes_no_sense_is_refused_in_words(data, sentence):
    async with socket() as ws:
        assert await refused(ws, "questions", data) == (400, sentence)
    assert len(dispatcher) == 0


@pytest.mark.parametrize(
    ("filter_", "sentence"),
    [
        ({"publishd": True}, "There is no filter of this name. Filters: published, question_text, "),
        ({"ordering": "id"}, "There is no filter of this name."),
        ({"published": "perhaps"}, "This value filters nothing. Leave the filter out, or give it a value."),
        ({"question_text": ""}, "This value filters nothing. Leave the filter out, or give it a value."),
    ],
)
async def test_a_filter_that_filters_nothing_is_refused_by_name(filter_, sentence):
    """A misspelt filter would be a subscription to everything."""
    async with socket() as ws:
        status, error = await refused(ws, "questions", {"action": "update", "filter": filter_})
        assert status == 400
        assert error[next(iter(filter_))][0].startswith(sentence)


async def test_a_filter_by_what_the_caller_may_not_see_is_refused(hidden_question, stranger):
    async with socket(stranger) as ws:
        status, error = await refused(ws, "choices", {"action": "update", "filter": {"question": hidden_question.pk}})
        assert (status, list(error)) == (400, ["question"])


async def test_who_may_not_see_a_row_may_not_subscribe_to_it(hidden_question, stranger):
    async with socket(stranger) as ws:
        for pk in (hidden_question.pk, 0, "x", 10**30):
            assert await refused(ws, "questions", {"action": "update", "pk": pk}) == (404, "Not found.")
        await hidden_question.asave()
        assert await ws.events() == []
    assert len(dispatcher) == 0


async def test_who_may_not_look_may_not_subscribe(serve_streams):
    class Documented(BasePermission):
        def has_permission(self, user, action, pk):
            return action != "subscribe" or pk in allowed

    allowed = set()

    class Members(TagBinding):
        permission_classes = (IsAuthenticated,)

    class OneByOne(TagBinding):
        permission_classes = (Documented,)

    tag = await Tag.objects.acreate(name="a")
    allowed.add(str(tag.pk))
    async with socket(demultiplexer=serve_streams(members=Members, singles=OneByOne)) as ws:
        assert (await refused(ws, "members", {"action": "update"}))[0] == 401
        assert (await refused(ws, "members", {"action": "update", "pk": tag.pk}))[0] == 401
        assert (await refused(ws, "singles", {"action": "update"}))[0] == 401
        assert (await refused(ws, "singles", {"action": "update", "pk": tag.pk}))[0] == 200
        await tag.asave()
        assert summary(await ws.events()) == [("update", tag.pk)]  # an event is asked for as the subscription was
        allowed.clear()
        await tag.asave()
        assert await ws.events() == []


async def test_only_what_can_be_looked_at_can_be_subscribed_to(serve_streams):
    def binding_of(*mixins):
        viewset = type(
            "Viewset",
            (*mixins, GenericViewSet),
            {"queryset": Tag.objects.all(), "serializer_class": TagSerializer},
        )
        return type("Binding", (ResourceBinding,), {"viewset_class": viewset})

    class Nothing(ResourceBinding):
        @action(detail=False)
        def nothing(self, request):
            """Here to be no binding's action."""

    tag = await Tag.objects.acreate(name="a")
    streams = serve_streams(lists=binding_of(ListModelMixin), details=binding_of(RetrieveModelMixin), none=Nothing)
    async with socket(demultiplexer=streams) as ws:
        assert (await refused(ws, "lists", {"action": "update"}))[0] == 200
        assert (await refused(ws, "lists", {"action": "update", "pk": tag.pk})) == (
            405,
            "Nobody can look at single rows here, so nobody can subscribe to them.",
        )
        assert (await refused(ws, "details", {"action": "update", "pk": tag.pk}))[0] == 200
        assert (await refused(ws, "details", {"action": "update"}))[0] == 405
        assert (await refused(ws, "none", {"action": "update"}))[0] == 405


async def test_a_socket_has_a_number_of_subscriptions_at_most(bindings_settings):
    bindings_settings(MAX_SUBSCRIPTIONS=2)
    async with socket() as ws:
        await ws.subscribe("questions", "update")
        await ws.subscribe("questions", "update")
        await ws.subscribe("questions", "delete")
        assert (await refused(ws, "questions", {"action": "create"}))[0] == 429
        await ws.request("questions", "unsubscribe", {"action": "update"})
        await ws.subscribe("questions", "create")


async def test_a_socket_that_is_closed_leaves_nothing_behind(question):
    async with socket() as ws:
        await ws.subscribe("questions", "update")
        await ws.subscribe("choices", "update", filter={"question": question.pk})
        await ws.subscribe("questions", "delete", pk=question.pk)
        assert len(dispatcher) == 3
    assert len(dispatcher) == 0
    assert not dispatcher._by_label


async def test_two_spellings_of_a_key_are_two_subscriptions_to_one_row(question):
    async with socket() as ws:
        await ws.subscribe("questions", "update", pk=question.pk)
        await ws.subscribe("questions", "update", pk=f"0{question.pk}")
        await ws.request("questions", "unsubscribe", {"action": "update", "pk": f"0{question.pk}"})
        await question.asave()
        assert summary(await ws.events()) == [("update", question.pk)]
        await ws.request("questions", "unsubscribe", {"action": "update", "pk": question.pk})
        await question.asave()
        assert await ws.events() == []
    assert len(dispatcher) == 0


async def test_a_subscription_that_fails_to_be_made_again_is_not_forgotten(question, monkeypatch):
    async def failing():
        raise RuntimeError("as asked")

    async with socket() as ws:
        await ws.subscribe("questions", "update")
        with monkeypatch.context() as patched:
            patched.setattr(reader, "begun", failing)
            for action in ("update", "delete"):
                reply = await ws.request("questions", "subscribe", {"action": action})
                assert reply["response_status"] == 500
        await question.asave()
        assert summary(await ws.events()) == [("update", question.pk)]
    assert len(dispatcher) == 0


async def test_who_is_gone_when_the_subscription_is_made_is_closed(author, monkeypatch):
    def gone(self):
        raise CallerGoneError

    async with socket(author) as ws:
        monkeypatch.setattr(Caller, "user", gone)
        data = {"action": "update"}
        await ws.communicator.send_json_to({"stream": "questions", "payload": {"action": "subscribe", "data": data}})
        assert await ws.close_code() == CloseCode.NOT_AUTHENTICATED


class TestLateSubscribers:
    """What is in sight may have changed without a commit that says so. Who subscribes loads what is in sight now."""

    async def test_a_row_that_had_come_into_sight_unnoticed_is_updated_to_who_has_loaded_it(self, question):
        question.published = False
        await question.asave()
        choice = await question.choices.order_by("pk").afirst()
        async with socket() as early, socket() as late:
            await early.subscribe("choices", "create")
            question.published = True
            await question.asave()
            assert await early.events() == []
            await late.subscribe("choices", "update")
            assert choice.pk in [row["id"] for row in (await late.request("choices", "list"))["data"]]
            await Choice.objects.filter(pk=choice.pk).aupdate(votes=3)
            assert summary(await late.events()) == [("update", choice.pk)]
            assert {pk for action, pk in summary(await early.events())} == {
                row.pk async for row in question.choices.all()
            }  # who was there is told with them

    @pytest.mark.parametrize("tracked", [True, False])
    async def test_who_could_never_see_a_row_is_not_told_that_it_has_gone(self, question, bindings_settings, tracked):
        if not tracked:
            bindings_settings(MAX_TRACKED=1)
        choice = await question.choices.afirst()
        async with socket() as early, socket() as late:
            assert (await early.subscribe("choices", "delete"))["tracked"] is tracked
            await choice.asave()  # named to who is there
            await early.events()
            question.published = False
            await question.asave()
            await late.subscribe("choices", "delete")
            assert (await late.request("choices", "list"))["data"] == []
            assert ("delete", choice.pk) in summary(await early.events())
            await choice.asave()
            assert await late.events() == []

    async def test_a_single_row_that_has_gone_and_come_unnoticed_is_the_same_to_all(self, question):
        choice = await question.choices.afirst()
        async with socket() as early, socket() as late:
            await early.subscribe("choices", "delete", pk=choice.pk)
            await early.subscribe("choices", "update", pk=choice.pk)
            for published, action in ((False, "delete"), (True, "update")):
                question.published = published
                await question.asave()
                await choice.asave()
                assert summary(await early.events()) == [(action, choice.pk)]
            await late.subscribe("choices", "update", pk=choice.pk)
            assert await early.events() == []
            await choice.asave()
            for ws in (early, late):
                assert summary(await ws.events()) == [("update", choice.pk)]


async def test_what_is_committed_after_the_confirmation_is_told(question):
    """Subscribe, wait for the confirmation, load: nothing falls in between."""
    async with socket() as ws:
        for number in range(20):
            await ws.subscribe("choices", "create", filter={"votes__gte": number + 1})
            await sync_to_async(Choice.objects.create)(question=question, choice_text="x", votes=number + 1)
            assert "create" in {event["action"] for event in await ws.events("choices")}


async def test_nobody_subscribed_no_work(question, monkeypatch):
    monkeypatch.setattr(dispatcher, "_put_commit", None)  # would fail
    async with socket() as ws:
        await question.asave()
        assert await ws.events() == []
        await ws.subscribe("choices", "update")
        await question.asave()
        assert await ws.events() == []
