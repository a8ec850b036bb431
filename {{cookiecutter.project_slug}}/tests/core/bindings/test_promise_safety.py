"""The promise of safety: the socket gives a caller neither more nor less than REST gives the same caller."""

import json

import pytest
from django.contrib.auth.models import AnonymousUser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework import serializers
from rest_framework.authentication import RemoteUserAuthentication, SessionAuthentication, TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.decorators import action
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.viewsets import ModelViewSet

from core.bindings import ResourceBinding
from core.bindings.asking import Call, Origin
from core.bindings.calls import perform
from core.bindings.messages import Request
from core.bindings.streams import declared
from core.callers import Caller
from core.testing import socket
from polls.models import Choice, Question
from tests.testapp.models import Tag

pytestmark = pytest.mark.django_db(transaction=True)

FIRST = 1_000_000  # keys that no sequence comes to
TEXTS = st.sampled_from(["tea", "", "x" * 300, None, 7, ["list"], "\x00"])
KEYS = st.sampled_from([FIRST, FIRST + 1, FIRST + 2, 999, "x", -1, True])
PKS = st.sampled_from([FIRST, FIRST + 1, FIRST + 2, FIRST + 3, 999, "x", "", 10**25])
QUESTIONS = st.fixed_dictionaries(
    {},
    optional={"question_text": TEXTS, "published": st.sampled_from([True, False, "perhaps", None]), "owner": KEYS},
)
CHOICES = st.fixed_dictionaries({}, optional={"question": KEYS, "choice_text": TEXTS, "votes": KEYS, "id": KEYS})
PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "ordering": st.sampled_from(["id", "-id", "owner", "password"]),
        "question": st.sampled_from([FIRST, FIRST + 1, 0, "x"]),
        "published": st.sampled_from([True, False, "perhaps"]),
        "votes__gte": st.sampled_from([0, 5, "x"]),
        "question_text__icontains": st.sampled_from(["tea", "E"]),
        "owner__password": st.just("x"),
        "limit": st.sampled_from([1, 1000, -1, "x"]),
    },
)
METHODS = {
    "create": "POST",
    "retrieve": "GET",
    "list": "GET",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "vote": "POST",
}
BODIES = st.one_of(QUESTIONS, CHOICES, st.lists(CHOICES, max_size=2), st.sampled_from(["text", 7]))


@pytest.fixture
def people(author, staff, stranger):
    return {"nobody": AnonymousUser(), "stranger": stranger, "author": author, "staff": staff}


def start_over(people):
    """Have a published question, a hidden one of the author and a hidden one of nobody, with a choice each."""
    Question.objects.all().delete()
    for number, (published, owner) in enumerate([(True, None), (False, people["author"]), (False, None)]):
        question = Question.objects.create(
            pk=FIRST + number, question_text=f"tea {number}", published=published, owner=owner
        )
        Choice.objects.create(pk=FIRST + number, question=question, choice_text="yes", votes=number * 5)


def rows():
    questions = Question.objects.order_by("pk").values_list("question_text", "published", "owner")
    return list(questions), list(Choice.objects.order_by("pk").values_list("question", "choice_text", "votes"))


def over_http(user, stream, action, pk, data):
    client = APIClient()
    client.force_authenticate(None if user.is_anonymous else user)
    url = f"/api/{stream}/"
    if action not in {"create", "list"}:
        url += f"{pk}/"
    if action == "vote":
        url += "vote/"
    if METHODS[action] == "GET":
        response = client.get(url, {} if action == "retrieve" else _as_text(data))
    else:
        response = client.generic(METHODS[action], url, json.dumps(data), "application/json")
    found = json.loads(response.content) if response.get("Content-Type") == "application/json" else None
    if action == "list" and response.status_code == 200:
        found = found["results"]
    return response.status_code, found


def _as_text(data):
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in data.items()}


def over_the_socket(user, stream, action, pk, data):
    caller = Caller(None if user.is_anonymous else str(user.pk), "testserver", "http", "en-us")
    payload = {"action": action, "pk": pk, "data": {} if action == "retrieve" else data}
    if action in {"create", "list"}:
        del payload["pk"]
    reply = json.loads(
        perform(Call(declared()[stream], Request(stream, payload), caller, Origin("/ws/", "127.0.0.1", {})))
    )["payload"]
    return reply["response_status"], reply["data"], reply["errors"]


