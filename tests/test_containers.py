"""A generated project under docker compose: built, brought up, used, taken down, and with a wrong password."""

import json
import os
import re
import shlex
import subprocess
import time
import uuid

import httpx
import pytest
from harness import free_port, project_environment
from websockets.sync.client import connect

from scripts.generate import generate

pytestmark = pytest.mark.containers
DOCKER = shlex.split(os.environ.get("DOCKER", "docker"))
# Seconds for the images to be built, and for the services to become healthy.
BUILD_TIMEOUT = 1200
UP_TIMEOUT = 600


class Compose:
    """The services of one generated project."""

    def __init__(self, project, port):
        self.project = project
        self.url = f"http://127.0.0.1:{port}"

    def run(self, *arguments, check=True, timeout=UP_TIMEOUT, command=(*DOCKER, "compose")):
        done = subprocess.run(
            [*command, *arguments],
            cwd=self.project,
            env=project_environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check:
            assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}{self.logs()}"
        return done

    def logs(self):
        return self.run("logs", "--no-color", check=False).stdout

    def services(self):
        """Return the state of every container that was made, by the name of its service."""
        lines = self.run("ps", "--all", "--format", "json").stdout.splitlines()
        rows = [json.loads(line) for line in lines]
        return {row["Service"]: row for row in rows}

    def up(self, *command):
        self.run("up", "--detach", command=command or (*DOCKER, "compose"))
        deadline = time.monotonic() + UP_TIMEOUT
        while time.monotonic() < deadline:
            found = self.services()
            if found["web"]["Health"] == "healthy":
                return found
            time.sleep(0.5)
        raise AssertionError(f"web never became healthy: {self.logs()}")


@pytest.fixture(scope="module")
def compose(tmp_path_factory):
    if subprocess.run([*DOCKER, "version"], capture_output=True, check=False, timeout=UP_TIMEOUT).returncode:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no Docker engine answers to: {shlex.join(DOCKER)}")
        pytest.skip(f"no Docker engine answers to: {shlex.join(DOCKER)}")
    port = free_port()
    project = generate(tmp_path_factory.mktemp("compose"), project_slug=f"site_{uuid.uuid4().hex[:8]}")
    with (project / ".env").open("a") as env:
        env.write(f"\nWEB_PORT={port}\n")
    services = Compose(project, port)
    try:
        services.run("build", timeout=BUILD_TIMEOUT)
        yield services
    finally:
        services.run("down", "--volumes", "--rmi", "local", "--timeout", "5", check=False)


def standalone():
    """Return the command `docker-compose` that belongs to DOCKER."""
    return (*DOCKER[:-1], f"{DOCKER[-1]}-compose")


def test_every_service_comes_up_healthy_and_what_is_written_survives(compose):
    services = compose.up()
    assert services["worker"]["State"] == "running"
    assert {name: row["Health"] for name, row in services.items() if name not in {"migrate", "worker"}} == {
        "db": "healthy",
        "redis": "healthy",
        "web": "healthy",
    }
    assert (services["migrate"]["State"], services["migrate"]["ExitCode"]) == ("exited", 0)
    published = {name: row["Publishers"] for name, row in services.items()}
    open_ports = [
        (name, each["URL"]) for name, rows in published.items() for each in rows or [] if each["PublishedPort"]
    ]
    assert open_ports == [("web", "127.0.0.1")]

    password = uuid.uuid4().hex
    compose.run(
        "exec", "-T", "-e", f"DJANGO_SUPERUSER_PASSWORD={password}", "web",
        "python", "manage.py", "createsuperuser", "--noinput", "--username", "ada", "--email", "ada@example.com",
    )  # fmt: skip
    with httpx.Client(base_url=compose.url, timeout=UP_TIMEOUT) as client:
        page = client.get("/")
        assert page.status_code == 200
        style = re.search(r"/static/polls/page\.\w+\.css", page.text)[0]
        assert client.get(style).status_code == 200
        for path in ("/api/questions/", "/api/docs/", "/healthz", "/readyz"):
            assert client.get(path).status_code == 200, path
        token = client.post("/api/token/", json={"username": "ada", "password": password}).json()["token"]
        headers = {"Authorization": f"Token {token}"}
        made = client.post("/api/questions/", json={"question_text": "Still there?"}, headers=headers)
        assert made.status_code == 201

    compose.run("down", "--timeout", "5")
    compose.up(*standalone())
    questions = httpx.get(f"{compose.url}/api/questions/", timeout=UP_TIMEOUT).json()["results"]
    assert [row["question_text"] for row in questions] == ["Still there?"]


def test_a_difference_arrives_on_a_socket_through_the_workers(compose):
    compose.run("up", "--detach", "--scale", "worker=2")
    subscriber = uuid.uuid4().hex
    create = "from polls.models import Question; Question.objects.create(question_text='Does it arrive?')"
    with (
        httpx.Client(base_url=compose.url, timeout=UP_TIMEOUT) as client,
        connect(f"{compose.url.replace('http', 'ws', 1)}/ws/{subscriber}", open_timeout=UP_TIMEOUT) as socket,
    ):
        body = client.get("/api/questions/", params={"observe": subscriber}).json()
        compose.run("exec", "-T", "web", "python", "manage.py", "shell", "-c", create)
        message = json.loads(socket.recv(timeout=UP_TIMEOUT))
    assert (message["msg"], message["observer"], message["seq"]) == ("added", body["observer"], body["seq"] + 1)
    assert message["item"]["question_text"] == "Does it arrive?"
    listed = compose.run("exec", "-T", "worker", "python", "manage.py", "observers").stdout
    assert "question-list  /api/questions/" in listed
    compose.run("stop", "--timeout", "20", "worker")
    assert compose.services()["worker"]["ExitCode"] == 0
    compose.run("up", "--detach", "--scale", "worker=1")


def test_the_server_runs_as_nobody_in_particular_and_without_build_tools(compose):
    assert compose.run("exec", "-T", "web", "id", "-u").stdout.strip() == "1000"
    assert compose.run("exec", "-T", "web", "sh", "-c", "command -v gcc make", check=False).returncode != 0
    listed = compose.run("exec", "-T", "web", "ls", "-A", "/app").stdout.split()
    assert ".env" not in listed
    assert "tests" not in listed
    assert "staticfiles" in listed


def test_the_server_stops_when_it_is_asked_to(compose):
    compose.run("stop", "--timeout", "120", "web")  # then it would be killed, and say so by 137
    assert compose.services()["web"]["ExitCode"] in {0, 143}
    compose.up()


def test_a_wrong_database_password_fails_loudly_and_web_never_starts(compose):
    compose.run("down", "--timeout", "5")
    env = compose.project / ".env"
    right = env.read_text()
    env.write_text(re.sub("^POSTGRES_PASSWORD=.*$", "POSTGRES_PASSWORD=wrong", right, flags=re.MULTILINE))
    try:
        done = compose.run("up", "--detach", check=False)
        assert done.returncode != 0
        services = compose.services()
        assert services["migrate"]["State"] == "exited"
        assert services["migrate"]["ExitCode"] != 0
        assert services["web"]["State"] == "created"
        assert "password authentication failed" in compose.logs()
    finally:
        compose.run("down", "--timeout", "5")
        env.write_text(right)
