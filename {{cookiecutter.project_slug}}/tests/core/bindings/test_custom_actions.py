"""Actions that a binding adds, and the permission classes of the document."""

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpResponse
from rest_framework import permissions as rest
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.response import Response

from core.bindings import AllowAny, BasePermission, IsAuthenticated, ResourceBinding, detail_action, list_action
from core.testing import socket
from tests.testapp.models import Tag

pytestmark = pytest.mark.django_db(transaction=True)


class TagSerializer(serializers.ModelSerializer):
    class Meta:
        model = Tag
        fields = ("id", "name", "weight")


class TagBinding(ResourceBinding):
    stream = "tags"
    model = Tag
    serializer_class = TagSerializer
    permission_classes = (AllowAny,)

    @detail_action()
    def describe(self, pk, data=None, **kwargs):
        return self.get_serializer(self.get_object()).data, 200

    @list_action(name="tell")
    def tell_under_another_name(self, data=None, **kwargs):
        return {"data": data, "kwargs": sorted(kwargs)}, 201

    @list_action()
    def plain(self, data=None, **kwargs):
        return [1, 2]

    @list_action()
    def nothing(self, data=None, **kwargs):
        return None

    @list_action()
    def response(self, data=None, **kwargs):
        return Response({"detail": "No tea here."}, status=418)

    @list_action()
    def page(self, data=None, **kwargs):
        return HttpResponse("<p>no data</p>")

    @list_action()
    def raising(self, data=None, **kwargs):
        raise NotFound("Nowhere.")

    @list_action(name="count")
    async def count_them(self, data=None, **kwargs):
        return {"count": await self.get_queryset().acount()}

    @detail_action()
    async def weigh(self, pk, data=None, **kwargs):
        return {"pk": pk, "weight": (await Tag.objects.aget(pk=pk)).weight}, 202

    @list_action()
    async def failing(self, data=None, **kwargs):
        raise NotFound("Nowhere, later.")

    @list_action(permission_classes=[IsAuthenticated])
    def members(self, data=None, **kwargs):
        return self.user.get_username()


@pytest.fixture
async def ws(serve_streams, channel_layer):
    async with socket(demultiplexer=serve_streams(tags=TagBinding)) as ws:
        yield ws


@pytest.mark.parametrize(
    ("action", "status", "data", "errors"),
    [
        ("tell", 201, {"data": {"a": 1}, "kwargs": []}, []),
        ("plain", 200, [1, 2], []),
        ("nothing", 200, {}, []),
        ("response", 418, {}, ["No tea here."]),
        ("page", 500, {}, ["The server could not do this. The failure has been logged."]),
        ("raising", 404, {}, ["Nowhere."]),
        ("count", 200, {"count": 0}, []),
        ("failing", 404, {}, ["Nowhere, later."]),
        ("members", 401, {}, ["Authentication credentials were not provided."]),
    ],
)
async def test_what_an_action_returns_is_the_reply(ws, action, status, data, errors):
    reply = await ws.request("tags", action, {"a": 1})
    assert (reply["response_status"], reply["data"], reply["errors"]) == (status, data, errors)


async def test_an_action_on_a_row_gets_its_key(ws):
    tag = await Tag.objects.acreate(name="a", weight=4)
    assert (await ws.request("tags", "describe", pk=tag.pk))["data"]["name"] == "a"
    assert (await ws.request("tags", "describe", pk=0))["response_status"] == 404
    assert (await ws.request("tags", "describe"))["response_status"] == 400
    reply = await ws.request("tags", "weigh", pk=tag.pk)
    assert (reply["response_status"], reply["data"]) == (202, {"pk": str(tag.pk), "weight": 4})


async def test_another_name_is_the_only_name(ws):
    assert (await ws.request("tags", "test_list_with_another_name"))["response_status"] == 405


async def test_an_action_has_the_permissions_it_names(serve_streams, stranger):
    async with socket(stranger, demultiplexer=serve_streams(tags=TagBinding)) as ws:
        assert (await ws.request("tags", "members"))["data"] == "stranger"


async def test_documented_permissions_are_asked_for_user_action_and_key(serve_streams, stranger):
    asked = []

    class Recording(BasePermission):
        def has_permission(self, user, action, pk):
            asked.append((user.get_username(), action, pk))
            return action != "delete"

    class Binding(TagBinding):
        permission_classes = (Recording,)

    tag = await Tag.objects.acreate(name="a")
    async with socket(stranger, demultiplexer=serve_streams(tags=Binding)) as ws:
        await ws.request("tags", "list")
        await ws.request("tags", "retrieve", pk=tag.pk)
        assert (await ws.request("tags", "delete", pk=tag.pk))["response_status"] == 403
        await ws.request("tags", "tell")
        await ws.request("tags", "subscribe", {"action": "update", "pk": tag.pk})
    key = str(tag.pk)
    assert asked == [
        ("stranger", "list", None),
        ("stranger", "retrieve", key),
        ("stranger", "delete", key),
        ("stranger", "tell", None),
        ("stranger", "subscribe", key),
        ("stranger", "subscribe", key),  # as for every event
    ]


async def test_permissions_of_both_kinds_and_compositions_work_side_by_side(serve_streams, stranger):
    class Binding(TagBinding):
        permission_classes = (rest.IsAdminUser | rest.IsAuthenticated, IsAuthenticated)

    streams = serve_streams(tags=Binding)
    async with socket(stranger, demultiplexer=streams) as known, socket(demultiplexer=streams) as anonymous:
        assert (await known.request("tags", "list"))["response_status"] == 200
        assert (await anonymous.request("tags", "list"))["response_status"] == 401


async def test_an_async_action_does_not_wait_for_that_of_another_stream(serve_streams):
    """Django runs what they do in the database in one thread for all, unless it is given one for each."""
    go_on, begun = threading.Event(), threading.Event()

    class Slow(TagBinding):
        @list_action(permission_classes=[AllowAny])
        async def slow(self, data=None, **kwargs):
            def wait():
                begun.set()
                return go_on.wait(60)

            return await sync_to_async(wait)()

    class Quick(TagBinding):
        @list_action(permission_classes=[AllowAny])
        async def count(self, data=None, **kwargs):
            return {"count": await Tag.objects.acount()}

    async with socket(demultiplexer=serve_streams(slow=Slow, quick=Quick)) as ws:
        slow = {"stream": "slow", "payload": {"action": "slow", "request_id": "slow"}}
        await ws.communicator.send_json_to(slow)
        assert await asyncio.to_thread(begun.wait, 60)
        assert (await ws.request("quick", "count"))["data"] == {"count": 0}
        go_on.set()
        assert (await ws.communicator.receive_json_from())["payload"]["data"] is True


def test_a_permission_that_says_nothing_names_what_it_lacks():
    with pytest.raises(NotImplementedError, match="has_permission"):
        BasePermission().has_permission(None, "list", None)
