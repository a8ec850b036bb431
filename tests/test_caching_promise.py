"""Caches and tags hold what they promise between processes: two servers, on PostgreSQL and Redis, every way of writing.

Rows are written over HTTP, in batches, over the resource socket, in the admin and in shells, committed and rolled back.
After each write both servers have to show what a third one shows, whose caches and tags are off; whoever comes with the
tag of what was there before is told 304 exactly if that is what is there still. Then the same with writers and readers
at once.
"""

import json
import random
import subprocess
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from processes import grown_site
from websockets.sync.client import connect

pytestmark = pytest.mark.services

HOST = "site.localhost"
"""Every server is asked by this name, as behind a load balancer, so that they share what they keep."""
TIMEOUT = 300  # seconds; nothing waits for its end
UNLIMITED = {f"THROTTLE_{who}": "1000000/s" for who in ("ANON", "USER", "TOKEN")}
PASSWORD = "pass word"
BULK = {"X-Bulk-Operation": "true"}

# Runs in a shell for as long as the test: executes what it is sent, line by line, and says what became of it.
SHELL = """
    import json, sys, traceback
    from asgiref.sync import async_to_sync
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection, transaction
    from core.changes import record_change
    from polls.models import Choice, Question
    from rest_framework.authtoken.models import Token
    for line in sys.stdin:
        result = None
        try:
            exec(json.loads(line))
            print(json.dumps({"result": result}), flush=True)
        except Exception:
            print(json.dumps({"error": traceback.format_exc()}), flush=True)
"""

PEOPLE = f"""
root = User.objects.create_superuser("root", "", "{PASSWORD}")
users = [root] + [User.objects.create_user(name) for name in ("owner", "stranger")]
result = {{user.username: Token.objects.create(user=user).key for user in users}}
"""

ROWS = """
User.objects.filter(username="stranger").update(is_staff=False)
Question.objects.all().delete()
owner = User.objects.get(username="owner")
questions = Question.objects.bulk_create(
    Question(question_text=f"{n}", published=n != 1, owner=owner if n < 2 else None) for n in range(4)
)
Question.objects.create(question_text="secret", published=False)
choices = Choice.objects.bulk_create(
    Choice(question=question, choice_text="0") for question in questions for _ in range(4)
)
result = [[row.pk for row in rows] for rows in (questions, choices)]
"""
"""The second question is hidden; the first two belong to somebody. One that is never written shows who is staff."""


