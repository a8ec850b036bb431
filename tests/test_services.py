"""A generated project on Redis, as its users run it."""

import json
import os
import shutil
import uuid

import httpx
import pytest
from harness import PYTHON, Server, free_port, run
from processes import Redis
from redis import Redis as Client
from websockets.sync.client import connect

from scripts.generate import generate

pytestmark = pytest.mark.services
TIMEOUT = 300  # seconds; nothing waits for its end


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A migrated project, and the variables that put it on Redis under a name that has to be looked up."""
    address = os.environ.get("REDIS", "")
    if not address:
        pytest.skip("REDIS is not set")
    project = generate(tmp_path_factory.mktemp("services"))
    with (project / ".env").open("a") as env:
        env.write(f"\nREDIS_URL={address.replace('127.0.0.1', 'localhost')}\nREDIS_PREFIX={uuid.uuid4().hex}\n")
    assert run(PYTHON, "manage.py", "migrate", cwd=project).returncode == 0
    return project


def test_a_server_with_background_jobs_becomes_ready_and_stays_so(site):
    port = free_port()
    command = ("-m", "daphne", "--port", port, "config.asgi:application")
    with Server(PYTHON, *command, cwd=site, port=port) as server:
        server.wait()
        for _ in range(5):
            answer = httpx.get(f"{server.url}/readyz", timeout=TIMEOUT)
            assert (answer.status_code, answer.json()["channel_layer"]) == (200, "ok"), server.output
    assert "Traceback" not in server.output


# The message of the last write leaves when the interpreter has begun to end.
LATE_WRITE = """
import asyncio
from core.changes import doorbell
from polls.models import Question

doorbell.FLUSH_TIMEOUT = 300
deliver = doorbell.Sender._deliver

async def deliver_late(self, *message):
    await asyncio.sleep(0.5)
    await deliver(self, *message)

doorbell.Sender._deliver = deliver_late
Question.objects.create(question_text="From a command?")
"""


def test_a_command_that_writes_at_its_very_end_ends_without_a_complaint(site):
    done = run(PYTHON, "manage.py", "shell", "-c", LATE_WRITE, cwd=site)
    assert done.returncode == 0
    assert "ERROR" not in done.stderr
    assert "fails" not in done.stderr


@pytest.fixture
def redis(tmp_path):
    """A Redis of our own, to which nobody else connects."""
    if not shutil.which("redis-server"):
        pytest.skip("there is no redis-server")
    server = Redis(tmp_path)
    server.start()
    yield server
    server.stop()


def test_neither_a_request_nor_a_message_on_a_socket_makes_a_connection_to_redis(site, redis):
    """Over ASGI each request has a context of its own, for which Django makes a cache of its own."""
    port = free_port()
    command = ("-m", "daphne", "--port", port, "config.asgi:application")
    asked = json.dumps({"stream": "questions", "payload": {"action": "list"}})
    with (
        Server(PYTHON, *command, cwd=site, port=port, REDIS_URL=f"redis://127.0.0.1:{redis.port}/0") as server,
        Client(port=redis.port) as observer,
        httpx.Client(base_url=server.wait().url, timeout=TIMEOUT) as client,
        connect(f"ws://127.0.0.1:{port}/ws/", proxy=None, open_timeout=TIMEOUT, ping_interval=None) as ws,
    ):

        def work():
            before = observer.info("stats")["total_connections_received"]
            for _ in range(20):
                assert client.get("/api/questions/").status_code == 200
                ws.send(asked)
                assert json.loads(ws.recv(TIMEOUT))["payload"]["response_status"] == 200
            return observer.info("stats")["total_connections_received"] - before

        work()  # the first of each kind makes those that are kept
        assert work() < 5
    assert "Traceback" not in server.output
