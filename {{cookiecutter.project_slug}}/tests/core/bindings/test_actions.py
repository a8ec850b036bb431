"""The actions of REST on the socket: what they answer, and that they are held to the rules of the viewset."""

import pytest
from django.contrib.auth.models import User
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import RetrieveModelMixin
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.response import Response
from rest_framework.throttling import AnonRateThrottle
from rest_framework.viewsets import GenericViewSet, ModelViewSet, ReadOnlyModelViewSet

from core.bindings import ReadOnlyResourceBinding, ResourceBinding
from core.bindings.asking import Call, Origin
from core.bindings.calls import perform
from core.bindings.messages import Request
from core.callers import Caller
from core.testing import socket
from polls.bindings import QuestionBinding
from polls.models import Question
from polls.viewsets import QuestionViewSet
from tests.testapp.models import Cafe, Note, Seat, Tag, Ticket

pytestmark = pytest.mark.django_db(transaction=True)


class TagSerializer(serializers.ModelSerializer):
    class Meta:
        model = Tag
        fields = ("id", "name", "weight")


class TagViewSet(ModelViewSet):
    queryset = Tag.objects.all()
    serializer_class = TagSerializer
    permission_classes = (AllowAny,)


class TagBinding(ResourceBinding):
    """As the original document has it: a model, a queryset and a serializer."""

    model = Tag
    queryset = Tag.objects.all()
    serializer_class = TagSerializer
    permission_classes = (AllowAny,)


async def statuses(ws, stream, *requests):
    return [(await ws.request(stream, *request[:2], **request[2]))["response_status"] for request in requests]