class Shell:
    """A process with the project's models, that runs what it is told."""

    def __init__(self, site):
        self._process = site.manage("shell", "--verbosity", "0", "-c", textwrap.dedent(SHELL), stdin=subprocess.PIPE)

    def __call__(self, code):
        """Run ``code``; return what it has put into ``result``."""
        self._process.stdin.write(json.dumps(textwrap.dedent(code)) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["result"]


class Site:
    """The servers and those who ask them."""

    def __init__(self, processes):
        self.processes = processes
        # One of them wraps every request into a transaction.
        settings_of = {"one": {}, "two": {"ATOMIC_REQUESTS": "true"}}
        truth = {"CORE_CACHING_ENABLED": "false", "CORE_ETAGS_ENABLED": "false"}
        self.urls = [processes.serve(name, **UNLIMITED, **own)[1] for name, own in settings_of.items()]
        self.truth = processes.serve("truth", **UNLIMITED, **truth)[1]
        self.shells = [Shell(processes) for _ in range(2)]
        self.tokens = self.shells[0](PEOPLE)
        self.session = self._log_in()
        self.callers = {
            "nobody": {},
            "owner": {"Authorization": f"Token {self.tokens['owner']}"},
            "stranger": {"Authorization": f"Token {self.tokens['stranger']}"},
            "root": {"Cookie": "; ".join(f"{name}={value}" for name, value in self.session.items())},
        }
        self.questions, self.choices = [], []
        self.hits = self.unchanged = 0

    def _log_in(self):
        with httpx.Client(base_url=self.urls[0], timeout=TIMEOUT) as client:
            client.get("/admin/login/")
            form = {"username": "root", "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
            assert client.post("/admin/login/", data=form).status_code == 302
            return dict(client.cookies)

    def reset(self):
        """Put the rows to begin with where there may be others."""
        self.questions, self.choices = self.shells[0](ROWS)

    @property
    def paths(self):
        """What everybody asks for."""
        shown, hidden = self.questions[:2]
        return (
            *("/api/questions/", "/api/questions/?published=false", f"/api/questions/{shown}/"),
            *(f"/api/questions/{shown}/choices/", f"/api/questions/{hidden}/choices/"),
            *("/api/choices/", "/api/choices/?choice_text__icontains=1&ordering=-choice_text,id&limit=3"),
            *(f"/api/choices/{self.choices[0]}/", f"/api/choices/?question={hidden}"),
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with grown_site(tmp_path_factory.mktemp("promise")) as processes:
        site = Site(processes)
        yield site
        assert "Traceback" not in (processes.folder / "stderr").read_text()


# --- Ways of writing ---


class Writer:
    """Somebody who writes, in every way there is. ``chance`` decides at which server."""

    def __init__(self, site, shell, chance):
        self.site = site
        self.shell = shell
        self.chance = chance
        self.question, self.choice = site.questions[0], site.choices[0]
        self._client = httpx.Client(timeout=TIMEOUT)

    def aim(self, question, choice):
        """Name the rows that are written next."""
        self.question, self.choice = question, choice
        return self

    def end(self):
        self._client.close()

    def ask(self, method, path, body=None, *, url=None, **headers):
        """Send a request as the superuser, to any server; return its answer."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers |= {"Authorization": f"Token {self.site.tokens['root']}", "Host": HOST}
        return self._client.request(
            method, (url or self.chance.choice(self.site.urls)) + path, json=body, headers=headers
        )

    def send(self, method, path, body=None, **headers):
        """The same, and hold that it succeeds."""
        answer = self.ask(method, path, body, **headers)
        assert answer.is_success, answer.text
        return answer

    def tag(self, path):
        """The tag of ``path`` as some server gives it."""
        return self.send("GET", path).headers["ETag"]

    def batch(self, *items, codes, **flags):
        """Send requests (method, path, body) in one."""
        items = [{"method": method, "relative_url": path, "body": body} for method, path, body in items]
        answers = self.send("POST", "/api/batch/", {"batch": items, **flags}).json()
        assert [answer["code"] for answer in answers] == codes, answers

    def admin(self, path, **form):
        """Send a form of the admin."""
        cookies = self.site.session
        headers = {"Cookie": self.site.callers["root"]["Cookie"], "X-CSRFToken": cookies["csrftoken"]}
        url = f"{self.chance.choice(self.site.urls)}/admin/polls/{path}"
        answer = self._client.post(url, data=form, headers=headers)
        assert answer.status_code == 302, answer.text

    def socket(self, stream, action, data=None, pk=None):
        """Send a request over the resource socket."""
        url = self.chance.choice(self.site.urls).replace("http", "ws")
        headers = {"Authorization": f"Token {self.site.tokens['root']}"}
        payload = {"action": action, "data": data, "pk": pk, "request_id": 1}
        with connect(f"{url}/ws/", additional_headers=headers, proxy=None, open_timeout=TIMEOUT) as ws:
            ws.send(json.dumps({"stream": stream, "payload": payload}))
            answer = json.loads(ws.recv(TIMEOUT))["payload"]
        assert answer["response_status"] in {200, 201}, answer

    def load(self, text):
        """Write a fixture that gives the choice a text; return its path."""
        path = self.site.processes.folder / f"choice-{self.choice}.json"
        fields = {"question": self.question, "choice_text": text, "votes": 2}
        path.write_text(json.dumps([{"model": "polls.choice", "pk": self.choice, "fields": fields}]))
        return str(path)


def _url(w):
    return f"/api/choices/{w.choice}/"


def _nested(w):
    return f"/api/questions/{w.question}/choices/"


def _tagged(w, method, path, body=None, **headers):
    """With the tag that one server gave to another; then it is used up."""
    one, other = w.chance.sample(w.site.urls, 2)
    tag = w.send("GET", path, url=one).headers["ETag"]
    answer = w.send(method, path, body, url=other, If_Match=tag, **headers)
    assert w.ask(method, path, body, url=one, If_Match=tag, **headers).status_code in {404, 412}
    if method in {"PUT", "PATCH"} and "ETag" in answer.headers:
        assert answer.headers["ETag"] == w.send("GET", path, url=one).headers["ETag"]


CHANGES = {
    "PUT": lambda w, text: w.send("PUT", _url(w), {"question": w.question, "choice_text": text}),
    "PATCH": lambda w, text: w.send("PATCH", _url(w), {"choice_text": text}),
    "PATCH, nested": lambda w, text: w.send("PATCH", f"{_nested(w)}{w.choice}/", {"choice_text": text}),
    "PATCH with a tag": lambda w, text: _tagged(w, "PATCH", _url(w), {"choice_text": text}),
    "PUT with a tag": lambda w, text: _tagged(w, "PUT", _url(w), {"question": w.question, "choice_text": text}),
    "bulk PATCH of rows": lambda w, text: w.send(
        "PATCH", "/api/choices/", [{"id": w.choice, "choice_text": text}], **BULK
    ),
    "batch": lambda w, text: w.batch(("PATCH", _url(w), {"choice_text": text}), codes=[200]),
    "atomic batch": lambda w, text: w.batch(
        *(("PATCH", _url(w), {"choice_text": each}) for each in ("0", text)), atomic=True, codes=[200, 200]
    ),
    "batch of which one fails": lambda w, text: w.batch(
        *(("PATCH", _url(w), {"choice_text": each}) for each in (text, "")), codes=[200, 400]
    ),
    "socket, update": lambda w, text: w.socket(
        "choices", "update", {"question": w.question, "choice_text": text}, w.choice
    ),
    "socket, patch": lambda w, text: w.socket("choices", "patch", {"choice_text": text}, w.choice),
    "admin": lambda w, text: w.admin(
        f"choice/{w.choice}/change/", question=str(w.question), choice_text=text, votes="3"
    ),
    "save": lambda w, text: w.shell(f"""
        choice = Choice.objects.get(pk={w.choice})
        choice.choice_text = "{text}"
        choice.save()
    """),
    "save of a field": lambda w, text: w.shell(f"""
        Choice(pk={w.choice}, choice_text="{text}").save(update_fields=["choice_text"])
    """),
    "asave": lambda w, text: w.shell(f"""
        choice = Choice.objects.get(pk={w.choice})
        choice.choice_text = "{text}"
        async_to_sync(choice.asave)()
    """),
    "update()": lambda w, text: w.shell(f"""Choice.objects.filter(pk={w.choice}).update(choice_text="{text}")"""),
    "update_or_create": lambda w, text: w.shell(f"""
        Choice.objects.update_or_create(pk={w.choice}, defaults={{"choice_text": "{text}"}})
    """),
    "bulk_update": lambda w, text: w.shell(f"""
        Choice.objects.bulk_update([Choice(pk={w.choice}, choice_text="{text}")], ["choice_text"])
    """),
    "bulk_create over what is there": lambda w, text: w.shell(f"""
        choice = Choice(pk={w.choice}, question_id={w.question}, choice_text="{text}")
        Choice.objects.bulk_create(
            [choice], update_conflicts=True, unique_fields=["id"], update_fields=["choice_text"]
        )
    """),
    "SQL that is reported": lambda w, text: w.shell(f"""
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("UPDATE polls_choice SET choice_text = '{text}' WHERE id = {w.choice}")
            record_change(Choice, "updated", [{w.choice}])
    """),
    "transaction": lambda w, text: w.shell(f"""
        with transaction.atomic():
            Choice.objects.filter(pk={w.choice}).update(choice_text="0")
            with transaction.atomic():
                Choice.objects.filter(pk={w.choice}).update(choice_text="{text}")
    """),
    "transaction with a savepoint that is rolled back": lambda w, text: w.shell(f"""
        with transaction.atomic():
            Choice.objects.filter(pk={w.choice}).update(choice_text="{text}")
            with transaction.atomic():
                Choice.objects.filter(pk={w.choice}).update(choice_text="never")
                transaction.set_rollback(True)
    """),
    "loaddata": lambda w, text: w.shell(f"""call_command("loaddata", {w.load(text)!r}, verbosity=0)"""),
}
"""Ways to give a choice another text."""


def _command(w, text):
    assert w.site.processes.manage("loaddata", "--verbosity", "0", w.load(text)).wait(TIMEOUT) == 0


WAYS = CHANGES | {
    # --- more rows ---
    "POST": lambda w, text: w.send("POST", "/api/choices/", {"question": w.question, "choice_text": text}),
    "POST, nested": lambda w, text: w.send("POST", _nested(w), {"choice_text": text}),
    "bulk POST": lambda w, text: w.send("POST", _nested(w), [{"choice_text": text}, {"choice_text": "0"}]),
    "batch that creates": lambda w, text: w.batch(
        *(("POST", _nested(w), {"choice_text": each}) for each in (text, "0")), codes=[201, 201]
    ),
    "socket, create": lambda w, text: w.socket("choices", "create", {"question": w.question, "choice_text": text}),
    "admin, a question with its choices": lambda w, text: w.admin(
        "question/add/",
        **{"question_text": text, "published": "on", "choices-TOTAL_FORMS": "1", "choices-INITIAL_FORMS": "0"},
        **{"choices-0-choice_text": text, "choices-0-votes": "1"},
    ),
    "create": lambda w, text: w.shell(f"""Choice.objects.create(question_id={w.question}, choice_text="{text}")"""),
    "bulk_create": lambda w, text: w.shell(f"""
        Choice.objects.bulk_create([Choice(question_id={w.question}, choice_text="{text}")])
    """),
    "a command": _command,
    # --- fewer rows ---
    "DELETE": lambda w, _: w.send("DELETE", _url(w)),
    "DELETE, nested": lambda w, _: w.send("DELETE", f"{_nested(w)}{w.choice}/"),
    "DELETE with a tag": lambda w, _: _tagged(w, "DELETE", _url(w)),
    "bulk DELETE": lambda w, _: (
        w.send("PATCH", _url(w), {"choice_text": "gone"}),
        w.send("DELETE", "/api/choices/?choice_text=gone", **BULK),
    ),
    "batch that deletes": lambda w, _: w.batch(("DELETE", _url(w), None), codes=[204]),
    "socket, delete": lambda w, _: w.socket("choices", "delete", pk=w.choice),
    "admin, deleted": lambda w, _: w.admin(f"choice/{w.choice}/delete/", post="yes"),
    "admin, selected and deleted": lambda w, _: w.admin(
        "choice/", action="delete_selected", _selected_action=str(w.choice), post="yes", index="0"
    ),
    "delete()": lambda w, _: w.shell(f"Choice.objects.get(pk={w.choice}).delete()"),
    "delete() of a queryset": lambda w, _: w.shell(f"Choice.objects.filter(pk={w.choice}).delete()"),
    "DELETE of a question": lambda w, _: w.send("DELETE", f"/api/questions/{w.question}/"),
    # --- many rows ---
    "bulk PATCH": lambda w, text: w.send(
        "PATCH", f"/api/choices/?question={w.question}", {"choice_text": text}, **BULK
    ),
    "bulk PATCH with a tag": lambda w, text: _tagged(
        w, "PATCH", f"/api/choices/?question={w.question}", {"choice_text": text}, **BULK
    ),
    # --- votes ---
    "vote": lambda w, _: w.send("POST", f"{_url(w)}vote/"),
    "vote in a batch": lambda w, _: w.batch(("POST", f"{_url(w)}vote/", None), codes=[200]),
    "vote over the socket": lambda w, _: w.socket("choices", "vote", pk=w.choice),
    # --- who may see what ---
    "hidden or shown": lambda w, _: w.shell(f"""
        question = Question.objects.get(pk={w.question})
        question.published = not question.published
        question.save()
    """),
    "of another owner": lambda w, _: w.shell(f"""
        question = Question.objects.get(pk={w.question})
        question.owner = None if question.owner else User.objects.get(username="stranger")
        question.save()
    """),
    "an owner is deleted": lambda w, _: (
        w.shell(f"""Question.objects.filter(pk={w.question}).update(owner=User.objects.create_user("short-lived"))"""),
        w.shell("""User.objects.get(username="short-lived").delete()"""),
        w.shell("""Question.objects.create(question_text="another")"""),
    ),
    "a user of the staff": lambda w, _: w.shell("""
        user = User.objects.get(username="stranger")
        user.is_staff = not user.is_staff
        user.save()
    """),
}
"""Every way of writing."""

REFUSED = {
    "atomic batch that fails": lambda w, text: w.batch(
        *(("PATCH", _url(w), {"choice_text": each}) for each in (text, "")), atomic=True, codes=[424, 400]
    ),
    "bulk POST that fails": lambda w, text: w.ask("POST", _nested(w), [{"choice_text": text}, {"choice_text": ""}]),
    "bulk PATCH that fails": lambda w, text: w.ask(
        "PATCH", "/api/choices/", [{"id": w.choice, "choice_text": text}, {"id": 0, "choice_text": text}], **BULK
    ),
    "a tag that is none": lambda w, text: w.ask("PATCH", _url(w), {"choice_text": text}, If_Match='"none"'),
    "transaction that is rolled back": lambda w, text: w.shell(f"""
        with transaction.atomic():
            Choice.objects.filter(pk={w.choice}).update(choice_text="{text}")
            Choice.objects.get(pk={w.choice}).delete()
            transaction.set_rollback(True)
    """),
}
"""Ways in which nothing is written."""


# --- What is shown ---


@dataclass
class Shown:
    """An answer: what of it all servers have to agree on, its tag, and whether it came from the cache."""

    status: int
    body: str
    tag: str | None = None
    kept: bool = False


TELLING = (("root", "/api/questions/"), ("stranger", "/api/questions/"))
"""Between them they show every row, and who may see what."""
SOME = 10
"""So much of all that may be asked is asked after each write."""


class Reader:
    """Asks all servers for everything, again and again, and remembers the tags."""

    def __init__(self, site):
        self.site = site
        self.seen = {}
        self.tags = {}
        self.truth = {}
        self._turn = 0
        self._connections = {
            url: HTTPConnection(url.removeprefix("http://"), timeout=TIMEOUT) for url in (site.truth, *site.urls)
        }
        self._pool = ThreadPoolExecutor(3)

    def end(self):
        self._pool.shutdown()
        for connection in self._connections.values():
            connection.close()

    def get(self, url, caller, path, tag=None):
        """Ask one server; with a ``tag``, whether there is anything new."""
        connection = self._connections[url]
        headers = {"Host": HOST, **self.site.callers[caller], **({"If-None-Match": tag} if tag else {})}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        return Shown(answer.status, body, answer.headers["ETag"], answer.headers["Age"] is not None)

    def agree(self, after, chance=None):
        """Hold that both servers show to everybody what is there, and that tags tell whether it is new.

        Of what has been seen before one server is asked whether it is new, and the other what it is; by turns. Asks for
        some things that ``chance`` chooses, or for everything. Returns whether anything has changed since last time.
        """
        self._turn = 1 - self._turn
        asked = [(caller, path) for caller in self.site.callers for path in self.site.paths]
        if chance is not None:
            asked = list(dict.fromkeys([*TELLING, *chance.sample(asked, SOME)]))
        tags = {each: self.seen[each].tag for each in asked if each in self.seen}
        urls = (self.site.truth, self.site.urls[self._turn], self.site.urls[1 - self._turn])
        truth, plain, conditional = self._pool.map(
            lambda url, tags: {each: self.get(url, *each, tag) for each, tag in tags.items()},
            urls,
            (dict.fromkeys(asked), dict.fromkeys(asked), tags),
        )
        for each, true in truth.items():
            where = f"after {after!r}, to {each}"
            assert (plain[each].status, plain[each].body) == (true.status, true.body), where
            self._tags_tell(each, plain[each], where)
            if each in tags:
                self._condition_tells(self.seen[each], conditional[each], plain[each], where)
            self.site.hits += plain[each].kept
        self.seen |= {each: shown for each, shown in plain.items() if shown.status == 200}
        changed = any(truth[each] != self.truth.get(each) for each in TELLING)
        self.truth = truth
        return changed

    def _tags_tell(self, asked, plain, where):
        """A tag stands for one representation, and a representation has one tag, on all servers."""
        if plain.status != 200:
            return
        assert plain.tag, where
        bodies = self.tags.setdefault(asked, {})
        assert bodies.setdefault(plain.tag, plain.body) == plain.body, f"{where} what is new under an old tag"
        assert len(set(bodies.values())) == len(bodies), f"{where} what is old under a new tag"

    def _condition_tells(self, before, conditional, now, where):
        if (now.status, now.body) == (before.status, before.body):
            assert (conditional.status, conditional.tag) == (304, before.tag), where
            self.site.unchanged += 1
        else:
            assert (conditional.status, conditional.body, conditional.tag) == (now.status, now.body, now.tag), where


def given_some(examples, **strategies):
    """Run a test with so many examples: always the same ones, and no search for smaller ones, which would take long."""
    configured = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    return lambda test: configured(given(**strategies)(test))


# --- The promises ---


@given_some(2, order=st.permutations(sorted(WAYS | REFUSED)), seed=st.integers(0, 999))
def test_after_every_way_of_writing_two_servers_show_everybody_what_is_there(site, order, seed):
    site.reset()
    chance = random.Random(seed)
    writer, reader = Writer(site, site.shells[0], chance), Reader(site)
    try:
        reader.agree("the beginning")
        for number, way in enumerate(order, 100):
            row = chance.choice([*targets(writer, site)])
            (WAYS | REFUSED)[way](writer.aim(row["question"], row["id"]), f"{number}")
            assert reader.agree(way, chance) is (way in WAYS), f"{way} wrote nothing, or something"
        reader.agree("the end")
    finally:
        writer.end()
        reader.end()
    assert site.hits
    assert site.unchanged


def targets(writer, site):
    """The choices that may be written: those that are looked at most closely, where they are there still."""
    rows = writer.send("GET", "/api/choices/?limit=200", url=site.truth).json()["results"]
    return [row for row in rows if row["question"] in site.questions[:2]] or rows


WRITERS, READERS = 2, 3


class Race:
    """Each writer counts upwards in a row of its own; all of them ask both servers, as every caller."""

    def __init__(self, site):
        self.site = site
        self.question, self.rows = site.questions[0], site.choices[:WRITERS]
        self.answered = dict.fromkeys(self.rows, 0)
        self.late, self.hits, self.errors = [], [], []
        self.paths = (
            *(f"/api/choices/{self.rows[0]}/", "/api/choices/", f"/api/questions/{self.question}/", "/api/questions/"),
            *(f"/api/questions/{self.question}/choices/", f"/api/choices/?question={self.question}"),
        )
        self._done = threading.Event()

    def run(self):
        """Have all writers write in every way, while the readers read."""
        works = [self._write] * WRITERS + [self._read] * READERS
        threads = [threading.Thread(target=self._work, args=each) for each in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads[:WRITERS]:
            thread.join()
        self._done.set()
        for thread in threads[WRITERS:]:
            thread.join()

    def _work(self, number, does):
        chance, reader = random.Random(number), Reader(self.site)
        writer = Writer(self.site, self.site.shells[number % WRITERS], chance)
        try:
            does(number, writer, lambda: self._look(reader, chance))
        except BaseException as error:
            self.errors.append(error)
            raise
        finally:
            writer.end()
            reader.end()

    def _write(self, number, writer, look):
        writer.aim(self.question, self.rows[number])
        for value, way in enumerate(writer.chance.sample(sorted(CHANGES), len(CHANGES)), 1):
            CHANGES[way](writer, f"{value}")
            self.answered[writer.choice] = value
            for _ in self.paths:
                look()

    def _read(self, _number, _writer, look):
        while not self._done.is_set():
            look()

    def _look(self, reader, chance):
        path, before = chance.choice(self.paths), dict(self.answered)
        shown = reader.get(chance.choice(self.site.urls), chance.choice([*self.site.callers]), path)
        texts = {row["id"]: int(row["choice_text"]) for row in choices_in(json.loads(shown.body))}
        behind = [pk for pk in before.keys() & texts if texts[pk] < before[pk]]
        self.late.extend((path, before[pk], texts[pk]) for pk in behind)
        self.hits.append(shown.kept)


def test_with_writers_and_readers_at_once_no_read_shows_what_was_before_an_answered_write(site):
    site.reset()
    race = Race(site)
    race.run()
    assert race.errors == []
    assert race.late == []
    assert set(race.answered.values()) == {len(CHANGES)}
    assert any(race.hits)
    agreed(site, "all writers")


def choices_in(shown):
    """All choices in an answer, whatever it is of."""
    rows = shown.get("results", [shown])
    return [choice for row in rows for choice in row.get("choices", [row] if "choice_text" in row else [])]


def agreed(site, after):
    reader = Reader(site)
    try:
        reader.agree(after)
    finally:
        reader.end()


@given_some(
    4,
    methods=st.lists(st.sampled_from(["PUT", "PATCH", "DELETE"]), min_size=6, max_size=6),
    bulk=st.lists(st.sampled_from(["PATCH", "DELETE"]), min_size=4, max_size=4),
    seed=st.integers(0, 999),
)
def test_of_many_writers_with_one_tag_on_two_servers_exactly_one_wins(site, methods, bulk, seed):
    """Of a row, and of a list; the others are told that there is something else, or nothing."""
    site.reset()
    row, many = f"/api/choices/{site.choices[0]}/", f"/api/choices/?question={site.questions[2]}"
    for path, asked, headers in ((row, methods, {}), (many, bulk, BULK)):
        writers = [Writer(site, None, random.Random(number)) for number in range(len(asked))]
        codes = at_once(writers, asked, path, headers)
        (winner,) = [number for number, code in enumerate(codes) if code < 300]
        lost = {404, 412} if (path, asked[winner]) == (row, "DELETE") else {412}
        assert {code for number, code in enumerate(codes) if number != winner} <= lost
        assert_written(writers[0], path, asked[winner], f"by {winner}", random.Random(seed))
        for writer in writers:
            writer.end()
    agreed(site, "a race")


def at_once(writers, methods, path, headers):
    """Have each writer send its method with one and the same tag; return the statuses."""
    site, tag, start = writers[0].site, writers[0].tag(path), threading.Barrier(len(writers))

    def write(number):
        # What is not there yet: a write that changes nothing leaves the tag to the next one.
        body = {"choice_text": f"by {number}", "question": site.questions[0]}
        if methods[number] != "PUT":
            del body["question"]
        start.wait(TIMEOUT)
        url = site.urls[number % 2]
        return writers[number].ask(methods[number], path, body, url=url, If_Match=tag, **headers).status_code

    with ThreadPoolExecutor(len(writers)) as pool:
        return list(pool.map(write, range(len(writers))))


def assert_written(writer, path, method, text, chance):
    """What the winner wrote is there, and nothing else."""
    answer = writer.ask("GET", path, url=chance.choice(writer.site.urls))
    if method == "DELETE":
        assert answer.status_code == 404 or answer.json()["results"] == []
    else:
        assert {row["choice_text"] for row in choices_in(answer.json())} == {text}
