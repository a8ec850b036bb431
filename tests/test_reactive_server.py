"""Live queries of a running server with nothing else started: every kind of server, and what other processes write."""

import json
import signal
import time
import uuid

import httpx
import pytest
from harness import PYTHON, Server, Watch, free_port, run
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from scripts.generate import generate

TIMEOUT = 300  # seconds; nothing waits for its end
PROMISED = 2.0  # seconds until a server shows what another process has written
STARTED = "Listening on TCP address"
APPLICATION = "config.asgi:application"
COMMANDS = {
    "runserver": ("manage.py", "runserver", "--noreload", "127.0.0.1:{port}"),
    "daphne": ("-m", "daphne", "--bind", "127.0.0.1", "--port", "{port}", APPLICATION),
    "uvicorn": ("-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}", APPLICATION),
    "granian": ("-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", APPLICATION),
}
QUESTIONS = "/api/questions/"
CREATE = "from polls.models import Question; Question.objects.create(question_text='From a shell?')"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    project = generate(tmp_path_factory.mktemp("reactive"))
    for command in ("migrate", "loadexample"):
        done = run(PYTHON, "manage.py", command, cwd=project)
        assert done.returncode == 0, done.stderr
    return project


def serve(site, name, **extra):
    port = free_port()
    command = [part.format(port=port) for part in COMMANDS[name]]
    return Server(PYTHON, *command, cwd=site, port=port, **extra)


def socket_of(server, subscriber):
    url = f"{server.url.replace('http', 'ws', 1)}/ws/{subscriber}"
    return connect(url, origin=server.url, open_timeout=TIMEOUT, ping_interval=None)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_vote_arrives_and_so_does_what_a_shell_writes(site, name):
    subscriber = uuid.uuid4().hex
    with serve(site, name).wait() as server:
        with httpx.Client(base_url=server.url, timeout=TIMEOUT) as client, socket_of(server, subscriber) as socket:
            body = client.get(QUESTIONS, params={"observe": subscriber}).json()
            choice = body["items"][0]["choices"][0]
            client.post(f"/api/choices/{choice['id']}/vote/")
            message = json.loads(socket.recv(timeout=TIMEOUT))
            assert (message["msg"], message["seq"]) == ("changed", body["seq"] + 1)
            assert message["item"]["choices"][0]["votes"] == choice["votes"] + 1
            watch = Watch(server.process)
            run(PYTHON, "manage.py", "shell", "-c", CREATE, cwd=site)
            written = time.time()
            message = json.loads(socket.recv(timeout=TIMEOUT))
            assert (message["msg"], message["item"]["question_text"]) == ("added", "From a shell?")
            assert watch.since(written) < PROMISED
        assert server.stop() in {0, -15}
        assert "Traceback" not in server.output


def ask(server):
    """Have a live query under way, and what looks after it at work."""
    body = httpx.get(server.url + QUESTIONS, params={"observe": uuid.uuid4().hex}, timeout=TIMEOUT).json()
    assert body["items"]


def test_a_reload_and_ctrl_c_with_a_live_query_under_way_leave_nothing_on_the_console(site):
    port = free_port()
    command = ("manage.py", "runserver", f"127.0.0.1:{port}")
    with Server(PYTHON, *command, cwd=site, port=port).wait() as server:
        with socket_of(server, uuid.uuid4().hex):
            ask(server)
            until(lambda: touch(site) or "reloading" in server.output)
            until(lambda: server.output.count(STARTED) == 2)
        ask(server.wait())
        server.stop(signal.SIGINT)
    assert_quiet(server)


@pytest.mark.parametrize("name", ["runserver", "daphne", "uvicorn"])
def test_ctrl_c_with_a_live_query_under_way_leaves_nothing_on_the_console(site, name):
    with serve(site, name).wait() as server:
        ask(server)
        server.stop(signal.SIGINT)
    assert_quiet(server)


def touch(site):
    """Change the code; the reloader does not notice what has changed before its first look at it."""
    (site / "polls/models.py").touch()


def until(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def assert_quiet(server):
    for word in ("Traceback", "ERROR", "RuntimeError", "did not end", "is pending"):
        assert word not in server.output, server.output


def test_with_the_feature_off_nothing_of_it_is_there(site):
    with serve(site, "daphne", CORE_REACTIVE_ENABLED="false").wait() as server:
        body = httpx.get(server.url + QUESTIONS, params={"observe": "me"}, timeout=TIMEOUT).json()
        assert list(body) == ["count", "next", "previous", "results"]
        left = httpx.post(server.url + "/api/queryobserver/unsubscribe/", timeout=TIMEOUT)
        assert left.status_code == 404
        with socket_of(server, "me") as socket, pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=TIMEOUT)
        assert closed.value.rcvd.code == 4404
