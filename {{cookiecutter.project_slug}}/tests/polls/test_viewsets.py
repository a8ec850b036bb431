"""The REST API of the example."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient
from rest_framework.throttling import AnonRateThrottle

from polls.models import Choice, ChoiceQuerySet, Question


@pytest.fixture
def as_author(api, author):
    api.force_authenticate(author)
    return api


def results(response):
    assert response.status_code == 200, response.content
    return response.json()["results"]


class TestReading:
    def test_a_question_comes_with_its_choices(self, api, question):
        body = api.get(f"/api/questions/{question.pk}/").json()
        assert set(body) >= {"id", "question_text", "published", "owner", "created_at", "choices"}
        assert [(row["choice_text"], row["votes"], row["question"]) for row in body["choices"]] == [
            ("Tea", 0, question.pk),
            ("Coffee", 0, question.pk),
        ]

    def test_a_list_costs_three_queries_whatever_its_length(self, api, author, django_assert_num_queries):
        for number in range(5):
            question = Question.objects.create(question_text=f"Question {number}", owner=author)
            Choice.objects.create(question=question, choice_text="Yes")
        with django_assert_num_queries(3):
            assert len(results(api.get("/api/questions/"))) == 5

    def test_what_a_caller_may_not_see_does_not_exist(self, api, stranger, hidden_question):
        api.force_authenticate(stranger)
        choice = hidden_question.choices.get()
        assert results(api.get("/api/questions/")) == []
        assert results(api.get("/api/choices/")) == []
        for url in (f"/api/questions/{hidden_question.pk}/", f"/api/choices/{choice.pk}/"):
            assert api.get(url).status_code == 404

    def test_an_owner_sees_what_is_not_published(self, as_author, hidden_question):
        assert [row["id"] for row in results(as_author.get("/api/questions/"))] == [hidden_question.pk]

    @pytest.mark.parametrize("pk", ["x", "0", "-1", "1e3", "9" * 40, "%00", "1%2F2"])
    def test_a_key_that_is_none_is_404(self, api, question, pk):
        assert api.get(f"/api/questions/{pk}/").status_code == 404

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("question_text=Tea or coffee%3F", ["Tea or coffee?"]),
            ("question_text=Tea", []),
            ("question_text__icontains=TEA", ["Tea or coffee?", "Tea time?"]),
            ("published=false", ["Draft?"]),
            ("published=true", ["Tea or coffee?", "Tea time?"]),
            ("ordering=question_text", ["Draft?", "Tea or coffee?", "Tea time?"]),
            ("ordering=-id", ["Draft?", "Tea time?", "Tea or coffee?"]),
        ],
    )
    def test_questions_are_filtered_and_ordered(self, as_author, question, author, query, found):
        Question.objects.create(question_text="Tea time?", owner=author)
        Question.objects.create(question_text="Draft?", owner=author, published=False)
        rows = results(as_author.get(f"/api/questions/?{query}"))
        assert [row["question_text"] for row in rows] == found

    def test_choices_are_filtered_and_ordered(self, api, question):
        other = Question.objects.create(question_text="Other?")
        Choice.objects.create(question=other, choice_text="Yes", votes=3)
        question.choices.filter(choice_text="Tea").update(votes=5)
        assert [row["choice_text"] for row in results(api.get("/api/choices/?votes__gte=3&ordering=-votes"))] == [
            "Tea",
            "Yes",
        ]
        assert [row["choice_text"] for row in results(api.get(f"/api/choices/?question={question.pk}"))] == [
            "Tea",
            "Coffee",
        ]

    def test_a_filter_of_the_wrong_type_is_400_and_named(self, api, question):
        response = api.get("/api/choices/?votes__gte=many")
        assert response.status_code == 400
        assert "votes__gte" in response.json()

    def test_a_hidden_question_is_asked_for_like_one_that_does_not_exist(self, api, question, hidden_question):
        for url in ("/api/choices/", f"/api/questions/{question.pk}/choices/"):
            hidden, missing = (api.get(f"{url}?question={pk}") for pk in (hidden_question.pk, 0))
            assert hidden.status_code == missing.status_code == 400
            assert hidden.json() == missing.json()

    def test_an_owner_asks_for_a_hidden_question(self, as_author, hidden_question):
        assert len(results(as_author.get(f"/api/choices/?question={hidden_question.pk}"))) == 1

    def test_the_form_of_the_filters_offers_what_the_caller_may_see(self, api, question, hidden_question, author):
        url = f"/api/questions/{question.pk}/choices/"

        def page():
            return "".join(
                api.get(at, headers={"accept": "text/html"}).content.decode() for at in ("/api/choices/", url)
            )

        assert hidden_question.question_text not in page()
        assert question.question_text in page()
        api.force_authenticate(author)
        assert hidden_question.question_text in page()


class TestWriting:
    def test_whoever_asks_owns_the_question(self, as_author, author, stranger):
        response = as_author.post("/api/questions/", {"question_text": "Why?", "owner": stranger.pk})
        assert response.status_code == 201
        assert response.json()["owner"] == author.pk
        assert Question.objects.get().owner == author

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_anonymous_callers_write_nothing(self, api, question, method):
        url = "/api/questions/" if method == "post" else f"/api/questions/{question.pk}/"
        response = getattr(api, method)(url, {"question_text": "Changed"})
        assert response.status_code == 401
        assert list(Question.objects.values_list("question_text", flat=True)) == ["Tea or coffee?"]

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_users_without_the_permission_write_nothing(self, api, stranger, question, method):
        api.force_authenticate(stranger)
        url = "/api/questions/" if method == "post" else f"/api/questions/{question.pk}/"
        assert getattr(api, method)(url, {"question_text": "Changed"}).status_code == 403
        assert list(Question.objects.values_list("question_text", flat=True)) == ["Tea or coffee?"]

    def test_change_and_delete(self, as_author, question):
        url = f"/api/questions/{question.pk}/"
        assert as_author.patch(url, {"question_text": "Changed?"}).json()["question_text"] == "Changed?"
        assert as_author.put(url, {"question_text": "Again?"}).json()["question_text"] == "Again?"
        assert as_author.delete(url).status_code == 204
        assert not Choice.objects.exists()

    def test_what_a_writer_may_not_see_they_cannot_change(self, api, hidden_question, db):
        other = User.objects.create_user("other")
        other.user_permissions.set(Permission.objects.filter(content_type__app_label="polls"))
        api.force_authenticate(other)
        url = f"/api/questions/{hidden_question.pk}/"
        assert api.patch(url, {"question_text": "Mine"}).status_code == 404
        assert api.delete(url).status_code == 404
        response = api.post("/api/choices/", {"question": hidden_question.pk, "choice_text": "Mine"})
        assert response.status_code == 400
        assert "object does not exist" in response.json()["question"][0]

    def test_votes_are_not_written(self, as_author, question):
        choice = question.choices.first()
        response = as_author.patch(f"/api/choices/{choice.pk}/", {"votes": 1000})
        assert response.json()["votes"] == 0

    @pytest.mark.parametrize("text", ["", "   ", "x" * 201, None])
    def test_a_text_that_does_not_fit_is_400_and_named(self, as_author, text):
        response = as_author.post("/api/questions/", {"question_text": text})
        assert response.status_code == 400
        assert list(response.json()) == ["question_text"]

    def test_a_session_needs_the_csrf_token(self, author):
        client = Client(enforce_csrf_checks=True)
        client.force_login(author)
        data = {"question_text": "Why?"}
        assert client.post("/api/questions/", data, content_type="application/json").status_code == 403
        client.get("/")
        token = client.cookies["csrftoken"].value
        response = client.post("/api/questions/", data, content_type="application/json", headers={"x-csrftoken": token})
        assert response.status_code == 201


class TestVoting:
    def test_anybody_votes(self, api, question):
        choice = question.choices.first()
        response = api.post(f"/api/choices/{choice.pk}/vote/")
        assert response.status_code == 200
        assert response.json() == {"id": choice.pk, "question": question.pk, "choice_text": "Tea", "votes": 1}

    def test_nobody_votes_on_what_they_may_not_see(self, api, hidden_question):
        choice = hidden_question.choices.get()
        assert api.post(f"/api/choices/{choice.pk}/vote/").status_code == 404
        choice.refresh_from_db()
        assert choice.votes == 0

    def test_a_vote_for_what_is_deleted_meanwhile_is_a_404(self, api, question, monkeypatch):
        monkeypatch.setattr(ChoiceQuerySet, "vote", lambda choices: choices.delete()[0])
        assert api.post(f"/api/choices/{question.choices.first().pk}/vote/").status_code == 404

    def test_looking_is_not_voting(self, api, question):
        assert api.get(f"/api/choices/{question.choices.first().pk}/vote/").status_code == 405

    @pytest.mark.django_db(transaction=True)
    def test_each_vote_counts_once_under_concurrency(self, question):
        url = f"/api/choices/{question.choices.first().pk}/vote/"

        def vote(_):
            try:
                return APIClient().post(url).status_code
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(vote, range(40))) == {200}
        assert question.choices.first().votes == 40


def test_too_many_requests_are_429(api, question, monkeypatch):
    monkeypatch.setattr(AnonRateThrottle, "THROTTLE_RATES", {"anon": "2/min"})
    answers = [api.get("/api/questions/") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1]["Retry-After"]) > 0