def made_alike(data):
    """Leave out what differs from one run to the next."""
    if isinstance(data, dict):
        return {name: made_alike(value) for name, value in data.items() if name not in {"id", "created_at"}}
    return [made_alike(each) for each in data] if isinstance(data, list) else data


@pytest.mark.slow
@given(
    who=st.sampled_from(["nobody", "stranger", "author", "staff"]),
    stream=st.sampled_from(["questions", "choices"]),
    action=st.sampled_from([*METHODS]),
    pk=PKS,
    body=BODIES,
    parameters=PARAMETERS,
)
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
def test_the_socket_answers_what_rest_answers(people, who, stream, action, pk, body, parameters):
    if action == "vote" and stream == "questions":
        action = "retrieve"
    data = parameters if METHODS[action] == "GET" else body
    user = people[who]
    start_over(people)
    status, wanted = over_http(user, stream, action, pk, data)
    after = rows()
    start_over(people)
    got_status, got, errors = over_the_socket(user, stream, action, pk, data)
    if pk == "" and action not in {"create", "list"}:  # which is another address over HTTP
        assert got_status >= 400
        return
    assert rows() == after
    assert got_status == {204: 200}.get(status, status), (status, wanted, errors)
    if status >= 400:
        assert errors
        assert got == {}
    else:
        assert made_alike(got) == made_alike({} if wanted is None else wanted)


class Tags(ModelViewSet):
    """Shown to who has come with a token."""

    queryset = Tag.objects.all()
    serializer_class = type(
        "TagSerializer",
        (serializers.ModelSerializer,),
        {"Meta": type("Meta", (), {"model": Tag, "fields": ("id", "name")})},
    )
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)

    @action(detail=False, authentication_classes=[SessionAuthentication])
    def by_session(self, request):
        return Response("seen")

    @action(detail=False, authentication_classes=[RemoteUserAuthentication])
    def by_other_means(self, request):
        return Response("seen")


async def test_a_stream_knows_a_caller_by_what_its_viewset_takes(author, serve_streams):
    """Whose session or token the viewset would not look at is nobody to it, and hears what nobody hears."""
    token = await Token.objects.acreate(user=author)
    streams = serve_streams(tags=type("Binding", (ResourceBinding,), {"viewset_class": Tags}))
    by_token = {"authorization": f"Token {token.key}"}
    async with (
        socket(author, demultiplexer=streams) as session,
        socket(demultiplexer=streams, headers=by_token) as with_token,
    ):
        for ws, statuses in ((session, (401, 200, 401)), (with_token, (200, 401, 401))):
            for name, status in zip(("list", "by_session", "by_other_means"), statuses, strict=True):
                assert (await ws.request("tags", name))["response_status"] == status
        assert (await session.request("tags", "subscribe", {"action": "create"}))["response_status"] == 401
        await with_token.subscribe("tags", "create")
        await Tag.objects.acreate(name="a")
        assert [event["data"]["name"] for event in await with_token.events()] == ["a"]
        assert await session.events() == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["action", "pk", "filter", "a"]), inner)
    ),
    max_leaves=5,
)


@given(
    stream=st.sampled_from(["questions", "choices"]),
    action=st.sampled_from([*METHODS, "subscribe", "unsubscribe", "", "__class__", "get_queryset", "answer"]),
    pk=json_values,
    data=json_values | st.fixed_dictionaries({"action": st.sampled_from(["update", "create"]), "filter": json_values}),
)
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_is_answered_and_is_no_failure_of_the_server(stream, action, pk, data):
    caller = Caller(None, "testserver", "http", "en-us")
    request = Request(stream, {"action": action, "pk": pk, "data": data, "request_id": 1})
    outcome = perform(Call(declared()[stream], request, caller, Origin("/ws/", "127.0.0.1", {})))
    if isinstance(outcome, str):
        payload = json.loads(outcome)["payload"]
        assert payload["request_id"] == 1
        assert 200 <= payload["response_status"] < 500, payload
        assert bool(payload["errors"]) == (payload["response_status"] >= 400)
