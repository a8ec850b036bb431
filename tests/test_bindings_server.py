"""The resource socket of a running server: the examples of the original document, and what only processes show."""

import asyncio
import json
import re
import signal
import time
from contextlib import asynccontextmanager

import httpx
import pytest
import websockets
from harness import PYTHON, Server, free_port, run

from scripts.generate import generate

TIMEOUT = 60  # seconds; nothing waits for its end
PROMISED = 2.0  # seconds until a server shows what another process has written
COMMANDS = {
    "daphne": ("-m", "daphne", "--bind", "127.0.0.1", "--port", "{port}", "config.asgi:application"),
    "uvicorn": ("-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "config.asgi:application"),
}
# The bindings of the document as printed, and a demultiplexer with its mapping.
DOCUMENT = """
from core.bindings import AllowAny, ResourceBinding, WebsocketDemultiplexer
from polls.models import Question
from polls.serializers import QuestionSerializer


class QuestionBinding(ResourceBinding):

    model = Question
    stream = "questions"
    serializer_class = QuestionSerializer
    queryset = Question.objects.all()
    permission_classes = (AllowAny,)


class APIDemultiplexer(WebsocketDemultiplexer):

    mapping = {
      'questions': QuestionBinding
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
    return httpx.post(f"{server.url}/api/token/", json=login).json()["token"]


@asynccontextmanager
async def connected(server, **options):
    url = f"{server.url.replace('http', 'ws')}/ws/"
    async with asyncio.timeout(TIMEOUT), websockets.connect(url, proxy=None, **options) as ws:
        yield ws


async def ask(ws, stream, payload):
    """Send a request; return the next message and its payload."""
    await ws.send(json.dumps({"stream": stream, "payload": payload}))
    return json.loads(await ws.recv())


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

    async def test_pages_have_the_size_of_the_setting(self, document):
        async with connected(document) as ws:
            for _ in range(3):
                await ask(ws, "questions", {"action": "create", "data": {"question_text": "Another?"}})
            assert len((await ask(ws, "questions", {"action": "list"}))["payload"]["data"]) == 2

    async def test_any_update_is_told(self, document):
        async with connected(document) as ws, connected(document) as writer:
            made = await ask(writer, "questions", {"action": "create", "data": {"question_text": "Old?"}})
            pk = made["payload"]["data"]["id"]
            reply = await ask(ws, "questions", {"action": "subscribe", "data": {"action": "update"}})
            assert reply["payload"]["response_status"] == 200
            changed = {"action": "patch", "pk": pk, "data": {"question_text": "New?"}}
            await ask(writer, "questions", changed)
            event = json.loads(await ws.recv())
            assert event["stream"] == "questions"
            assert (event["payload"]["action"], event["payload"]["pk"]) == ("update", pk)
            assert event["payload"]["model"] == "polls.question"
            assert event["payload"]["data"]["question_text"] == "New?"

    async def test_the_update_of_one_row_is_told(self, document):
        async with connected(document) as ws, connected(document) as writer:
            pks = []
            for text in ("One?", "Two?"):
                made = await ask(writer, "questions", {"action": "create", "data": {"question_text": text}})
                pks.append(made["payload"]["data"]["id"])
            subscription = {"action": "subscribe", "data": {"action": "update", "pk": str(pks[1])}}
            assert (await ask(ws, "questions", subscription))["payload"]["response_status"] == 200
            for pk in pks:
                await ask(writer, "questions", {"action": "patch", "pk": pk, "data": {"question_text": "Both?"}})
            assert json.loads(await ws.recv())["payload"]["pk"] == pks[1]


async def test_what_anybody_writes_is_told_to_a_page_of_this_site(server, token):
    headers = {"Authorization": f"Token {token}"}
    async with connected(server, origin=server.url) as ws, httpx.AsyncClient(base_url=server.url) as client:
        for action in ("create", "update", "delete"):
            await ask(ws, "questions", {"action": "subscribe", "data": {"action": action}})
        made = await client.post("/api/questions/", json={"question_text": "Over HTTP?"}, headers=headers)
        event = json.loads(await ws.recv())["payload"]
        assert (event["action"], event["data"]) == ("create", made.json())
        url = f"/api/questions/{event['pk']}/"
        await client.patch(url, json={"published": False}, headers=headers)
        assert json.loads(await ws.recv())["payload"]["action"] == "delete"
        await client.delete(url, headers=headers)
        assert json.loads(await asyncio.wait_for(_next(ws), TIMEOUT)) == {"pong": 1}


async def _next(ws):
    await ws.send('{"ping": 1}')
    return await ws.recv()


async def test_what_another_process_writes_is_told_within_two_seconds(site, server):
    """In the embedded set-up: no Redis, a shell beside the server."""
    async with connected(server) as ws:
        await ask(ws, "questions", {"action": "subscribe", "data": {"action": "create"}})
        code = "import time; Question.objects.create(question_text=str(time.time()))"
        writing = asyncio.create_task(asyncio.to_thread(in_a_shell, site, code))
        event = json.loads(await ws.recv())["payload"]
        waited = time.time() - float(event["data"]["question_text"])
        await writing
        assert event["action"] == "create"
        assert waited < PROMISED * 2  # the rest is left to machines that do other things as well


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


async def test_at_shutdown_clients_are_told_to_connect_again(site):
    with serve(site) as server:
        server.wait()
        async with connected(server) as ws:
            await ask(ws, "questions", {"action": "subscribe", "data": {"action": "update"}})
            await asyncio.to_thread(server.stop, signal.SIGTERM)
            await ws.wait_closed()
            assert ws.close_code == 4012
    assert "Traceback" not in server.output


async def test_with_the_toggle_off_socket_and_debugger_are_gone(site):
    with serve(site, CORE_BINDINGS_ENABLED="false") as server:
        server.wait()
        async with connected(server) as ws:
            await ws.wait_closed()
            assert ws.close_code == 4404
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/debugger/")).status_code == 404
