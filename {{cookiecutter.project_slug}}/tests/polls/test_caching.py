"""Questions and choices are cached and tagged, and always what the database holds."""

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from core.testing import socket
from polls.models import Choice, Question

pytestmark = pytest.mark.django_db(transaction=True)


def hit(response):
    return "Age" in response


def test_lists_and_rows_are_answered_from_the_cache(api, question, django_assert_num_queries):
    choice = question.choices.first()
    urls = ("/api/questions/", f"/api/questions/{question.pk}/", "/api/choices/", f"/api/choices/{choice.pk}/")
    for url in urls:
        first = api.get(url)
        with django_assert_num_queries(0):
            assert hit(api.get(url))
            assert api.get(url, HTTP_IF_NONE_MATCH=first["ETag"]).status_code == 304


def test_a_vote_is_seen_wherever_the_choice_is(api, question):
    choice = question.choices.first()
    urls = (f"/api/questions/{question.pk}/", "/api/choices/", f"/api/questions/{question.pk}/choices/")
    before = [api.get(url)["ETag"] for url in urls]
    assert api.post(f"/api/choices/{choice.pk}/vote/").status_code == 200
    after = [api.get(url) for url in urls]
    assert not any(map(hit, after))
    assert not set(before) & {response["ETag"] for response in after}
    assert after[0].json()["choices"][0]["votes"] == 1


def test_nested_routes_keep_asking_for_the_parent(api, question, author, django_assert_num_queries):
    """A hit costs the one query that finds the parent; a parent that is hidden takes its choices along."""
    url = f"/api/questions/{question.pk}/choices/"
    api.get(url)
    with django_assert_num_queries(1):
        assert hit(api.get(url))
    Question.objects.filter(pk=question.pk).update(published=False)
    assert api.get(url).status_code == 404
    api.force_authenticate(author)
    assert len(api.get(url).json()["results"]) == 2


def test_hidden_questions_are_kept_for_those_who_may_see_them(api, hidden_question, author, stranger):
    for user, count in ((author, 1), (stranger, 0), (None, 0), (author, 1)):
        api.force_authenticate(user)
        assert api.get("/api/questions/").json()["count"] == count


def test_a_lost_update_is_refused(api, question, author):
    api.force_authenticate(author)
    url = reverse("question-detail", args=[question.pk])
    tag = api.get(url)["ETag"]
    assert api.patch(url, {"question_text": "Tea?"}, HTTP_IF_MATCH=tag).status_code == 200
    refused = api.patch(url, {"question_text": "Milk?"}, HTTP_IF_MATCH=tag)
    assert refused.status_code == 412
    assert Question.objects.get().question_text == "Tea?"
    assert api.delete(url, HTTP_IF_MATCH=refused["ETag"]).status_code == 204
    assert not Choice.objects.exists()


@pytest.mark.parametrize("off", [("CACHING",), ("ETAGS",), ("CACHING", "ETAGS")])
def test_the_toggles_make_them_vanish(api, question, settings, off):
    settings.CORE = {**settings.CORE, **{name: {"ENABLED": False} for name in off}}
    api.get("/api/questions/")
    response = api.get("/api/questions/")
    assert hit(response) is ("CACHING" not in off)
    assert response.has_header("ETag") is ("ETAGS" not in off)
    assert response.json()["count"] == 1


BULK = {"HTTP_X_BULK_OPERATION": "true"}


def as_(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


def in_the_admin(user, path, data):
    user.is_staff = user.is_superuser = True
    user.save()
    client = Client()
    client.force_login(user)
    assert client.post(f"/admin/polls/{path}", data).status_code == 302


def in_a_batch(user, *items, **flags):
    answers = as_(user).post("/api/batch/", {"batch": items, **flags}, format="json").json()
    assert all(answer["code"] < 300 for answer in answers)


def patch_of(choice):
    return {"method": "PATCH", "relative_url": f"/api/choices/{choice.pk}/", "body": {"choice_text": "Water"}}


SURFACES = {
    "HTTP": lambda user, choice: as_(user).patch(f"/api/choices/{choice.pk}/", {"choice_text": "Water"}),
    "a nested route": lambda user, choice: as_(user).delete(
        f"/api/questions/{choice.question_id}/choices/{choice.pk}/"
    ),
    "a batch": lambda user, choice: in_a_batch(user, patch_of(choice)),
    "an atomic batch": lambda user, choice: in_a_batch(user, patch_of(choice), atomic=True),
    "bulk POST": lambda user, choice: as_(user).post(
        f"/api/questions/{choice.question_id}/choices/", [{"choice_text": "Water"}], format="json"
    ),
    "bulk PATCH": lambda user, choice: as_(user).patch("/api/choices/", {"choice_text": "Water"}, **BULK),
    "bulk DELETE": lambda user, choice: as_(user).delete("/api/choices/", **BULK),
    "admin, changed": lambda user, choice: in_the_admin(
        user,
        f"choice/{choice.pk}/change/",
        {"question": choice.question_id, "choice_text": "Water", "votes": 3},
    ),
    "admin, deleted": lambda user, choice: in_the_admin(user, f"choice/{choice.pk}/delete/", {"post": "yes"}),
    "a command": lambda user, choice: call_command("loaddata", "example", verbosity=0),
    "a shell": lambda user, choice: Choice.objects.filter(pk=choice.pk).update(choice_text="Water"),
}
"""Every way in but the socket."""


def shown(choice):
    """What everybody is shown of ``choice``, by path, with the tags."""
    urls = (
        *("/api/choices/", f"/api/choices/{choice.pk}/", "/api/questions/", f"/api/questions/{choice.question_id}/"),
        f"/api/questions/{choice.question_id}/choices/",
    )
    answers = {url: APIClient().get(url) for url in urls}
    return {url: (answer.status_code, answer.content, answer.get("ETag")) for url, answer in answers.items()}


def agrees(choice, before, settings):
    """Tell whether the list is another than before, and everything what it is without a cache."""
    now = shown(choice)
    settings.CORE = {"CACHING": {"ENABLED": False}}
    truth = shown(choice)
    settings.CORE = {}
    return now == truth and now["/api/choices/"] != before["/api/choices/"]


@pytest.mark.parametrize("surface", SURFACES)
def test_however_a_row_is_written_everything_that_is_cached_shows_it(question, author, settings, surface):
    choice = question.choices.first()
    before = shown(choice)
    assert shown(choice) == before
    SURFACES[surface](author, choice)
    assert agrees(choice, before, settings)


def test_what_is_written_over_the_socket_is_shown_too(question, author, settings):
    choice = question.choices.first()

    async def write():
        async with socket(author) as ws:
            reply = await ws.request("choices", "patch", {"choice_text": "Water"}, pk=choice.pk)
            assert reply["response_status"] == 200

    before = shown(choice)
    async_to_sync(write)()
    assert agrees(choice, before, settings)
