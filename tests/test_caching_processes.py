"""Caches and tags between real processes: no GET shows what was before a write that was answered.

Two servers, a shell and a killed process write and read. On SQLite and in local memory another process's write is seen
within two seconds; on PostgreSQL and Redis at once.
"""

import json
import random
import textwrap
import threading
import urllib.error
import urllib.request

import pytest
from harness import Watch
from processes import PATIENCE, rows_of, wait_for, wait_for_promised

VOTES = 40
"""Votes of each writer, counted in the row they all read."""

SEED = """
    from polls.models import Choice, Question
    from django.contrib.auth.models import User
    from rest_framework.authtoken.models import Token
    user = User.objects.create_superuser("root", "root@example.com", "root")
    question = Question.objects.create(question_text="?", owner=user)
    Choice.objects.create(question=question, choice_text="a")
    print("TOKEN", Token.objects.create(user=user).key)
"""

WRITER = """
    import time
    from polls.models import Choice
    for _ in range({count}):
        Choice.objects.filter(pk=1).vote()
        print("ROW", 1, time.time(), flush=True)
"""

KILLED = """
    import os, signal, time
    from core import versions
    from polls.models import Question
    def die(*args):
        print("ROW", 1, time.time(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    versions.raise_versions = die
    Question.objects.create(question_text="last words")
"""
"""Ends between its commit and the version that tells of it."""


def ask(url, method="GET", body=None, **headers):
    """Return status, headers and JSON of an answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            text = response.read()
            return response.status, response.headers, json.loads(text or "null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, None


def seeded(site):
    process = site.manage("shell", "-c", textwrap.dedent(SEED))
    output = process.communicate(timeout=PATIENCE)[0]
    return next(line.split()[1] for line in output.splitlines() if line.startswith("TOKEN"))


def in_threads(works):
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    return threads


def votes_at(url):
    return ask(f"{url}/api/choices/1/")[2]["votes"]


def test_a_server_without_services_shows_what_a_shell_wrote_within_two_seconds(embedded):
    """Also what a process wrote that was killed after its commit."""
    seeded(embedded)
    server, url = embedded.serve("server")
    votes_at(url)
    wait_for(lambda: ask(f"{url}/api/choices/1/")[1]["Age"] is not None, PATIENCE)
    watch = Watch(server)
    process = embedded.manage("shell", "-c", textwrap.dedent(WRITER.format(count=1)))
    (written,) = rows_of(process).values()
    wait_for_promised(lambda: votes_at(url) == 1, written, watch)
    count = ask(f"{url}/api/questions/")[2]["count"]
    watch = Watch(server)
    written = max(rows_of(embedded.manage("shell", "-c", textwrap.dedent(KILLED))).values())
    wait_for_promised(lambda: ask(f"{url}/api/questions/")[2]["count"] == count + 1, written, watch)
    assert votes_at(url) == 1


@pytest.mark.services
def test_two_servers_never_show_what_was_before_an_answered_write(grown):  # noqa: C901, PLR0915 - starting servers is dear
    """Writers on both servers and in a shell, readers on both; one tag, eight writers; a killed process; no Redis."""
    token = seeded(grown)
    servers, urls = zip(*(grown.serve(name) for name in ("one", "two")), strict=True)
    answered, late, hits, done = [0], [], [], threading.Event()
    lock = threading.Lock()

    def vote():
        chance = random.Random(5)
        for _ in range(VOTES):
            assert ask(f"{chance.choice(urls)}/api/choices/1/vote/", "POST", {})[0] == 200
            with lock:
                answered[0] += 1

    def read():
        chance = random.Random()
        while not done.is_set():
            with lock:
                before = answered[0]
            path = chance.choice(["/api/choices/1/", "/api/choices/", "/api/questions/1/", "/api/questions/1/choices/"])
            _, headers, shown = ask(f"{chance.choice(urls)}{path}")
            row = shown.get("results", shown.get("choices", [shown]))[0]
            hits.append(headers["Age"] is not None)
            if row["votes"] < before:
                late.append((path, before, row["votes"]))

    shell_writer = grown.manage("shell", "-c", textwrap.dedent(WRITER.format(count=VOTES)))
    writers, readers = in_threads([vote] * 2), in_threads([read] * 3)
    for thread in writers:
        thread.join(PATIENCE)
    rows_of(shell_writer)
    done.set()
    for thread in readers:
        thread.join(PATIENCE)
    assert late == []
    assert answered[0] == 2 * VOTES
    assert {votes_at(url) for url in urls} == {3 * VOTES}
    assert any(hits), "nothing came from the cache"

    # --- one tag, eight writers on two servers: one wins ---
    headers = {"Authorization": f"Token {token}"}
    for round_ in range(5):
        _, got, _ = ask(f"{urls[0]}/api/questions/1/", **headers)
        codes = []

        def write(number, tag=got["ETag"], round_=round_, codes=codes):
            body = {"question_text": f"{round_} {number}"}
            url = f"{urls[number % 2]}/api/questions/1/"
            codes.append((ask(url, "PATCH", body, If_Match=tag, **headers)[0], number))

        for thread in in_threads([lambda number=number: write(number) for number in range(8)]):
            thread.join(PATIENCE)
        assert sorted(code for code, _ in codes) == [200] + [412] * 7
        winner = next(number for code, number in codes if code == 200)
        for url in urls:
            assert ask(f"{url}/api/questions/1/", **headers)[2]["question_text"] == f"{round_} {winner}"

    # --- killed between the commit and the version: the log makes it good ---
    counts = [ask(f"{url}/api/questions/")[2]["count"] for url in urls]
    watch = Watch(*servers)
    written = max(rows_of(grown.manage("shell", "-c", textwrap.dedent(KILLED))).values())
    for url, count in zip(urls, counts, strict=True):
        there = lambda url=url, count=count: ask(f"{url}/api/questions/")[2]["count"] == count + 1  # noqa: E731
        wait_for_promised(there, written, watch)

    # --- Redis goes: slower, not broken; comes back: still true ---
    grown.redis.stop()
    assert ask(f"{urls[0]}/api/choices/1/vote/", "POST", {})[0] == 200
    assert {votes_at(url) for url in urls} == {3 * VOTES + 1}
    grown.redis.start()
    wait_for(lambda: all(ask(f"{url}/api/choices/1/")[1]["Age"] is not None for url in urls), PATIENCE)
    assert {votes_at(url) for url in urls} == {3 * VOTES + 1}
    assert ask(f"{urls[1]}/api/choices/1/vote/", "POST", {})[0] == 200
    assert {votes_at(url) for url in urls} == {3 * VOTES + 2}
