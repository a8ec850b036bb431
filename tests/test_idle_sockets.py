"""What sockets that do nothing cost PostgreSQL, by its own account: no connection, however many there are."""

import asyncio
import json
import os
import time
import uuid
from contextlib import AsyncExitStack
from types import SimpleNamespace

import httpx
import psycopg
import pytest
import websockets
from harness import PYTHON, Server, free_port, run

from scripts.generate import generate

pytestmark = pytest.mark.services

PATIENCE = 300
"""Seconds that nothing may take, on a machine that does other things as well."""
SOCKETS = 60
PREPARE = """
from django.contrib.auth.models import User
from django.test import Client
from polls.models import Question
from rest_framework.authtoken.models import Token
user = User.objects.create_superuser("ada")
client = Client()
client.force_login(user)
print(client.cookies["sessionid"].value, Token.objects.create(user=user).key)
Question.objects.create(question_text="One?")
"""
SUBSCRIPTIONS = (
    {"action": "update"},
    {"action": "create", "filter": {"published": True}},
    {"action": "delete", "pk": 1},
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A project on a database of its own, the keys of a session and of a token, and a connection to look from."""
    address = os.environ.get("POSTGRES", "")
    if not address:
        pytest.skip("POSTGRES is not set")
    project = generate(tmp_path_factory.mktemp("idle"))
    name = f"ccdr_idle_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(f"{address}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        with (project / ".env").open("a") as env:
            env.write(f"\nDATABASE_URL={address}/{name}\n")
        try:
            assert run(PYTHON, "manage.py", "migrate", cwd=project).returncode == 0
            done = run(PYTHON, "manage.py", "shell", "-c", PREPARE, cwd=project)
            assert done.returncode == 0, done.stderr
            session, token = done.stdout.split()[-2:]
            yield SimpleNamespace(folder=project, backends=lambda: _backends(admin, name), session=session, token=token)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _backends(admin, name):
    """Return the last statement of each connection to a database."""
    rows = admin.execute("SELECT state, query FROM pg_stat_activity WHERE datname = %s", [name]).fetchall()
    return [f"{state}: {query}" for state, query in rows]


def serve(site, **environment):
    port = free_port()
    command = ("-m", "daphne", "--bind", "127.0.0.1", "--port", port, "config.asgi:application")
    return Server(PYTHON, *command, cwd=site.folder, port=port, **environment)


async def opened(stack, site, server):
    """Open sockets of all kinds of callers; return those that are to hear of updates once all of that is done."""
    callers = (
        {"origin": server.url, "additional_headers": {"Cookie": f"sessionid={site.session}"}},
        {"additional_headers": {"Authorization": f"Token {site.token}"}},
        {},
    )
    address = server.url.replace("http", "ws") + "/ws/"
    patience = {"open_timeout": PATIENCE, "ping_interval": None}
    listening = []
    for number in range(SOCKETS):
        path = f"observer-{number}" if number % 8 == 7 else ""
        ways = websockets.connect(address + path, proxy=None, **patience, **callers[number % len(callers)])
        ws = await stack.enter_async_context(ways)
        if path or number % 4 == 3:
            await ask(ws, {"ping": number})
            continue
        payload = {"action": "subscribe", "data": SUBSCRIPTIONS[number % 4]}
        reply = await ask(ws, {"stream": "questions", "payload": payload})
        assert reply["payload"]["response_status"] == 200
        if number % 4 == 0:
            listening.append(ws)
    return listening


async def ask(ws, message):
    await ws.send(json.dumps(message))
    return json.loads(await ws.recv())


async def gone(backends):
    """Wait until the server has no connection, if only for a moment: jobs of its own open one now and then."""
    deadline = time.monotonic() + PATIENCE
    while held := backends():
        assert time.monotonic() < deadline, held
        await asyncio.sleep(0.02)


async def test_without_a_pool_no_connection_is_left_when_all_sockets_are_idle(site):
    """A socket that held one, or the thread of its handshake, would be there whenever we look."""
    with serve(site, DATABASE_POOL_SIZE="0") as server:
        server.wait()
        async with asyncio.timeout(PATIENCE * 3), AsyncExitStack() as stack:
            listening = await opened(stack, site, server)
            assert len(listening) == SOCKETS // 4
            await gone(site.backends)
            async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
                headers = {"Authorization": f"Token {site.token}"}
                changed = {"question_text": "Does anybody listen?"}
                assert (await client.patch("/api/questions/1/", json=changed, headers=headers)).status_code == 200
            for ws in listening:
                event = json.loads(await ws.recv())["payload"]
                assert (event["action"], event["data"]["question_text"]) == ("update", changed["question_text"])
            await gone(site.backends)
    assert "Traceback" not in server.output


async def test_a_pool_of_four_connections_is_enough_for_any_number_of_sockets(site):
    with serve(site, DATABASE_POOL_SIZE="4") as server:
        server.wait()
        async with asyncio.timeout(PATIENCE * 3), AsyncExitStack() as stack:
            await opened(stack, site, server)
            assert len(site.backends()) <= 4
            async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
                assert (await client.get("/api/questions/")).status_code == 200
    assert "Traceback" not in server.output
