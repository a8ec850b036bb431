"""The resource socket of a running server: the examples of the original document, and what only processes show."""

import asyncio
import json
import re
import signal
from contextlib import asynccontextmanager

import httpx
import pytest
import websockets
from harness import PYTHON, Server, Watch, free_port, run

from scripts.generate import generate

TIMEOUT = 300  # seconds; nothing waits for its end
PROMISED = 2.0  # seconds until a server shows what another process has written
COMMANDS = {
    "daphne": ("-m", "daphne", "--bind", "127.0.0.1", "--port", "{port}", "config.asgi:application"),
    "uvicorn": ("-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "config.asgi:application"),
}
# The bindings of the document as printed, and a demultiplexer with its mapping.
DOCUMENT = """
from core.bindings import AllowAny, BasePermission, ResourceBinding, WebsocketDemultiplexer, detail_action, list_action
from polls.models import Question
from polls.serializers import QuestionSerializer


class QuestionBinding(ResourceBinding):

    model = Question
    stream = "questions"
    serializer_class = QuestionSerializer
    queryset = Question.objects.all()
    permission_classes = (AllowAny,)

    @detail_action()
    def shout(self, pk, data=None, **kwargs):
        return {"text": self.get_object().question_text.upper(), "pk": pk, "data": data}

    @list_action(name="count")
    async def count_them(self, data=None, **kwargs):
        return {"count": await self.get_queryset().acount()}, 202


class Readers(BasePermission):

    def has_permission(self, user, action, pk):
        return action in {"retrieve", "list"} or (action == "subscribe" and pk is not None)


class GuardedBinding(QuestionBinding):

    stream = "guarded"
    permission_classes = (Readers,)


class APIDemultiplexer(WebsocketDemultiplexer):

    mapping = {
      'questions': QuestionBinding,
      'guarded': GuardedBinding
    }
"""
SETTINGS = """
from config.settings import *
CORE["BINDINGS"] |= {"DEMULTIPLEXER": "document.APIDemultiplexer", "DEFAULT_PAGE_SIZE": 2}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    project = generate(tmp_path_factory.mktemp("bindings"))
    (project / "document.py").write_text(DOCUMENT)
    (project / "document_settings.py").write_text(SETTINGS)
    for command in ("migrate", "loadexample"):
        done = run(PYTHON, "manage.py", command, cwd=project)
        assert done.returncode == 0, done.stderr
    project.joinpath("login").write_text(re.search(r"demo / (\w+)", done.stdout)[1])
    return project


def serve(site, name="daphne", **extra):
    port = free_port()
    return Server(PYTHON, *(part.format(port=port) for part in COMMANDS[name]), cwd=site, port=port, **extra)


@pytest.fixture(scope="module", params=COMMANDS)
def server(site, request):
    with serve(site, request.param) as running:
        yield running.wait()
    assert "Traceback" not in running.output


@pytest.fixture(scope="module")
def document(site):
    """A server with the bindings of the document."""
    with serve(site, DJANGO_SETTINGS_MODULE="document_settings") as running:
        yield running.wait()
    assert "Traceback" not in running.output


@pytest.fixture(scope="module")
def token(site, server):
    login = {"username": "demo", "password": (site / "login").read_text()}
    return httpx.post(f"{server.url}/api/token/", json=login, timeout=TIMEOUT).json()["token"]


@asynccontextmanager
async def connected(server, **options):
    url = f"{server.url.replace('http', 'ws')}/ws/"
    patience = {"open_timeout": TIMEOUT, "ping_interval": None}
    async with asyncio.timeout(TIMEOUT), websockets.connect(url, proxy=None, **patience, **options) as ws:
        yield ws


async def ask(ws, stream, payload):
    """Send a request; return the next message and its payload."""
    await ws.send(json.dumps({"stream": stream, "payload": payload}))
    return json.loads(await ws.recv())


async def answer(ws, payload, status=200, stream="questions"):
    """Send a request; return the data of its reply, which has ``status``."""
    reply = (await ask(ws, stream, payload))["payload"]
    assert reply["response_status"] == status, reply
    return reply["data"]


async def new(ws, text):
    """Make a question; return its key."""
    return (await answer(ws, {"action": "create", "data": {"question_text": text}}, 201))["id"]


async def subscribe(ws, request="subscribe", **data):
    assert (await answer(ws, {"action": request, "data": data})).items() >= data.items()


async def event(ws):
    """Return the action, the key and the text of the next message, which is an event."""
    message = json.loads(await ws.recv())
    payload = message["payload"]
    assert message.keys() == {"stream", "payload"}
    assert payload.keys() == {"action", "pk", "model", "data"}
    assert (message["stream"], payload["model"]) == ("questions", "polls.question")
    return payload["action"], payload["pk"], payload["data"].get("question_text")


def in_a_shell(site, code):
    done = run(PYTHON, "manage.py", "shell", "-c", f"from polls.models import *; {code}", cwd=site)
    assert done.returncode == 0, done.stderr


def with_token(token):
    return {"additional_headers": {"Authorization": f"Token {token}"}}


class TestDocument:
    """The examples as printed; ``docs/migrating.md`` says what was mended."""

    async def test_a_question_is_created(self, document):
        message = {
            "stream": "questions",
            "payload": {
                "action": "create",
                "data": {"question_text": "What is your favorite python package?"},
                "request_id": "some-guid",
            },
        }
        async with connected(document) as ws:
            await ws.send(json.dumps(message))
            reply = json.loads(await ws.recv())
        data = reply["payload"].pop("data")
        assert reply == {
            "stream": "questions",
            "payload": {"action": "create", "errors": [], "response_status": 201, "request_id": "some-guid"},
        }
        assert data["question_text"] == "What is your favorite python package?"
        assert isinstance(data["id"], int)

    async def test_each_method_of_rest_answers(self, document):
        async with connected(document) as ws:
            made = await answer(ws, {"action": "create", "data": {"question_text": "First?"}}, 201)
            pk = made["id"]
            assert await answer(ws, {"action": "retrieve", "pk": pk}) == made
            assert {each["id"] for each in await answer(ws, {"action": "list", "data": {"ordering": "-id"}})} >= {pk}
            changed = await answer(ws, {"action": "update", "pk": pk, "data": {"question_text": "Second?"}})
            assert changed == {**made, "question_text": "Second?"}
            patched = await answer(ws, {"action": "patch", "pk": str(pk), "data": {"question_text": "Third?"}})
            assert patched == {**made, "question_text": "Third?"}
            assert await answer(ws, {"action": "delete", "pk": pk}) == {}
            assert await answer(ws, {"action": "retrieve", "pk": pk}, 404) == {}

    async def test_actions_of_ones_own_answer_whether_they_are_sync_or_not(self, document):
        async with connected(document) as ws:
            pk = await new(ws, "Quiet?")
            shouted = await answer(ws, {"action": "shout", "pk": pk, "data": {"how": "loud"}})
            assert shouted == {"text": "QUIET?", "pk": str(pk), "data": {"how": "loud"}}
            assert (await answer(ws, {"action": "count"}, 202))["count"] >= 1
            assert await answer(ws, {"action": "count_them"}, 405) == {}

    async def test_a_permission_class_is_asked_for_user_action_and_key(self, document):
        async with connected(document) as ws:
            pk = await new(ws, "Guarded?")
            expected = (
                ({"action": "retrieve", "pk": pk}, 200),
                ({"action": "create", "data": {"question_text": "Refused?"}}, 401),
                ({"action": "delete", "pk": pk}, 401),
                ({"action": "subscribe", "data": {"action": "update"}}, 401),
                ({"action": "subscribe", "data": {"action": "update", "pk": pk}}, 200),
            )
            for payload, status in expected:
                assert (await ask(ws, "guarded", payload))["payload"]["response_status"] == status, payload

    async def test_pages_have_the_size_of_the_setting(self, document):
        async with connected(document) as ws:
            for _ in range(3):
                await ask(ws, "questions", {"action": "create", "data": {"question_text": "Another?"}})
            assert len((await ask(ws, "questions", {"action": "list"}))["payload"]["data"]) == 2

    async def test_the_creation_of_a_row_is_told(self, document):
        async with connected(document) as ws, connected(document) as writer:
            await subscribe(ws, action="create")
            pk = await new(writer, "New?")
            assert await event(ws) == ("create", pk, "New?")

    async def test_any_update_is_told(self, document):
        async with connected(document) as ws, connected(document) as writer:
            pks = [await new(writer, text) for text in ("One?", "Two?")]
            await subscribe(ws, action="update")
            for pk in pks:
                await answer(writer, {"action": "patch", "pk": pk, "data": {"question_text": "New?"}})
                assert await event(ws) == ("update", pk, "New?")

    async def test_the_update_of_one_row_is_told(self, document):
        async with connected(document) as ws, connected(document) as writer:
            pks = [await new(writer, text) for text in ("One?", "Two?")]
            await subscribe(ws, action="update", pk=str(pks[1]))
            for pk in pks:
                await answer(writer, {"action": "patch", "pk": pk, "data": {"question_text": "Both?"}})
            assert await event(ws) == ("update", pks[1], "Both?")

    async def test_any_deletion_is_told_by_nothing_but_the_key(self, document):
        async with connected(document) as ws, connected(document) as writer:
            pks = [await new(writer, text) for text in ("One?", "Two?")]
            await subscribe(ws, action="delete")
            for pk in pks:
                await answer(writer, {"action": "delete", "pk": pk})
                assert await event(ws) == ("delete", pk, None)

    async def test_the_deletion_of_one_row_is_told(self, document):
        async with connected(document) as ws, connected(document) as writer:
            pks = [await new(writer, text) for text in ("One?", "Two?")]
            await subscribe(ws, action="delete", pk=str(pks[1]))
            for pk in pks:
                await answer(writer, {"action": "delete", "pk": pk})
            assert await event(ws) == ("delete", pks[1], None)

    async def test_who_subscribes_twice_is_told_once_and_who_unsubscribes_no_more(self, document):
        async with connected(document) as ws, connected(document) as writer:
            for _ in range(2):
                await subscribe(ws, action="create")
            first, second = await new(writer, "First?"), await new(writer, "Second?")
            assert [await event(ws), await event(ws)] == [("create", first, "First?"), ("create", second, "Second?")]
            await subscribe(ws, "unsubscribe", action="create")
            third = await new(writer, "Third?")
            # What is told in the order of commits ends with this: the third would have come before.
            await subscribe(ws, action="delete")
            await answer(writer, {"action": "delete", "pk": third})
            assert await event(ws) == ("delete", third, None)

    async def test_a_filter_makes_rows_come_and_go(self, server, token):
        async with connected(server) as ws, connected(server, **with_token(token)) as writer:
            for action in ("create", "delete"):
                await subscribe(ws, action=action, filter={"question_text": "Wanted?"})
            pk = await new(writer, "Not wanted?")
            # One after the other: a row that has come and gone before anybody looked was never in sight.
            for text, expected in (("Wanted?", ("create", pk, "Wanted?")), ("Not wanted?", ("delete", pk, None))):
                await answer(writer, {"action": "patch", "pk": pk, "data": {"question_text": text}})
                assert await event(ws) == expected

    async def test_the_debugger_is_where_the_documentation_says(self, document):
        async with httpx.AsyncClient(base_url=document.url, timeout=TIMEOUT) as client:
            page = await client.get("/debugger/")
        assert page.status_code == 200
        assert '"questions"' in page.text


async def test_what_anybody_writes_is_told_to_a_page_of_this_site(server, token):
    headers = {"Authorization": f"Token {token}"}
    http = httpx.AsyncClient(base_url=server.url, timeout=TIMEOUT)
    async with connected(server, origin=server.url) as ws, http as client:
        for action in ("create", "update", "delete"):
            await ask(ws, "questions", {"action": "subscribe", "data": {"action": action}})
        made = await client.post("/api/questions/", json={"question_text": "Over HTTP?"}, headers=headers)
        event = json.loads(await ws.recv())["payload"]
        assert (event["action"], event["data"]) == ("create", made.json())
        url = f"/api/questions/{event['pk']}/"
        await client.patch(url, json={"published": False}, headers=headers)
        assert json.loads(await ws.recv())["payload"]["action"] == "delete"
        await client.delete(url, headers=headers)  # of which nobody hears: the next event is that of the next commit
        made = await client.post("/api/questions/", json={"question_text": "The next?"}, headers=headers)
        event = json.loads(await ws.recv())["payload"]
        assert (event["action"], event["data"]) == ("create", made.json())


async def test_what_another_process_writes_is_told_within_two_seconds(site, server):
    """In the embedded set-up: no Redis, a shell beside the server."""
    async with connected(server) as ws:
        await ask(ws, "questions", {"action": "subscribe", "data": {"action": "create"}})
        code = "import time; Question.objects.create(question_text=str(time.time()))"
        watch = Watch(server.process)
        writing = asyncio.create_task(asyncio.to_thread(in_a_shell, site, code))
        event = json.loads(await ws.recv())["payload"]
        waited = watch.since(float(event["data"]["question_text"]))
        await writing
        assert event["action"] == "create"
        assert waited < PROMISED * 2  # it was not yet committed at the time it tells


async def test_a_token_says_who_it_is(server, token):
    async with connected(server, **with_token(token)) as ws:
        reply = await ask(ws, "questions", {"action": "create", "data": {"question_text": "Mine?"}})
        assert reply["payload"]["response_status"] == 201
        assert reply["payload"]["data"]["owner"] is not None
    async with connected(server) as ws:
        reply = await ask(ws, "questions", {"action": "create", "data": {"question_text": "Whose?"}})
        assert reply["payload"]["response_status"] == 401


async def test_malformed_messages_close_no_socket(server):
    async with connected(server) as ws:
        for text in ("{", "[]", '{"stream": "questions", "payload": {"action": "nonsense"}}', b"\x00"):
            await ws.send(text)
            assert json.loads(await ws.recv())["payload"]["response_status"] in {400, 405}
        await ws.send("x" * 100_000)
        assert json.loads(await ws.recv())["payload"]["response_status"] == 413
        assert (await ask(ws, "choices", {"action": "list"}))["payload"]["response_status"] == 200


async def test_who_is_deactivated_is_closed_at_once(site, server):
    code = (
        "from django.contrib.auth.models import User; from rest_framework.authtoken.models import Token; "
        "user, _ = User.objects.get_or_create(username='leaving'); User.objects.update(is_active=True); "
        "Token.objects.filter(user=user).delete(); Token.objects.create(user=user, key='k' * 40)"
    )
    await asyncio.to_thread(in_a_shell, site, code)
    async with connected(server, **with_token("k" * 40)) as ws:
        await ask(ws, "questions", {"action": "subscribe", "data": {"action": "create"}})
        leave = "user = User.objects.get(username='leaving'); user.is_active = False; user.save()"
        await asyncio.to_thread(in_a_shell, site, f"from django.contrib.auth.models import User; {leave}")
        await ws.wait_closed()
        assert ws.close_code == 4401


@pytest.mark.parametrize(("name", "code"), [("daphne", 4012), ("uvicorn", 1012)])
async def test_at_shutdown_clients_are_told_to_connect_again(site, name, code):
    """uvicorn says by itself that the service restarts, before the application hears of it."""
    with serve(site, name) as server:
        server.wait()
        async with connected(server) as ws:
            await ask(ws, "questions", {"action": "subscribe", "data": {"action": "update"}})
            await asyncio.to_thread(server.stop, signal.SIGTERM)
            await ws.wait_closed()
            assert ws.close_code == code
    assert "Traceback" not in server.output


async def test_who_is_refused_is_told_why_where_the_server_hands_it_on_and_so_is_the_log(server):
    why = 'The Authorization header is not "Token <key>" with the key of an active user.'
    async with connected(server, **with_token("wrong")) as ws:
        await ws.wait_closed()
    assert (ws.close_code, ws.close_reason) == (4401, "" if "daphne" in server.output else why)
    server.wait_for_output(f"The socket '/ws/' of an anonymous caller at 127.0.0.1 was closed with 4401: {why}")


async def test_with_the_toggle_off_socket_and_debugger_are_gone(site):
    with serve(site, CORE_BINDINGS_ENABLED="false") as server:
        server.wait()
        async with connected(server) as ws:
            await ws.wait_closed()
            assert ws.close_code == 4404
        async with httpx.AsyncClient(base_url=server.url, timeout=TIMEOUT) as client:
            assert (await client.get("/debugger/")).status_code == 404
