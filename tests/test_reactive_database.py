"""A database that goes away and comes back, under two servers, two workers, a writer and clients.

PostgreSQL is the test's own: it is stopped as by an administrator and as by a loss of power, at any moment, and once
stays away for seconds in which others try to write. Nobody is started anew but the database; still, live queries and
subscriptions tell all that was committed, without another write to help.
"""

import contextlib
import json
import os
import pwd
import random
import re
import shutil
import subprocess
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest
from harness import free_port
from live_clients import (
    SETTINGS,
    WORKER,
    Faults,
    assert_told_the_truth,
    clients_of,
    fresh,
    lists_of,
    seed,
    voting,
    writer,
)
from processes import HOST, PATIENCE, Redis, Site, answers, wait_for
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

SECONDS = 14
"""For how long there are writes and restarts."""
AWAY = 3.0
"""Seconds that the database stays away once, while others try to write."""


def binaries():
    """The folder of the newest PostgreSQL of this machine; None if there is none."""
    found = [Path(path).parent for path in (shutil.which("initdb"), shutil.which("pg_ctl")) if path]
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    found += sorted(installed, key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0), reverse=True)
    return next((path for path in found if (path / "initdb").exists() and (path / "pg_ctl").exists()), None)


class Postgres:
    """A PostgreSQL of our own. As root it runs as the user ``postgres``, for it refuses to run as root."""

    def __init__(self, programs):
        self.programs = programs
        self.port = free_port()
        self.owner = {}
        # Not in the folder of the test, which only its owner may enter.
        self.folder = Path(tempfile.mkdtemp(prefix="ccdr-postgres-"))
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            self.owner = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    @property
    def url(self):
        return f"postgres://postgres@{HOST}:{self.port}"

    def start(self):
        options = f"-p {self.port} -c listen_addresses={HOST} -c unix_socket_directories= -c fsync=off"
        self._run("pg_ctl", "start", "-w", "-o", options, "-l", str(self.folder / "log"))

    def stop(self, mode="fast"):
        self._run("pg_ctl", "stop", "-w", "-m", mode)

    def restart(self, mode):
        self._run("pg_ctl", "restart", "-w", "-m", mode, "-l", str(self.folder / "log"))

    def end(self):
        if (self.folder / "data/postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder)

    def _run(self, program, *arguments):
        with (self.folder / "said").open("ab") as said:
            done = subprocess.run(
                [str(self.programs / program), *arguments, "-D", str(self.folder / "data")],
                cwd=self.folder, check=False, timeout=PATIENCE,
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, **self.owner,
            )  # fmt: skip
        assert done.returncode == 0, (self.folder / "said").read_text()


@pytest.fixture
def postgres():
    programs = binaries()
    if programs is None or not shutil.which("redis-server"):
        if os.environ.get("CI") == "true":
            pytest.fail("needs the programs of PostgreSQL, and redis-server")
        pytest.skip("needs the programs of PostgreSQL, and redis-server")
    own = Postgres(programs)
    try:
        own.start()
        yield own
    finally:
        own.end()


@pytest.fixture
def site(tmp_path, postgres):
    """The site on a PostgreSQL and a Redis of its own."""
    redis = Redis(tmp_path)
    redis.start()
    made = Site(tmp_path, DATABASE_URL=f"{postgres.url}/postgres", REDIS_URL=f"redis://{HOST}:{redis.port}/0")
    (tmp_path / "toy_settings.py").write_text(textwrap.dedent(SETTINGS))
    (tmp_path / "toy_worker.py").write_text(textwrap.dedent(WORKER))
    made.environment["DJANGO_SETTINGS_MODULE"] = "toy_settings"
    made.redis = redis
    try:
        assert made.manage("migrate", "--verbosity", "0").wait(PATIENCE) == 0
        yield made
    finally:
        made.end()
        redis.stop()


class Subscriber(threading.Thread):
    """Subscribes to new choices on the resource socket of one server, and notes what it is told."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.url = f"ws://{HOST}:{server}/ws/"
        self.confirmed = threading.Event()
        self.created = set()
        self.closed = False

    def run(self):
        asked = {"action": "subscribe", "data": {"action": "create"}, "request_id": 1}
        with connect(self.url, open_timeout=PATIENCE, ping_interval=None) as socket:
            socket.send(json.dumps({"stream": "choices", "payload": asked}))
            reply = json.loads(socket.recv(timeout=PATIENCE))
            assert reply["payload"]["response_status"] == 200, reply
            self.confirmed.set()
            with contextlib.suppress(ConnectionClosed):
                for text in socket:
                    self.created.add(json.loads(text)["payload"]["pk"])
        self.closed = True


def restarts(postgres):
    """Take the database away, in every way, at random moments."""

    def for_a_while():
        postgres.stop(random.choice(["fast", "immediate"]))
        time.sleep(AWAY)
        postgres.start()

    ways = [lambda: postgres.restart("immediate"), lambda: postgres.restart("fast"), for_a_while]
    random.shuffle(ways)
    began = time.monotonic()
    for number, way in enumerate(ways):
        at = began + SECONDS * (number + random.random()) / len(ways)
        time.sleep(max(0, at - time.monotonic()))
        way()


@pytest.mark.services
def test_servers_and_workers_survive_a_database_that_goes_away_and_nothing_is_left_untold(site, postgres):
    first = seed(site)
    lists = lists_of(first)
    faults = Faults(site)
    processes = [*faults.workers, *faults.servers.values()]
    with clients_of(faults.servers, lists) as clients:
        subscribers = [Subscriber(server) for server in faults.servers]
        for subscriber in subscribers:
            subscriber.start()
        assert all(subscriber.confirmed.wait(PATIENCE) for subscriber in subscribers)
        shaky = site.folder / "shaky"
        shaky.touch()
        writing = site.manage("shell", "-c", writer(SECONDS, survived="DatabaseError", goes_on=shaky))
        assert "BEGUN\n" in iter(writing.stdout.readline, "")
        with voting(faults.servers):
            restarts(postgres)
            shaky.unlink()
            output = writing.communicate(timeout=PATIENCE)[0]
        stderr = (site.folder / "stderr").read_text()
        refused = int(re.search(r"DONE (\d+)", output)[1]) if "DONE" in output else pytest.fail(stderr)
        assert refused, "the database was never missed"

        assert_told_the_truth(site, faults.servers, clients, lists)
        made = {int(pk) for line in output.splitlines() if line.startswith("MADE") for pk in line.split()[1:]}
        server = next(iter(faults.servers))
        there = {row["id"] for row in fresh(server, f"/api/choices/?question={first}&limit=200")}
        assert made & there, "no row that could be told of was left"
        for subscriber in subscribers:
            wait_for(lambda subscriber=subscriber: subscriber.created >= made & there, PATIENCE)
            assert not subscriber.closed
    assert [process.poll() for process in processes] == [None] * 4, "a process has ended"
    for server in faults.servers:
        wait_for(lambda server=server: answers(f"http://{HOST}:{server}/readyz"), PATIENCE)