class TestExample:
    async def test_a_row_is_created_retrieved_listed_changed_and_deleted(self, author, channel_layer):
        async with socket(author) as ws:
            created = await ws.request("questions", "create", {"question_text": "Why?"})
            assert created["response_status"] == 201
            assert created["errors"] == []
            row = created["data"]
            assert (row["question_text"], row["owner"]) == ("Why?", author.pk)
            pk = row["id"]
            assert (await ws.request("questions", "retrieve", pk=pk))["data"] == row
            assert (await ws.request("questions", "retrieve", pk=str(pk)))["data"] == row
            assert (await ws.request("questions", "list"))["data"] == [row]
            changed = {"question_text": "Why not?", "published": False}
            assert (await ws.request("questions", "update", changed, pk=pk))["data"] == {**row, **changed}
            patched = await ws.request("questions", "patch", {"published": True}, pk=pk)
            assert (patched["response_status"], patched["data"]["question_text"]) == (200, "Why not?")
            deleted = await ws.request("questions", "delete", pk=pk)
            assert (deleted["response_status"], deleted["data"]) == (200, {})
            assert (await ws.request("questions", "retrieve", pk=pk))["errors"] == ["Not found."]
        assert not await Question.objects.aexists()

    async def test_validation_errors_are_one_object(self, author):
        async with socket(author) as ws:
            reply = await ws.request("questions", "create", {"question_text": "", "published": "perhaps"})
            assert reply["response_status"] == 400
            assert reply["data"] == {}
            assert reply["errors"] == [
                {"question_text": ["This field may not be blank."], "published": ["Must be a valid boolean."]}
            ]
            assert (await ws.request("questions", "create", "text"))["response_status"] == 400

    async def test_a_caller_without_permission_is_refused(self, question, stranger):
        writes = [
            ("create", {"question_text": "x"}, {}),
            ("patch", {}, {"pk": question.pk}),
            ("delete", None, {"pk": 1}),
        ]
        async with socket() as anonymous, socket(stranger) as known:
            assert await statuses(anonymous, "questions", *writes) == [401, 401, 401]
            assert await statuses(known, "questions", *writes) == [403, 403, 403]
            reply = await anonymous.request("questions", "create", {"question_text": "x"})
            assert reply["errors"] == ["Authentication credentials were not provided."]

    async def test_a_row_that_the_caller_may_not_see_is_not_there(self, hidden_question, stranger, author):
        async with socket(stranger) as ws:
            assert (await ws.request("questions", "list"))["data"] == []
            assert (await ws.request("questions", "retrieve", pk=hidden_question.pk))["response_status"] == 404
            assert (await ws.request("choices", "list"))["data"] == []
        async with socket(author) as ws:
            assert (await ws.request("questions", "retrieve", pk=hidden_question.pk))["response_status"] == 200

    async def test_an_extra_action_of_the_viewset_comes_with_its_own_permissions(self, question):
        choice = await question.choices.afirst()
        async with socket() as ws:
            reply = await ws.request("choices", "vote", pk=choice.pk)
            assert (reply["response_status"], reply["data"]["votes"]) == (200, 1)

    async def test_a_list_is_filtered_and_ordered_as_in_rest(self, question, author):
        await Question.objects.acreate(question_text="Beer or wine?", owner=author, published=False)

        async def texts(data):
            return [each["question_text"] for each in (await ws.request("questions", "list", data))["data"]]

        async with socket(author) as ws:
            assert await texts({"ordering": "question_text"}) == ["Beer or wine?", "Tea or coffee?"]
            assert await texts({"published": False}) == ["Beer or wine?"]
            assert await texts({"question_text__icontains": "TEA"}) == ["Tea or coffee?"]
            reply = await ws.request("choices", "list", {"question": 0})
            assert reply["response_status"] == 400
            assert list(reply["errors"][0]) == ["question"]
            assert len(await texts({"publishd": False})) == 2
            assert len(await texts({"published": "perhaps"})) == 2

    async def test_pages_are_numbered_and_bounded_as_in_rest(self, author):
        await Question.objects.abulk_create(Question(question_text=str(number)) for number in range(230))

        async def numbers(**data):
            return [int(each["question_text"]) for each in (await ws.request("questions", "list", data))["data"]]

        async with socket(author) as ws:
            assert await numbers() == list(range(25))
            assert await numbers(page=2) == list(range(25, 50))
            assert await numbers(page=2, limit=100) == list(range(100, 200))
            assert len(await numbers(limit=10_000)) == 200
            assert await numbers(limit=2, offset=3) == [3, 4]
            for page in (99, 0, "x", -1):
                assert (await ws.request("questions", "list", {"page": page}))["response_status"] == 404

    @pytest.mark.parametrize(
        ("action", "payload", "sentence"),
        [
            ("retrieve", {}, '"pk" is missing in the payload: it names the row.'),
            ("retrieve", {"pk": True}, '"pk" is neither a text nor a whole number.'),
            ("retrieve", {"pk": {"id": 1}}, '"pk" is neither a text nor a whole number.'),
            ("retrieve", {"pk": 1.5}, '"pk" is neither a text nor a whole number.'),
            ("list", {"data": ["page", 1]}, 'Send the parameters as an object such as {"page": 2}.'),
            ("list", {"data": {"page": None}}, '"page" is neither a text, a number, true or false'),
            ("list", {"data": {"observe": "abc"}}, '"observe" is for live queries over HTTP.'),
        ],
    )
    async def test_bad_input_is_named(self, question, action, payload, sentence):
        async with socket() as ws:
            reply = await ws.request("questions", action, **payload)
            assert reply["response_status"] == 400
            assert reply["errors"][0].startswith(sentence)

    @pytest.mark.parametrize("pk", ["x", "", "1/2", 10**30, -1, "\x00", "1 or 1=1", [1]])
    async def test_a_key_that_is_none_finds_nothing(self, question, pk):
        async with socket() as ws:
            assert (await ws.request("questions", "retrieve", pk=pk))["response_status"] == 404


