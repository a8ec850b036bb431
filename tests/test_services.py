"""A generated project on Redis, as its users run it."""

import os
import uuid

import httpx
import pytest
from harness import PYTHON, Server, free_port, run

from scripts.generate import generate

pytestmark = pytest.mark.services


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
            answer = httpx.get(f"{server.url}/readyz", timeout=10)
            assert (answer.status_code, answer.json()["channel_layer"]) == (200, "ok"), server.output
    assert "Traceback" not in server.output


# The message of the last write leaves when the interpreter has begun to end.
LATE_WRITE = """
import asyncio
from core.changes import doorbell
from polls.models import Question

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
