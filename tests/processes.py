"""The template folder as a site of several processes, with a PostgreSQL database and a Redis of its own.

Its servers and commands can be stopped, killed and started in any order; all of them end with the test.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
import uuid

import pytest
from harness import TEMPLATE, free_port

PROMISED = 2.0  # seconds from a commit until every process has heard of it
PATIENCE = 300  # seconds that nothing may take, on a machine that does other things as well
HOST = "127.0.0.1"

# A server with a toy subscriber, which writes down all that it is told of commits.
TOY_ASGI = """
    import json, os, random, signal, time
    from config.asgi import application
    from core.changes import changes_committed, changes_heard, doorbell

    def writer(how):
        def write(changes, **_):
            if how == "committed" and os.path.exists(os.environ["TOY"] + ".kill"):
                os.kill(os.getpid(), signal.SIGKILL)
            with open(os.environ["TOY"], "a") as file:
                for each in changes:
                    line = {"how": how, "at": time.time(), "model": each.model, "kind": each.kind, "pks": each.pks}
                    file.write(json.dumps(line) + chr(10))
        return write

    for how, channel in (("committed", changes_committed), ("heard", changes_heard)):
        channel.connect(writer(how), weak=False)

    send = doorbell.send
    doorbell.send = lambda *args: random.random() < float(os.environ.get("TOY_DROP", "0")) or send(*args)
"""


class Site:
    """The template folder as a site of several processes, all of which end with the test."""

    def __init__(self, folder, **environment):
        self.folder = folder
        self.processes = []
        (folder / "toy_asgi.py").write_text(textwrap.dedent(TOY_ASGI))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CORE_", "DJANGO_"))},
            "ENV_FILE": os.devnull,
            "DEBUG": "true",
            "PYTHONPATH": os.pathsep.join([str(folder), str(TEMPLATE)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "REDIS_PREFIX": f"toy-{uuid.uuid4().hex[:8]}",
            "REDIS_URL": "",
            **environment,
        }

    def start(self, *command, cwd=TEMPLATE, stdin=None, **environment):
        with (self.folder / "stderr").open("a") as stderr:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**self.environment, **environment},
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self.processes.append(process)
        return process

    def manage(self, *arguments, **options):
        return self.start(sys.executable, "manage.py", *arguments, **options)

    def serve(self, name, **environment):
        """Start a server that writes down what it is told under ``name``; return its process and its address."""
        port = free_port()
        # Its list of requests would go to a pipe that nobody empties.
        options = ("-b", HOST, "-p", str(port), "--access-log", os.devnull)
        process = self.start(
            *(sys.executable, "-m", "daphne", *options, "toy_asgi:application"),
            TOY=str(self.folder / name),
            **environment,
        )
        url = f"http://{HOST}:{port}"
        wait_for(lambda: process.poll() is not None or answers(f"{url}/healthz"), PATIENCE)
        assert process.poll() is None, (self.folder / "stderr").read_text()
        return process, url

    def told(self, name, how="heard"):
        """Keys of single rows that the subscriber in the server ``name`` was told of, each with when."""
        path = self.folder / name
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [
            (line["kind"], line["model"], pk, line["at"])
            for line in lines
            if line["how"] == how
            for pk in line["pks"] or ()
        ]

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in filter(None, (process.stdin, process.stdout)):
                pipe.close()


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return response.status == 200
    except OSError:
        return False


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def wait_for_promised(condition, written, watch):
    """Wait until something holds that is promised ``PROMISED`` seconds after the time ``written``."""
    while not condition():
        assert watch.since(written) < PROMISED, "it is late"
        time.sleep(0.05)


def rows_of(process):
    """What a writer printed: each row's key and when it was committed."""
    output = process.communicate(timeout=PATIENCE)[0]
    return {int(pk): float(at) for _, pk, at in (line.split() for line in output.splitlines() if line[:3] == "ROW")}


class Redis:
    """A Redis of our own, that may be taken away."""

    def __init__(self, folder):
        self.port = free_port()
        self.folder = folder
        self.process = None

    def start(self):
        binary = shutil.which("redis-server")
        options = ["--port", str(self.port), "--bind", HOST, "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._accepts, PATIENCE)

    def _accepts(self):
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def stop(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def grown_site(folder):
    """A site on PostgreSQL and Redis; ``site.redis`` is its own."""
    address = os.environ.get("POSTGRES")
    if not address or not shutil.which("redis-server"):
        if os.environ.get("CI") == "true":
            pytest.fail("needs POSTGRES and redis-server")
        pytest.skip("needs POSTGRES and redis-server")
    import psycopg

    name = f"ccdr_changes_{uuid.uuid4().hex[:8]}"
    redis = Redis(folder)
    with psycopg.connect(f"{address}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        redis.start()
        site = Site(folder, DATABASE_URL=f"{address}/{name}", REDIS_URL=f"redis://{HOST}:{redis.port}/0")
        site.redis = redis
        try:
            assert site.manage("migrate", "--verbosity", "0").wait(PATIENCE) == 0
            yield site
        finally:
            site.end()
            redis.stop()
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
