"""Background jobs of the server process."""

import asyncio
import logging
import subprocess
import sys

import pytest

from core import supervisor as module
from core.supervisor import Supervised, Supervisor


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.04)
    monkeypatch.setattr(module, "STOP_TIMEOUT", 0.2)


class Jobs:
    """Counts starts and clean ends of a job that runs for ever."""

    def __init__(self):
        self.started = self.stopped = 0
        self.up = asyncio.Event()

    async def forever(self):
        self.started += 1
        self.up.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped += 1


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_job_runs_once_however_often_it_is_started():
    jobs, supervisor = Jobs(), Supervisor()
    supervisor.add("job", jobs.forever)
    for _ in range(3):
        supervisor.start()
    await asyncio.wait_for(jobs.up.wait(), 60)
    assert supervisor.running
    await supervisor.stop()
    assert (jobs.started, jobs.stopped) == (1, 1)


async def test_a_job_that_fails_is_started_again_and_the_failure_logged(caplog):
    supervisor, runs = Supervisor(), []

    async def fail():
        runs.append(None)
        raise LookupError("no such row")

    supervisor.add("reader", fail)
    supervisor.start()
    await until(lambda: len(runs) >= 3)
    await supervisor.stop()
    assert "'reader' failed" in caplog.text
    assert "no such row" in caplog.text


async def test_a_job_that_returns_is_started_again(caplog):
    supervisor, runs = Supervisor(), []

    async def end():
        runs.append(None)

    supervisor.add("reader", end)
    supervisor.start()
    await until(lambda: len(runs) >= 2)
    await supervisor.stop()
    assert "'reader' ended by itself" in caplog.text


async def test_pauses_grow_up_to_a_bound(caplog):
    caplog.set_level(logging.ERROR)
    supervisor, runs = Supervisor(), []

    async def end():
        runs.append(None)

    supervisor.add("job", end)
    supervisor.start()
    await until(lambda: len(runs) >= 4)
    await supervisor.stop()
    pauses = [float(record.args[1]) for record in caplog.records[:4]]
    assert pauses == [0.01, 0.02, 0.04, 0.04]


async def test_one_job_failing_leaves_the_others_alone():
    jobs, supervisor = Jobs(), Supervisor()

    async def fail():
        raise RuntimeError

    supervisor.add("bad", fail)
    supervisor.add("good", jobs.forever)
    supervisor.start()
    await asyncio.sleep(0.1)
    assert jobs.started == 1
    await supervisor.stop()


async def test_stopping_twice_and_stopping_what_never_ran_is_fine():
    supervisor = Supervisor()
    await supervisor.stop()
    await supervisor.stop()
    assert not supervisor.running


async def test_what_was_stopped_does_not_start_again():
    jobs, supervisor = Jobs(), Supervisor()
    supervisor.add("job", jobs.forever)
    await supervisor.stop()
    supervisor.start()
    await asyncio.sleep(0)
    assert jobs.started == 0


async def test_a_job_that_will_not_end_is_named_and_does_not_hold_the_shutdown(caplog):
    supervisor, up, release = Supervisor(), asyncio.Event(), asyncio.Event()

    async def stubborn():
        up.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    supervisor.add("stubborn", stubborn)
    supervisor.start()
    await up.wait()
    await asyncio.wait_for(supervisor.stop(), 60)
    assert "'stubborn' did not end" in caplog.text
    release.set()
    async with asyncio.timeout(60):
        await asyncio.gather(*supervisor._running.tasks)  # it ends at last, and is not started again


async def test_a_name_is_given_once_and_before_the_start():
    supervisor = Supervisor()
    supervisor.add("job", Jobs().forever)
    with pytest.raises(ValueError, match="'job' is there already"):
        supervisor.add("job", Jobs().forever)
    supervisor.start()
    with pytest.raises(ValueError, match="before it starts"):
        supervisor.add("late", Jobs().forever)
    await supervisor.stop()


async def _nothing(*_):
    return None


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_the_first_scope_starts_the_jobs_and_is_passed_on(kind):
    jobs, supervisor, scopes = Jobs(), Supervisor(), []

    async def application(scope, receive, send):
        scopes.append(scope)

    supervisor.add("job", jobs.forever)
    await Supervised(application, supervisor)({"type": kind}, _nothing, _nothing)
    await asyncio.wait_for(jobs.up.wait(), 60)
    assert scopes == [{"type": kind}]
    await supervisor.stop()


async def test_lifespan_starts_and_stops_the_jobs():
    jobs, supervisor, sent = Jobs(), Supervisor(), []
    received = asyncio.Queue()
    supervisor.add("job", jobs.forever)

    async def send(message):
        sent.append(message["type"])

    life = asyncio.create_task(Supervised(_nothing, supervisor)({"type": "lifespan"}, received.get, send))
    await received.put({"type": "lifespan.startup"})
    await asyncio.wait_for(jobs.up.wait(), 60)
    assert sent == ["lifespan.startup.complete"]
    await received.put({"type": "lifespan.shutdown"})
    await asyncio.wait_for(life, 60)
    assert sent[-1] == "lifespan.shutdown.complete"
    assert jobs.stopped == 1


# The server's loop on a thread of its own, and the end of the interpreter on the main one: runserver with reload.
RELOADED = """
import asyncio, logging, threading
from core.supervisor import Supervisor

logging.basicConfig()
supervisor, up = Supervisor(), threading.Event()

async def job():
    up.set()
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.to_thread(print, "ended well", flush=True)

async def serve():
    supervisor.add("job", job)
    supervisor.start()
    await asyncio.Event().wait()

threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
up.wait()
"""


def test_at_the_end_of_the_interpreter_jobs_are_stopped_while_threads_still_take_work():
    done = subprocess.run([sys.executable, "-c", RELOADED], capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended well\n", "")
