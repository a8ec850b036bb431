"""Clients that do not read what they are sent: a running server drops them, does not grow, and takes them back."""

import asyncio
import contextlib
import json
import re
from pathlib import Path

import httpx
import pytest
import websockets
from harness import PYTHON, Server, free_port, run

from scripts.generate import generate

PATIENCE = 300
"""Seconds that nothing may take, on a machine that does other things as well."""
CLIENTS = 20
WRITES = 150
"""Of a row that takes 50 kB to show: some 7 MB for each client, of which the kernel takes up to 4 MB off the server."""
MOST = 25 * 2**20
"""Bytes that the server may have grown by in the end. Without a limit, daphne grows by 100 MB."""
COMMANDS = {
    "daphne": ("-m", "daphne", "--bind", "127.0.0.1", "--port", "{port}", "config.asgi:application"),
    "uvicorn": ("-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "config.asgi:application"),
}
SETTINGS = """
from config.settings import *
CORE["SOCKETS"] = {"MAX_OUTGOING": 256 * 1024, "PING_INTERVAL": 3600}
CORE["REACTIVE"]["JOURNAL_LENGTH"] = 3  # who comes back is sent no more than that
REST_FRAMEWORK["DEFAULT_THROTTLE_CLASSES"] = []
"""
PREPARE = """
from django.contrib.auth.models import User
from polls.models import Choice, Question
from rest_framework.authtoken.models import Token
question = Question.objects.create(question_text="Long?")
Choice.objects.bulk_create([Choice(question=question, choice_text="x" * 200) for _ in range(200)])
print(Token.objects.create(user=User.objects.create_superuser("ada")).key, question.pk)
"""
SUBSCRIBE = {"stream": "questions", "payload": {"action": "subscribe", "data": {"action": "update"}}}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A project with one row that is long, and who may write it."""
    project = generate(tmp_path_factory.mktemp("slow"))
    (project / "slow_settings.py").write_text(SETTINGS)
    assert run(PYTHON, "manage.py", "migrate", cwd=project).returncode == 0
    done = run(PYTHON, "manage.py", "shell", "-c", PREPARE, cwd=project)
    assert done.returncode == 0, done.stderr
    (project / "prepared").write_text(" ".join(done.stdout.split()[-2:]))
    return project


def memory(server):
    """Return the bytes that the process has in memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


@contextlib.asynccontextmanager
async def unreading(server, path, token, message):
    """Open a socket by hand, send ``message`` and wait for one answer; nothing is read of what comes after that."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    try:
        headers = (
            f"GET {path} HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            f"Authorization: Token {token}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        )
        writer.write("".join(f"{line}\r\n" for line in (*headers, "")).encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        text = json.dumps(message).encode()
        assert len(text) < 126
        writer.write(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)  # final, text; masked by zeroes
        assert (await reader.readexactly(1)) == b"\x81"
        writer.transport.pause_reading()
        yield
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def reading(server, path, token, message):
    """Open a socket that is read; give a function that waits until it is told of a text."""
    address = f"ws://127.0.0.1:{server.port}{path}"
    headers = {"Authorization": f"Token {token}"}
    patience = {"open_timeout": PATIENCE, "ping_interval": None}
    async with websockets.connect(address, additional_headers=headers, proxy=None, **patience) as ws:
        await ws.send(json.dumps(message))
        await ws.recv()

        async def told(text):
            while text not in await ws.recv():
                pass

        yield told


@pytest.mark.parametrize(("name", "surface"), [("daphne", "subscriptions"), ("uvicorn", "live queries")])
async def test_who_does_not_read_is_dropped_and_may_come_back_and_the_server_does_not_grow(site, name, surface):
    port = free_port()
    token, pk = (site / "prepared").read_text().split()
    command = (part.format(port=port) for part in COMMANDS[name])
    path, message = ("/ws/", SUBSCRIBE) if surface == "subscriptions" else ("/ws/{}", {"ping": 1})
    with Server(PYTHON, *command, cwd=site, port=port, DJANGO_SETTINGS_MODULE="slow_settings") as server:
        server.wait()
        headers = {"Authorization": f"Token {token}"}
        async with (
            asyncio.timeout(PATIENCE * 3),
            contextlib.AsyncExitStack() as stack,
            httpx.AsyncClient(base_url=server.url, headers=headers, timeout=PATIENCE) as client,
        ):

            async def write(text):
                answer = await client.patch(f"/api/questions/{pk}/", json={"question_text": text})
                assert answer.status_code == 200

            async def observe(subscriber):
                if surface == "live queries":
                    answer = await client.get("/api/questions/", params={"observe": subscriber})
                    assert answer.status_code == 200

            # Once as it should be, so that all is loaded that is needed for it.
            async with reading(server, path.format("first"), token, message) as told:
                await observe("first")
                for number in range(3):
                    await write(f"First {number}?")
                    await told(f"First {number}?")
            before = memory(server)
            for number in range(CLIENTS):
                await stack.enter_async_context(unreading(server, path.format(f"client-{number}"), token, message))
                await observe(f"client-{number}")
            for number in range(WRITES):
                await write(f"Still there {number}?")
            grown = memory(server) - before
            async with reading(server, path.format("client-0"), token, message) as told:
                await observe("client-0")
                await write("Back?")
                await told("Back?")
    assert server.output.count("closed with 4408") == CLIENTS
    assert grown < MOST
    assert "Traceback" not in server.output
