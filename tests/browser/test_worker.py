"""The page of a site that has grown: PostgreSQL, Redis, two web servers and observer workers that are killed."""

import os
import signal
import uuid

import psycopg
import pytest
from harness import PYTHON, Server, free_port
from stage import agrees, choice, is_live, served, until, votes

from scripts import services
from scripts.generate import generate

WORKER = ("manage.py", "runworker", "core.reactive.worker", "core.reactive.poll_observer")


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A site on PostgreSQL and Redis, without a worker."""
    postgres = os.environ.get("POSTGRES", "postgres://postgres@127.0.0.1:5432")
    redis = os.environ.get("REDIS", "redis://127.0.0.1:6379/7")
    if problem := services.problem(postgres, redis):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(problem)
    name = f"browser_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            extra = {"DATABASE_URL": f"{postgres}/{name}", "REDIS_URL": redis, "REDIS_PREFIX": name}
            with served(generate(tmp_path_factory.mktemp("grown")), **extra) as site:
                yield site
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def worker(site):
    return Server(PYTHON, *WORKER, cwd=site.folder, port=free_port(), **site.extra)


def test_windows_on_two_servers_agree_and_survive_their_workers(grown, windows):
    port = free_port()
    command = ("-m", "daphne", "--bind", "127.0.0.1", "--port", str(port), "config.asgi:application")
    with Server(PYTHON, *command, cwd=grown.folder, port=port, **grown.extra) as second, worker(grown) as first:
        second.wait()
        one, other = is_live(windows.open(f"{grown.url}/")), is_live(windows.open(f"{second.url}/"))
        before = votes(other, "Tea")
        choice(one, "Tea").click()
        until(lambda: votes(other, "Tea") == votes(one, "Tea") == before + 1)
        first.stop(signal.SIGKILL)
        choice(other, "Tea").click()
        with worker(grown):
            until(lambda: votes(other, "Tea") == votes(one, "Tea") == before + 2)
            choice(one, "Tea").click()
            until(lambda: votes(other, "Tea") == votes(one, "Tea") == before + 3)
            assert agrees(one, grown)
            assert agrees(other, grown)
        windows.close()
