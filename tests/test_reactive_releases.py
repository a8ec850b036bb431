"""Two versions of the site at the same time, as while a new one is rolled out: one migration apart, on one database.

The new one has a field more, shown in every list, and a route that the old one does not know. Whichever workers are
there, every client holds what its own server answers, and nobody is told that a list is over.
"""

import os
import shutil
import sys
import textwrap
import time

import pytest
from harness import TEMPLATE, free_port
from live_clients import Client, fresh, seed
from processes import HOST, PATIENCE, answers, wait_for

CHANGES = (
    (
        "polls/models.py",
        "    votes = models.PositiveIntegerField(default=0)\n",
        '    votes = models.PositiveIntegerField(default=0)\n    hint = models.TextField(db_default="-")\n',
    ),
    ("polls/serializers.py", '"choice_text", "votes")', '"choice_text", "votes", "hint")'),
    (
        "polls/api_urls.py",
        'router.register("choices", ChoiceViewSet)',
        'router.register("choices", ChoiceViewSet)\nrouter.register("newest", ChoiceViewSet, basename="newest")',
    ),
)
LISTS = ["/api/choices/?limit=200", "/api/choices/?votes__gte=1&ordering=-votes,id", "/api/questions/?limit=100"]
NEW_LISTS = ["/api/newest/?limit=200"]
WRITE = """
    from django.db.models import F
    from polls.models import Choice, Question
    Choice.objects.create(question=Question.objects.first(), choice_text="{text}", votes=1)
    Choice.objects.filter(choice_text="c1").update(votes=F("votes") + 1)
"""


class Release:
    """One version of the code, whose processes share the site's database, Redis and settings."""

    def __init__(self, site, folder):
        self.site = site
        self.folder = folder
        self.servers = {}

    def start(self, *command):
        path = os.pathsep.join([str(self.site.folder), str(self.folder)])
        name = str(self.site.folder / f"listener-{id(self)}")
        return self.site.start(sys.executable, *command, cwd=self.folder, PYTHONPATH=path, TOY=name, TOY_DROP="0")

    def manage(self, *arguments):
        assert self.start("manage.py", *arguments).wait(PATIENCE) == 0, (self.site.folder / "stderr").read_text()

    def serve(self):
        port = free_port()
        process = self.start(
            "-m", "daphne", "-b", HOST, "-p", str(port), "--access-log", os.devnull, "toy_asgi:application"
        )
        wait_for(lambda: answers(f"http://{HOST}:{port}/healthz"), PATIENCE)
        self.servers[port] = process

    def work(self):
        return self.start(str(self.site.folder / "toy_worker.py"))

    def write(self, text):
        self.manage("shell", "-c", textwrap.dedent(WRITE.format(text=text)))

    def client(self, lists):
        made = Client(self.servers, lists)
        made.start()
        wait_for(lambda: not made.stale, PATIENCE)
        return made


def renewed(folder):
    """Make the new version of the code in ``folder``."""
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__", ".*", "*.sqlite3*"))
    for name, old, new in CHANGES:
        text = (folder / name).read_text()
        assert text.count(old) == 1, name
        (folder / name).write_text(text.replace(old, new))


def choices_in(items):
    return [choice for item in items for choice in item.get("choices", [item])]


def assert_agreed(release, client, text):
    """The client comes to hold what its server answers, with what was written last, as that code shows it."""
    [server] = release.servers

    def wrong():
        return [url for url, live in client.lists.items() if live["items"] != fresh(server, url)]

    end = time.monotonic() + PATIENCE
    while (left := wrong()) and time.monotonic() < end:
        time.sleep(0.2)
    assert not left, f"{left}\n{(release.site.folder / 'stderr').read_text()[-5000:]}"
    for live in client.lists.values():
        shown = choices_in(live["items"])
        assert text in [choice["choice_text"] for choice in shown]
        assert {"hint" in choice for choice in shown} == {release.folder != TEMPLATE}


@pytest.mark.services
def test_clients_of_two_releases_hold_what_their_own_server_answers(live_site, tmp_path):
    seed(live_site)
    old, new = Release(live_site, TEMPLATE), Release(live_site, tmp_path / "new")
    renewed(new.folder)
    old.serve()
    old_worker = old.work()
    old_client = old.client(LISTS)

    # --- the database is migrated while the old code runs; no worker knows the new code yet ---
    new.manage("makemigrations", "polls", "-v", "0")
    new.manage("migrate", "-v", "0")
    new.serve()
    new_client = new.client(LISTS + NEW_LISTS)
    old.write("one")
    for release, client in ((old, old_client), (new, new_client)):
        assert_agreed(release, client, "one")
    assert old_client.differences

    # --- workers of both ---
    new.work()
    new.write("two")
    for release, client in ((old, old_client), (new, new_client)):
        assert_agreed(release, client, "two")

    # --- the old worker is gone, its server is not ---
    old_worker.terminate()
    old_worker.wait(PATIENCE)
    told = new_client.differences
    old.write("three")
    new.write("four")
    for release, client in ((old, old_client), (new, new_client)):
        assert_agreed(release, client, "four")
        assert client.told == []
    assert new_client.differences > told

    for client in (old_client, new_client):
        client.ended.set()
        client.join(PATIENCE)
