"""A generated project as a running server, driven over HTTP and WebSocket as a client would."""

import asyncio
import json
import re
import shutil
import signal
import socket
import sys
import time

import httpx
import pytest
import websockets
from harness import PYTHON, ROOT, START_TIMEOUT, TEMPLATE, Server, free_port, run

from scripts.generate import generate

TIMEOUT = 300  # seconds; nothing waits for its end
SERVERS = {
    "runserver": ("manage.py", "runserver", "{host}:{port}"),
    "runserver without reload": ("manage.py", "runserver", "--noreload", "{host}:{port}"),
    "daphne": ("-m", "daphne", "--bind", "{host}", "--port", "{port}", "toy_asgi:application"),
    "uvicorn": ("-m", "uvicorn", "--host", "{host}", "--port", "{port}", "toy_asgi:application"),
}
# A background job that tells a file of its life; it fails the first time.
TOY_ASGI = """
import asyncio, os
from config.asgi import application, supervisor

runs = 0

def note(word):
    with open("toy.log", "a") as log:
        log.write(f"{word} {os.getpid()}\\n")

async def toy():
    global runs
    runs += 1
    note("started")
    if runs == 1:
        raise LookupError("the toy fails the first time")
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.1)
        note("stopped")

supervisor.add("toy", toy)
"""
TOY_SETTINGS = """
from config.settings import *
ASGI_APPLICATION = "toy_asgi.application"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A project with sample data and a background job, to be served."""
    project = generate(tmp_path_factory.mktemp("site"))
    (project / "toy_asgi.py").write_text(TOY_ASGI)
    (project / "toy_settings.py").write_text(TOY_SETTINGS)
    for command in ("migrate", "loadexample"):
        done = run(PYTHON, "manage.py", command, cwd=project)
        assert done.returncode == 0, done.stderr
    project.joinpath("login").write_text(re.search(r"demo / (\w+)", done.stdout)[1])
    return project


@pytest.fixture
def toy_log(site):
    log = site / "toy.log"
    log.unlink(missing_ok=True)
    return lambda: log.read_text().split() if log.exists() else []


def serve(site, name, **extra):
    port = free_port()
    command = [part.format(host="127.0.0.1", port=port) for part in SERVERS[name]]
    return Server(PYTHON, *command, cwd=site, port=port, DJANGO_SETTINGS_MODULE="toy_settings", **extra)


def until(condition):
    deadline = time.monotonic() + START_TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def opened(url, **options):
    return websockets.connect(url, open_timeout=TIMEOUT, ping_interval=None, **options)


async def close_code(url, **options):
    """Open a socket and return the code that it is closed with."""
    async with opened(url, **options) as socket_:
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(socket_.recv(), TIMEOUT)
        return socket_.close_code


async def ask(url, message, **options):
    async with opened(url, **options) as socket_:
        await socket_.send(message)
        return json.loads(await asyncio.wait_for(socket_.recv(), TIMEOUT))


@pytest.mark.parametrize("name", SERVERS)
def test_the_site_works_and_its_background_jobs_live_and_end_with_the_server(site, toy_log, name):
    with serve(site, name) as server:
        server.wait()
        use_over_http(server, site)
        use_over_websocket(server)
        until(lambda: toy_log().count("started") == 2)  # it failed, and was started again
        assert "the toy fails the first time" in server.output
        # Django's reloader kills the server outright on SIGTERM; people end it with Ctrl-C.
        server.stop(signal.SIGINT if name == "runserver" else signal.SIGTERM)
    assert toy_log().count("stopped") == 1
    # What is left on the console is what a user should worry about.
    assert server.output.count("Traceback") == 1
    assert "destroyed but it is pending" not in server.output


def use_over_http(server, site):
    login = {"username": "demo", "password": (site / "login").read_text()}
    with httpx.Client(base_url=server.url, timeout=TIMEOUT) as client:
        for path in (
            "/",
            "/api/",
            "/api/questions/",
            "/api/docs/",
            "/api/schema/",
            "/healthz",
            "/readyz",
            "/admin/login/",
        ):
            assert client.get(path).status_code == 200, path
        style = client.get("/static/polls/page.css")
        assert style.status_code == 200
        assert style.headers["Content-Type"].startswith("text/css")
        assert client.post("/api/questions/", json={"question_text": "Who?"}).status_code == 401
        token = client.post("/api/token/", json=login).json()["token"]
        headers = {"Authorization": f"Token {token}"}
        made = client.post("/api/questions/", json={"question_text": "Who?"}, headers=headers)
        assert made.status_code == 201
        choice = client.get("/api/choices/").json()["results"][0]
        voted = client.post(f"/api/choices/{choice['id']}/vote/").json()
        assert voted["votes"] == choice["votes"] + 1
        assert "Who?" in client.get("/").text