class TestViewsets:
    async def test_what_the_viewset_does_not_have_the_stream_does_not_have(self, serve_streams, question):
        class ReadOnlyQuestions(ReadOnlyModelViewSet):
            queryset = Question.objects.all()
            serializer_class = QuestionViewSet.serializer_class
            permission_classes = (AllowAny,)

        class PatchOnly(TagViewSet):
            http_method_names = ("get", "patch")

        class Binding(ResourceBinding):
            viewset_class = ReadOnlyQuestions

        class PatchBinding(ResourceBinding):
            viewset_class = PatchOnly

        async with socket(demultiplexer=serve_streams(questions=Binding, tags=PatchBinding)) as ws:
            reply = await ws.request("questions", "delete", pk=question.pk)
            assert reply["response_status"] == 405
            assert "Actions: list, retrieve, subscribe, unsubscribe." in reply["errors"][0]
            for name in ("create", "update", "delete"):
                assert (await ws.request("tags", name, {"name": "x"}, pk=1))["response_status"] == 405
            assert (await ws.request("tags", "patch", {"name": "x"}, pk=1))["response_status"] == 404
        assert await Question.objects.aexists()

    async def test_a_read_only_binding_writes_nothing(self, serve_streams):
        class Viewset(TagViewSet):
            @action(detail=False, methods=["post"])
            def clear(self, request):
                Tag.objects.all().delete()
                return Response()

            @action(detail=False)
            def count(self, request):
                return Response({"count": Tag.objects.count()})

        class Binding(ReadOnlyResourceBinding):
            viewset_class = Viewset

        await Tag.objects.acreate(name="a")
        async with socket(demultiplexer=serve_streams(tags=Binding)) as ws:
            for name in ("create", "update", "patch", "delete", "clear"):
                assert (await ws.request("tags", name, {"name": "x"}, pk=1))["response_status"] == 405
            assert (await ws.request("tags", "count"))["data"] == {"count": 1}
            assert len((await ws.request("tags", "list"))["data"]) == 1

    async def test_permissions_of_rows_are_asked(self, serve_streams):
        class LightOnly(BasePermission):
            message = "Too heavy."

            def has_object_permission(self, request, view, obj):
                return obj.weight < 10

        class Viewset(TagViewSet):
            permission_classes = (IsAuthenticated | AllowAny, LightOnly)

        class Binding(ResourceBinding):
            viewset_class = Viewset

        light = await Tag.objects.acreate(name="light", weight=1)
        heavy = await Tag.objects.acreate(name="heavy", weight=100)
        user = await User.objects.acreate(username="somebody")
        async with socket(user, demultiplexer=serve_streams(tags=Binding)) as ws:
            for name in ("retrieve", "update", "patch", "delete"):
                reply = await ws.request("tags", name, {"name": "x"}, pk=heavy.pk)
                assert (reply["response_status"], reply["errors"]) == (403, ["Too heavy."])
            assert (await ws.request("tags", "delete", pk=light.pk))["response_status"] == 200
        assert [tag.name async for tag in Tag.objects.all()] == ["heavy"]

    async def test_requests_count_for_the_throttles_of_the_viewset(self, serve_streams):
        class Twice(AnonRateThrottle):
            rate = "2/min"

        class Viewset(TagViewSet):
            throttle_classes = (Twice,)

        class Binding(ResourceBinding):
            viewset_class = Viewset

        async with socket(demultiplexer=serve_streams(tags=Binding)) as ws:
            assert await statuses(ws, "tags", *[("list", None, {})] * 3) == [200, 200, 429]
            reply = await ws.request("tags", "create", {"name": "x"})
            assert reply["response_status"] == 429
            assert "Request was throttled." in reply["errors"][0]

    async def test_what_a_viewset_does_in_its_own_way_is_done(self, serve_streams):
        class Viewset(TagViewSet):
            def perform_create(self, serializer):
                serializer.save(weight=7)

            def destroy(self, request, *args, **kwargs):
                return Response({"detail": "Tags are for ever."}, status=409)

        class Binding(ResourceBinding):
            viewset_class = Viewset

        async with socket(demultiplexer=serve_streams(tags=Binding)) as ws:
            made = await ws.request("tags", "create", {"name": "x"})
            assert made["data"]["weight"] == 7
            reply = await ws.request("tags", "delete", pk=made["data"]["id"])
            assert (reply["response_status"], reply["errors"]) == (409, ["Tags are for ever."])
        assert await Tag.objects.aexists()

    async def test_a_write_that_fails_half_way_writes_nothing(self, serve_streams, caplog):
        class Viewset(TagViewSet):
            def perform_create(self, serializer):
                serializer.save()
                raise RuntimeError("as asked")

        class Binding(ResourceBinding):
            viewset_class = Viewset

        async with socket(demultiplexer=serve_streams(tags=Binding)) as ws:
            assert (await ws.request("tags", "create", {"name": "x"}))["response_status"] == 500
        assert not await Tag.objects.aexists()

    async def test_a_viewset_that_only_retrieves_has_no_list(self, serve_streams):
        class Viewset(RetrieveModelMixin, GenericViewSet):
            queryset = Tag.objects.all()
            serializer_class = TagSerializer
            permission_classes = (AllowAny,)

        class Binding(ResourceBinding):
            viewset_class = Viewset

        tag = await Tag.objects.acreate(name="a")
        async with socket(demultiplexer=serve_streams(tags=Binding)) as ws:
            assert await statuses(ws, "tags", ("list", None, {}), ("retrieve", None, {"pk": tag.pk})) == [405, 200]

    async def test_permissions_of_the_binding_are_asked_as_well(self, serve_streams):
        class Binding(ResourceBinding):
            viewset_class = TagViewSet
            permission_classes = (IsAuthenticated,)

        async with socket(demultiplexer=serve_streams(tags=Binding)) as ws:
            assert (await ws.request("tags", "list"))["response_status"] == 401


