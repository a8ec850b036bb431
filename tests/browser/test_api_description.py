"""The OpenAPI description and the server agree, whatever a client sends."""

import subprocess

import httpx
import pytest
from harness import PYTHON, ROOT, project_environment
from stage import served

from scripts.generate import generate

SCHEMATHESIS = "schemathesis>=4.32,<5"
CHECKS = ("not_a_server_error", "status_code_conformance", "response_schema_conformance")
# Tests ask more than any visitor.
UNTHROTTLED = {f"THROTTLE_{scope}": "1000000/min" for scope in ("ANON", "USER", "TOKEN")}


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """A site of its own: every row of it may be gone afterwards."""
    with served(generate(tmp_path_factory.mktemp("trial")), **UNTHROTTLED) as site:
        yield site


def test_nothing_crashes_and_every_answer_is_one_that_is_described(trial, tmp_path):
    login = {"username": "demo", "password": trial.login}
    token = httpx.post(f"{trial.url}/api/token/", json=login, timeout=60).json()["token"]
    command = [
        f"{PYTHON.rpartition('/')[0]}/uv", "tool", "run", "--quiet", "--from", SCHEMATHESIS, "schemathesis", "run",
        f"{trial.url}/api/schema/", "--header", f"Authorization: Token {token}", "--checks", ",".join(CHECKS),
        "--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", "1", "--generation-database", "none",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, env=project_environment(), capture_output=True, text=True, check=False, timeout=1800
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:] + trial.server.output[-4000:]
    assert "Traceback" not in trial.server.output


def test_the_description_of_the_sockets_is_valid_by_the_official_schema(site):
    described = httpx.get(f"{site.url}/api/asyncapi/", timeout=60).text
    command = ["node", ROOT / "tests/browser/validate.mjs"]
    done = subprocess.run(command, input=described, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("valid AsyncAPI 3.0.0")