def use_over_websocket(server):
    url = server.url.replace("http", "ws")
    message = json.dumps({"stream": "nonsense", "payload": {"action": "list", "request_id": 1}})
    for options in ({}, {"origin": server.url}):
        reply = asyncio.run(ask(f"{url}/ws/", message, **options))
        assert reply["payload"]["response_status"] == 404
        assert reply["payload"]["request_id"] == 1
    assert asyncio.run(close_code(f"{url}/ws/", origin="https://evil.example")) == 4403
    assert asyncio.run(close_code(f"{url}/ws/", additional_headers={"Authorization": "Token wrong"})) == 4401
    assert asyncio.run(close_code(f"{url}/elsewhere/")) == 4404


def test_a_change_of_the_code_reloads_the_server_and_stops_its_jobs_first(site, toy_log):
    with serve(site, "runserver") as server:
        server.wait()
        until(lambda: toy_log().count("started") == 2)
        # The reloader does not notice what has changed before its first look at it.
        until(lambda: (site / "polls/pages.py").touch() or "reloading" in server.output)
        until(lambda: "stopped" in toy_log())
        server.wait()
        until(lambda: toy_log().count("started") == 4)
        assert "destroyed but it is pending" not in server.output


def test_a_toggle_takes_the_socket_away(site):
    with serve(site, "daphne", CORE_BINDINGS_ENABLED="false") as server:
        server.wait()
        assert asyncio.run(close_code(f"{server.url.replace('http', 'ws')}/ws/")) == 4404


def test_without_debug_static_files_are_the_collected_ones_and_errors_tell_nothing(site):
    deployed = {"DEBUG": "false", "ALLOWED_HOSTS": "127.0.0.1"}
    done = run(PYTHON, "manage.py", "collectstatic", "--noinput", cwd=site, **deployed)
    assert done.returncode == 0, done.stderr
    try:
        with serve(site, "daphne", **deployed) as server, httpx.Client(base_url=server.url, timeout=TIMEOUT) as client:
            server.wait()
            style = re.search(r"/static/polls/page\.\w{12}\.css", client.get("/").text)[0]
            answer = client.get(style)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["Cache-Control"]
            assert answer.headers["Content-Encoding"] in {"gzip", "br"}
            missing = client.get("/nothing/")
            assert missing.status_code == 404
            assert "polls" not in missing.text
            assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
            assert "core.W001" in server.output
    finally:
        shutil.rmtree(site / "staticfiles")


def test_a_server_without_a_key_says_how_to_make_one(site):
    with serve(site, "daphne", DEBUG="false", SECRET_KEY="") as server:
        assert server.process.wait(START_TIMEOUT) != 0
    assert "SECRET_KEY is missing" in server.output
    assert "secrets.token_urlsafe" in server.output


# --- make demo --------------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path):
    """A fresh copy of this repository, as far as `make demo` needs it."""
    for name in ("Makefile", "pyproject.toml", "cookiecutter.json"):
        shutil.copy2(ROOT / name, tmp_path)
    for name in ("docs", "hooks", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copytree(TEMPLATE, tmp_path / TEMPLATE.name, ignore=shutil.ignore_patterns(".*cache", "__pycache__"))
    return tmp_path


def demo(checkout, port, wanted):
    command = ("make", "demo", f"PORT={wanted}", f"VENV={sys.prefix}")
    return Server(*command, cwd=checkout, port=port)


def test_make_demo_says_what_it_does_and_ends_in_a_server(checkout):
    port = free_port()
    with demo(checkout, port, port) as server:
        server.wait()
        for path in ("/", "/api/questions/", "/api/docs/", "/healthz"):
            assert httpx.get(server.url + path, timeout=TIMEOUT).status_code == 200, path
        assert httpx.get(server.url + "/api/questions/", timeout=TIMEOUT).json()["count"] == 3
        login = re.search(r"Demo login: demo / (\w+)", server.output)[1]
        who = {"username": "demo", "password": login}
        answer = httpx.post(server.url + "/api/token/", json=who, timeout=TIMEOUT)
        assert answer.status_code == 200
    for step in (
        "Generating a project",
        "Making .venv",
        "database up to date",
        "4 questions loaded",
        f"Serving {server.url}",
    ):
        assert step in server.output

    for path in ("/", "/api/", "/api/docs/", "/api/asyncapi/docs/", "/debugger/", "/admin/"):
        assert f"    {server.url}{path} " in server.output

    (checkout / ".demo/live_polls/mine.py").write_text("")
    wanted = free_port()
    with socket.create_server(("127.0.0.1", wanted)), demo(checkout, wanted + 1, wanted) as server:
        server.wait_for_output("taking ")
        server.port = int(re.search(r"taking (\d+) instead", server.output)[1])
        server.url = f"http://127.0.0.1:{server.port}"
        server.wait()
    assert f"Port {wanted} of 127.0.0.1 is in use" in server.output
    assert f"{server.url}/api/docs/ " in server.output
    assert "Making .venv" not in server.output
    assert "nothing loaded" in server.output
    assert (checkout / ".demo/live_polls/mine.py").exists()
    assert server.output.count("GET /healthz") == 1  # no line of the log comes twice