class TestPlainBindings:
    async def test_a_binding_of_a_model_and_a_serializer_does_it_all(self, serve_streams):
        async with socket(demultiplexer=serve_streams(tags=TagBinding)) as ws:
            row = (await ws.request("tags", "create", {"name": "b"}))["data"]
            assert (await ws.request("tags", "list"))["data"] == [row]
            assert (await ws.request("tags", "patch", {"weight": 3}, pk=row["id"]))["data"]["weight"] == 3
            assert (await ws.request("tags", "delete", pk=row["id"]))["response_status"] == 200

    async def test_without_permission_classes_it_is_held_to_those_of_the_project(self, serve_streams):
        class Binding(ResourceBinding):
            model = Tag
            serializer_class = TagSerializer

        async with socket(demultiplexer=serve_streams(tags=Binding)) as ws:
            assert await statuses(ws, "tags", ("list", None, {}), ("create", {"name": "x"}, {})) == [200, 401]

    async def test_pages_hold_as_many_rows_as_the_setting_says(self, serve_streams, bindings_settings):
        bindings_settings(DEFAULT_PAGE_SIZE=2)
        await Tag.objects.abulk_create(Tag(name=name) for name in "abc")
        async with socket(demultiplexer=serve_streams(tags=TagBinding)) as ws:
            pages = [(await ws.request("tags", "list", {"page": page}))["data"] for page in (1, 2)]
            assert [[each["name"] for each in page] for page in pages] == [["a", "b"], ["c"]]
            assert (await ws.request("tags", "list", {"page": 3}))["response_status"] == 404

    async def test_hooks_have_the_last_word(self, serve_streams):
        seen = []

        class Short(serializers.ModelSerializer):
            class Meta:
                model = Tag
                fields = ("name",)

        class Binding(TagBinding):
            def get_queryset(self):
                return super().get_queryset().filter(weight__lt=10)

            def filter_queryset(self, queryset):
                return super().filter_queryset(queryset).exclude(name="excluded")

            def get_serializer_class(self):
                return Short if self.action == "list" else super().get_serializer_class()

            def get_serializer_context(self):
                return {**super().get_serializer_context(), "who": self.user}

            def perform_create(self, serializer):
                seen.append(("create", serializer.context["who"].is_anonymous))
                super().perform_create(serializer)

            def perform_update(self, serializer):
                seen.append("update")
                super().perform_update(serializer)

            def perform_patch(self, serializer):
                seen.append("patch")
                super().perform_patch(serializer)

            def perform_delete(self, instance):
                seen.append("delete")
                super().perform_delete(instance)

        await Tag.objects.abulk_create([Tag(name="heavy", weight=20), Tag(name="excluded")])
        async with socket(demultiplexer=serve_streams(tags=Binding)) as ws:
            pk = (await ws.request("tags", "create", {"name": "a"}))["data"]["id"]
            assert (await ws.request("tags", "list"))["data"] == [{"name": "a"}]
            await ws.request("tags", "update", {"name": "b"}, pk=pk)
            await ws.request("tags", "patch", {"name": "c"}, pk=pk)
            await ws.request("tags", "delete", pk=pk)
        assert seen == [("create", True), "update", "patch", "delete"]

    async def test_actions_can_be_overridden(self, serve_streams):
        class Binding(TagBinding):
            def create(self, data=None, **kwargs):
                return {"asked": data}, 202

        async with socket(demultiplexer=serve_streams(tags=Binding)) as ws:
            reply = await ws.request("tags", "create", {"name": "a"})
            assert (reply["response_status"], reply["data"]) == (202, {"asked": {"name": "a"}})

    async def test_rows_can_be_named_by_another_field(self, serve_streams):
        class Binding(TagBinding):
            lookup_field = "name"

        await Tag.objects.acreate(name="a", weight=4)
        async with socket(demultiplexer=serve_streams(tags=Binding)) as ws:
            assert (await ws.request("tags", "retrieve", pk="a"))["data"]["weight"] == 4

    async def test_keys_of_every_kind_name_rows(self, serve_streams):
        def binding_of(model_class):
            class Serializer(serializers.ModelSerializer):
                class Meta:
                    model = model_class
                    fields = "__all__"

            return type(
                "Binding",
                (ResourceBinding,),
                {"model": model_class, "serializer_class": Serializer, "permission_classes": (AllowAny,)},
            )

        ticket = await Ticket.objects.acreate(title="t")
        await Seat.objects.acreate(row=1, number=2, guest="ada")
        cafe = await Cafe.objects.acreate(name="c", seats=3)
        streams = serve_streams(tickets=binding_of(Ticket), seats=binding_of(Seat), cafes=binding_of(Cafe))
        async with socket(demultiplexer=streams) as ws:
            assert (await ws.request("tickets", "retrieve", pk=str(ticket.pk)))["data"]["title"] == "t"
            assert (await ws.request("tickets", "retrieve", pk=1))["response_status"] == 404
            assert (await ws.request("seats", "retrieve", pk=[1, 2]))["data"]["guest"] == "ada"
            assert (await ws.request("seats", "retrieve", pk=[1]))["response_status"] == 404
            assert (await ws.request("cafes", "retrieve", pk=cafe.pk))["data"]["seats"] == 3

    async def test_a_row_that_others_protect_is_a_conflict(self, serve_streams):
        tag = await Tag.objects.acreate(name="kept")
        await tag.keeper_set.acreate()
        async with socket(demultiplexer=serve_streams(tags=TagBinding)) as ws:
            assert (await ws.request("tags", "delete", pk=tag.pk))["response_status"] == 409

    async def test_names_of_texts_are_in_the_callers_language(self, serve_streams):
        streams = serve_streams(tags=TagBinding)
        async with socket(demultiplexer=streams, headers={"accept-language": "de"}) as ws:
            reply = await ws.request("tags", "create", {})
            assert reply["errors"] == [{"name": ["Dieses Feld ist zwingend erforderlich."]}]


def test_a_read_costs_what_it_costs_in_rest(question, django_assert_num_queries):
    caller = Caller(None, "testserver", "http", "en-us")

    def answer(**payload):
        return perform(Call(QuestionBinding, Request("questions", payload), caller, Origin("/ws/", "", {})))

    with django_assert_num_queries(2):  # the row and its choices
        assert '"response_status":200' in answer(action="retrieve", pk=question.pk)
    with django_assert_num_queries(3):  # the number of rows as well
        assert '"response_status":200' in answer(action="list")


async def test_sockets_that_bring_a_note_of_nobody_are_told_apart(serve_streams):
    """Equal names in two streams are two streams."""

    class NoteSerializer(serializers.ModelSerializer):
        class Meta:
            model = Note
            fields = ("id", "text")

    class Notes(ResourceBinding):
        model = Note
        serializer_class = NoteSerializer
        permission_classes = (AllowAny,)

    async with socket(demultiplexer=serve_streams(tags=TagBinding, notes=Notes)) as ws:
        assert "name" in (await ws.request("tags", "create", {"name": "a"}))["data"]
        assert "text" in (await ws.request("notes", "create", {"text": "a"}))["data"]
