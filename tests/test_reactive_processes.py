"""Live queries between real processes: after the last write every client holds what a fresh GET answers.

Two servers, two workers, PostgreSQL and Redis. While clients keep their lists, others write in every way; doorbells and
differences are lost, workers and a server are killed, Redis loses its connections and goes away. Nothing may be missing
afterwards, without another write to help.
"""

import signal

import pytest
from live_clients import Faults, assert_told_the_truth, clients_of, lists_of, seed, voting, writer
from processes import PATIENCE

SECONDS = 9
"""For how long there are writes and faults."""


@pytest.mark.services
def test_every_client_ends_up_with_what_a_fresh_get_answers(live_site):
    """Whatever is lost, killed or restarted on the way; and nobody is told that a list is over."""
    lists = lists_of(seed(live_site))
    faults = Faults(live_site)
    with clients_of(faults.servers, lists) as clients:
        faulty = live_site.folder / "faulty"
        faulty.touch()
        writing = live_site.manage("shell", "-c", writer(SECONDS, goes_on=faulty))
        assert "BEGUN\n" in iter(writing.stdout.readline, "")
        with voting(faults.servers):
            faults.happen(SECONDS)
            faulty.unlink()
            output = writing.communicate(timeout=PATIENCE)[0]
        assert "DONE" in output, (live_site.folder / "stderr").read_text()
        assert_told_the_truth(live_site, faults.servers, clients, lists)


@pytest.mark.services
def test_a_worker_of_either_command_evaluates_until_it_is_asked_to_stop(live_site):
    first = seed(live_site)
    _, url = live_site.serve("one")
    server = int(url.rpartition(":")[2])
    commands = {
        ("observerworker",): 0,
        ("runworker", "core.reactive.worker", "core.reactive.poll_observer"): -signal.SIGTERM,  # Channels' own way
    }
    with clients_of({server: None}, lists_of(first)[:4]) as clients:
        for command, ends_with in commands.items():
            told = [client.differences for client in clients]
            worker = live_site.manage(*command)
            assert "DONE" in live_site.manage("shell", "-c", writer(0.5)).communicate(timeout=PATIENCE)[0]
            assert_told_the_truth(live_site, [server], clients, lists_of(first)[:4])
            assert all(client.differences > before for client, before in zip(clients, told, strict=True))
            worker.terminate()
            output = worker.communicate(timeout=PATIENCE)[0]
            assert worker.returncode == ends_with
            assert ("Stopped." in output) == (ends_with == 0)
