"""Questions and choices are cached and tagged, and always what the database holds."""

import pytest
from django.urls import reverse

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
