"""``/api/questions/{pk}/choices/``: the choices of one question."""

import json
import subprocess
import sys

import pytest
from django.conf import settings

from polls.models import Choice, Question


@pytest.fixture
def url(question):
    return f"/api/questions/{question.pk}/choices/"


@pytest.fixture
def as_author(api, author):
    api.force_authenticate(author)
    return api


def test_a_question_lists_its_own_choices(api, question, hidden_question, url, django_assert_num_queries):
    Choice.objects.create(question=Question.objects.create(question_text="Other?"), choice_text="Elsewhere")
    with django_assert_num_queries(3):  # the question, the count, the page
        body = api.get(url).json()
    assert [row["choice_text"] for row in body["results"]] == ["Tea", "Coffee"]
    assert {row["question"] for row in body["results"]} == {question.pk}


def test_filters_order_and_pages_work_as_in_the_flat_list(api, question, url):
    Choice.objects.filter(choice_text="Coffee").update(votes=5)
    for query, expected in (
        ("votes__gte=1", ["Coffee"]),
        ("ordering=-votes", ["Coffee", "Tea"]),
        ("limit=1&offset=1", ["Coffee"]),
        ("choice_text=Tea", ["Tea"]),
        ("question_text=Nothing", ["Tea", "Coffee"]),  # a filter of questions, not of choices
    ):
        assert [row["choice_text"] for row in api.get(f"{url}?{query}").json()["results"]] == expected


@pytest.mark.parametrize("method", ["get", "post", "options"])
def test_a_question_that_is_missing_or_hidden_is_404(api, hidden_question, stranger, method):
    for caller in (None, stranger):
        api.force_authenticate(caller)
        answers = []
        for pk in (hidden_question.pk, 0, "x"):
            response = getattr(api, method)(f"/api/questions/{pk}/choices/")
            answers.append((response.status_code, response.json()))
        assert answers == [(404, {"detail": "Not found."})] * 3


def test_the_owner_finds_a_hidden_question(as_author, hidden_question):
    rows = as_author.get(f"/api/questions/{hidden_question.pk}/choices/").json()["results"]
    assert [row["choice_text"] for row in rows] == ["Yes"]


def test_a_choice_of_another_question_is_not_found(api, question, url):
    other = Choice.objects.create(question=Question.objects.create(question_text="Other?"), choice_text="Elsewhere")
    own = question.choices.first()
    assert api.get(f"{url}{own.pk}/").status_code == 200
    for method, path in (("get", ""), ("post", "vote/")):
        assert getattr(api, method)(f"{url}{other.pk}/{path}").status_code == 404
    other.refresh_from_db()
    assert other.votes == 0


def test_a_new_choice_belongs_to_the_question(as_author, question, url):
    response = as_author.post(url, {"choice_text": "Water"})
    assert response.status_code == 201, response.content
    assert response.json()["question"] == question.pk
    assert question.choices.filter(choice_text="Water").exists()


def test_a_choice_goes_to_no_other_question(as_author, question, url):
    other = Question.objects.create(question_text="Other?")
    choice = question.choices.first()
    for method, path in (("post", url), ("put", f"{url}{choice.pk}/"), ("patch", f"{url}{choice.pk}/")):
        response = getattr(as_author, method)(path, {"choice_text": "Water", "question": other.pk})
        assert response.status_code == 400
        message = f"This names another parent than the URL, which says question {question.pk}."
        assert response.json() == {"question": [f"{message} Leave it out, or say the same."]}
    assert not other.choices.exists()


def test_voting_works_there_too(api, question, url):
    choice = question.choices.first()
    assert api.post(f"{url}{choice.pk}/vote/").json()["votes"] == 1


def test_writing_needs_the_permission(api, stranger, url):
    assert api.post(url, {"choice_text": "Water"}).status_code == 401
    api.force_authenticate(stranger)
    assert api.post(url, {"choice_text": "Water"}).status_code == 403


def test_the_root_lists_what_needs_no_parent(api, db):
    assert set(api.get("/api/").json()) >= {"questions", "choices"}


def test_the_root_tells_people_what_it_lists(client, db):
    page = client.get("/api/", headers={"Accept": "text/html"}).content.decode()
    assert "<p>The resources of this API.</p>" in page
    assert "<h1>Api Root</h1>" in page


def test_the_browsable_pages_work(as_author, question, url):
    for path in (url, f"{url}{question.choices.first().pk}/"):
        response = as_author.get(path, headers={"accept": "text/html"})
        assert response.status_code == 200
        assert b"Choice" in response.content


@pytest.mark.django_db(transaction=True)
async def test_they_work_under_asgi(async_client, question, hidden_question, url):
    assert (await async_client.get(f"{url}?question_text=x")).json()["count"] == 2
    assert (await async_client.get(f"/api/questions/{hidden_question.pk}/choices/")).status_code == 404
    choice = await question.choices.afirst()
    assert (await async_client.post(f"{url}{choice.pk}/vote/")).json()["votes"] == 1


NAMES = """
import django, json, re
django.setup()
from django.urls import get_resolver
from io import StringIO
from django.core.management import call_command
out = StringIO()
call_command("spectacular", validate=True, fail_on_warn=True, stdout=out)
names = sorted(name for name in get_resolver().reverse_dict if isinstance(name, str))
print(json.dumps([names, re.findall("^  (/.*):$", out.getvalue(), re.MULTILINE)]))
"""


def routes(enabled, monkeypatch):
    """Return the names of all routes and the paths of the description."""
    monkeypatch.setenv("CORE_ROUTERS_ENABLED", enabled)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")
    run = subprocess.run(
        [sys.executable, "-c", NAMES], capture_output=True, text=True, check=True, cwd=settings.BASE_DIR
    )
    return [set(found) for found in json.loads(run.stdout)]


def test_the_toggle_takes_nested_routes_away_and_nothing_else(monkeypatch):
    (on, on_paths), (off, off_paths) = (routes(enabled, monkeypatch) for enabled in ("true", "false"))
    assert off < on
    assert on - off == {"question-choice-detail", "question-choice-list", "question-choice-vote"}
    assert off_paths < on_paths
    above = "/api/questions/{parent_lookup_question}/choices/"
    assert on_paths - off_paths == {above, f"{above}{{id}}/", f"{above}{{id}}/vote/"}
    assert {"choice-vote", "question-detail"} <= off
    assert "/api/choices/{id}/vote/" in off_paths
