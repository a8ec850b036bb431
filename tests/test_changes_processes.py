"""The change stream between real processes: what one commits, the others hear, whatever happens on the way.

A toy subscriber in one server writes down all it is told; other processes write to the database and print when each
commit was done. Doorbells are dropped at random, processes killed after their commit, Redis is taken away and brought
back. Every commit must be heard once, and within two seconds.

The tests marked ``services`` need PostgreSQL, at the address in ``POSTGRES``, and a ``redis-server`` to start.
"""

import json
import signal
import textwrap
import time
import urllib.request

import pytest
from harness import Watch
from processes import PATIENCE, PROMISED, rows_of, wait_for, wait_for_promised

# Runs in a shell: writes rows one by one, in transactions and without, and prints when each was there for all.
SHELL = """
    import os, random, time
    from django.db import transaction
    from core.changes import doorbell
    from polls.models import Question
    send = doorbell.send
    doorbell.send = lambda *args: random.random() < {drop} or send(*args)
    number = -1
    while (number := number + 1) < {count} or os.path.exists({goes_on!r}):
        if number % 3 == 0:
            row = Question.objects.create(question_text="toy")
        elif number % 3 == 1:
            with transaction.atomic():
                row = Question.objects.create(question_text="toy")
                try:
                    with transaction.atomic():
                        Question.objects.create(question_text="never")
                        raise ValueError
                except ValueError:
                    pass
        else:
            [row] = Question.objects.bulk_create([Question(question_text="toy")])
        print("ROW", row.pk, time.time(), flush=True)
        time.sleep(random.random() * {pause})
"""

# Dies after its commit, before anybody has been told; of a transaction, or of a bare save.
KILLED = """
    import contextlib, os, signal, time
    from django.db import transaction
    from core.changes import changes_committed
    from polls.models import Question
    def die(changes, **_):
        print("ROW", changes[0].pks[0], time.time(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    changes_committed.connect(die)
    with {around}:
        Question.objects.create(question_text="last words")
"""


def post(url):
    request = urllib.request.Request(url, data=b"", method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return response.status


def killed(site, around):
    return site.manage("shell", "-c", textwrap.dedent(KILLED.format(around=around)))


AROUND = ("transaction.atomic()", "contextlib.nullcontext()")


def shell(site, count=12, drop=0.0, pause=0.1, goes_on=""):
    """Write ``count`` rows, and more for as long as the file ``goes_on`` is there."""
    code = SHELL.format(count=count, drop=drop, pause=pause, goes_on=str(goes_on))
    return site.manage("shell", "-c", textwrap.dedent(code))


def assert_heard(site, name, rows, watch, kind="created", model="polls.question"):  # noqa: PLR0913, PLR0917 - one thing each
    """Each of ``rows`` was heard once, in time. Returns how long it took, in the order of time.

    ``watch`` has been kept since before they were written.
    """

    def heard():
        return [(pk, at) for k, m, pk, at in site.told(name) if (k, m) == (kind, model) and pk in rows]

    wait_for(lambda: {pk for pk, _ in heard()} >= rows.keys(), PATIENCE)
    found = heard()
    assert len(found) == len(rows), "heard more than once"
    slack = watch.slack()
    delays = sorted(at - rows[pk] - slack for pk, at in found)
    assert delays[-1] < PROMISED, f"the slowest took {delays[-1]:.2f} s"
    return delays


def test_a_server_without_services_hears_a_shell(embedded):
    """On SQLite, with nothing but the file in common, a server hears what a shell and a killed process committed."""
    listener, _ = embedded.serve("listener")
    watch = Watch(listener)
    writing = shell(embedded, pause=0.3)
    assert_heard(embedded, "listener", rows_of(writing), watch)
    for around in AROUND:
        watch = Watch(listener)
        dying = killed(embedded, around)
        assert_heard(embedded, "listener", rows_of(dying), watch)
        assert dying.returncode == -signal.SIGKILL


@pytest.mark.services
def test_every_commit_is_heard_by_another_server(grown):
    """A server hears all that another server, shells and a command commit, though doorbells are lost at random."""
    # --- doorbells that all ring: heard at once ---
    listener, _ = grown.serve("listener")
    watch = Watch(listener)
    delays = assert_heard(grown, "listener", rows_of(shell(grown)), watch)
    assert delays[len(delays) // 2] < 0.5, "the doorbells do not ring"

    # --- another server, a shell and a command at the same time, half of the doorbells lost ---
    other, url = grown.serve("other", TOY_DROP="0.5")
    fixture = grown.folder / "rows.json"
    choices = [
        {"model": "polls.choice", "pk": 9000 + n, "fields": {"question": 9000, "choice_text": "c"}} for n in range(8)
    ]
    question = {
        "model": "polls.question",
        "pk": 9000,
        "fields": {"question_text": "q", "created_at": "2020-01-01T00:00Z"},
    }
    fixture.write_text(json.dumps([question, *choices]))
    watch = Watch(listener, other)
    started = [shell(grown, drop=0.5), shell(grown, drop=0.5)]
    command = grown.manage("loaddata", str(fixture))
    assert command.wait(PATIENCE) == 0
    loaded = dict.fromkeys(range(9000, 9008), time.time())
    votes = {}
    for pk in loaded:
        assert post(f"{url}/api/choices/{pk}/vote/") == 200
        votes[pk] = time.time()
    assert_heard(grown, "listener", loaded, watch, model="polls.choice")
    assert_heard(grown, "listener", votes, watch, kind="updated", model="polls.choice")
    written = {pk: at for each in started for pk, at in rows_of(each).items()}
    assert_heard(grown, "listener", written, watch)
    assert_heard(grown, "other", written, watch)
    # What a server commits itself it is told as its own, once, and never hears.
    assert len([each for each in grown.told("other", "committed") if each[1] == "polls.choice"]) == len(votes)
    assert not [each for each in grown.told("other") if each[:2] == ("updated", "polls.choice")]

    # --- killed between the commit and the doorbell: a process, and a server ---
    for around in AROUND:
        watch = Watch(listener)
        assert_heard(grown, "listener", rows_of(killed(grown, around)), watch)
    (grown.folder / "other.kill").touch()
    watch, before = Watch(listener), time.time()
    with pytest.raises(OSError, match=r"closed|reset"):
        post(f"{url}/api/choices/9000/vote/")
    assert other.wait(PATIENCE) == -signal.SIGKILL
    gone = time.time()
    wait_for_promised(lambda: any(pk == 9000 and at > before for _, _, pk, at in grown.told("listener")), gone, watch)


@pytest.mark.services
def test_a_restart_of_redis_goes_unnoticed(grown):
    """Commits are heard in time before, while and after Redis is gone; then doorbells ring again."""
    listener, _ = grown.serve("listener")
    watch = Watch(listener)
    assert_heard(grown, "listener", rows_of(shell(grown, count=3)), watch)

    def wait_for_more():
        heard = len(grown.told("listener"))
        wait_for(lambda: len(grown.told("listener")) > heard + 10, PATIENCE)

    watch, restart = Watch(listener), grown.folder / "restart"
    restart.touch()
    writing = shell(grown, pause=0.2, goes_on=restart)
    wait_for_more()
    grown.redis.stop()
    wait_for_more()
    grown.redis.start()
    wait_for_more()
    restart.unlink()
    assert_heard(grown, "listener", rows_of(writing), watch)

    def rings():
        watch = Watch(listener)
        return min(assert_heard(grown, "listener", rows_of(shell(grown, count=4, pause=0.5)), watch)) < 0.3

    wait_for(rings, PATIENCE)
