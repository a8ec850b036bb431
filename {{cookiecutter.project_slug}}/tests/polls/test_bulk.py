"""Bulk operations of the example."""

import pytest
from django.contrib.auth.models import Permission, User

from polls.models import Choice, Question

HEADER = {"x-bulk-operation": "true"}


@pytest.fixture
def as_author(api, author):
    api.force_authenticate(author)
    return api


@pytest.fixture
def as_writer(api, db):
    """Somebody with every permission who owns nothing."""
    user = User.objects.create_user("writer")
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="polls"))
    api.force_authenticate(user)
    return api


def send(client, method, url, data=None, headers=HEADER):
    return getattr(client, method)(url, data, format="json", headers=headers)


class TestQuestions:
    def test_whoever_asks_owns_every_question(self, as_author, author, stranger):
        body = [{"question_text": text, "owner": stranger.pk} for text in ("Why?", "How?")]
        response = send(as_author, "post", "/api/questions/", body, {})
        assert response.status_code == 201
        assert [(row["question_text"], row["owner"], row["choices"]) for row in response.json()] == [
            ("Why?", author.pk, []),
            ("How?", author.pk, []),
        ]
        assert set(Question.objects.values_list("owner", flat=True)) == {author.pk}

    @pytest.mark.parametrize("count", [2, 50])
    def test_a_post_costs_the_same_whatever_its_length(self, as_author, count, django_assert_max_num_queries):
        # Two for the caller's permissions, two around the transaction, the rows, their choices, the log.
        with django_assert_max_num_queries(8):
            body = [{"question_text": f"{number}?"} for number in range(count)]
            assert send(as_author, "post", "/api/questions/", body).status_code == 201

    def test_many_are_published_by_one_request(self, as_author, question, hidden_question):
        response = send(as_author, "patch", "/api/questions/?published=false", {"published": True})
        assert (response.status_code, response["X-Bulk-Rows"]) == (204, "1")
        assert Question.objects.filter(published=True).count() == 2

    def test_what_a_writer_may_not_see_is_not_in_the_set(self, as_writer, question, hidden_question):
        assert send(as_writer, "patch", "/api/questions/", {"question_text": "Mine"})["X-Bulk-Rows"] == "1"
        assert send(as_writer, "delete", "/api/questions/")["X-Bulk-Rows"] == "1"
        assert list(Question.objects.values_list("question_text", flat=True)) == ["Surprise?"]
        body = [{"id": hidden_question.pk, "question_text": "Mine"}]
        assert send(as_writer, "patch", "/api/questions/", body).status_code == 400

    def test_the_owner_is_not_written(self, as_author, question, stranger):
        response = send(as_author, "patch", "/api/questions/", {"owner": stranger.pk})
        assert (response.status_code, response.json()) == (400, {"owner": ["This field is read-only."]})

    @pytest.mark.parametrize(
        ("method", "data"),
        [("post", [{"question_text": "?"}]), ("patch", {"published": False}), ("patch", [{"id": 1}]), ("delete", None)],
    )
    def test_callers_without_permission_do_nothing(self, api, stranger, question, method, data):
        assert send(api, method, "/api/questions/", data).status_code == 401
        api.force_authenticate(stranger)
        assert send(api, method, "/api/questions/", data).status_code == 403
        assert Question.objects.get().published

    def test_a_misspelt_filter_empties_nothing(self, as_author, question):
        response = send(as_author, "delete", "/api/questions/?publshed=false")
        assert response.status_code == 400
        assert "publshed" in response.json()
        assert Question.objects.count() == 1


class TestChoices:
    def test_choices_of_a_question_are_created_and_deleted_together(self, as_author, question):
        url = f"/api/questions/{question.pk}/choices/"
        response = send(as_author, "post", url, [{"choice_text": text} for text in ("Milk", "Juice")])
        assert [row["question"] for row in response.json()] == [question.pk] * 2
        other = Choice.objects.create(question=Question.objects.create(question_text="Other?"), choice_text="Yes")
        assert send(as_author, "patch", url, {"choice_text": "Same"})["X-Bulk-Rows"] == "4"
        assert send(as_author, "delete", url)["X-Bulk-Rows"] == "4"
        assert list(Choice.objects.all()) == [other]

    def test_choices_of_a_question_that_is_hidden_cannot_be_made(self, as_writer, hidden_question, question):
        body = [{"question": each.pk, "choice_text": "Mine"} for each in (question, hidden_question)]
        response = send(as_writer, "post", "/api/choices/", body)
        assert response.status_code == 400
        assert list(response.json()) == ["1"]
        assert send(as_writer, "post", f"/api/questions/{hidden_question.pk}/choices/", body).status_code == 404

    def test_each_choice_gets_its_own_text(self, as_author, question):
        tea, coffee = question.choices.order_by("id")
        body = [{"id": tea.pk, "choice_text": "Green tea"}, {"id": coffee.pk, "choice_text": "Espresso"}]
        assert send(as_author, "patch", "/api/choices/", body).status_code == 204
        texts = question.choices.order_by("id").values_list("choice_text", flat=True)
        assert list(texts) == ["Green tea", "Espresso"]

    def test_votes_are_not_written(self, as_author, question):
        response = send(as_author, "patch", "/api/choices/", {"votes": 1000})
        assert response.json() == {"votes": ["This field is read-only."]}

    @pytest.mark.parametrize("count", [2, 50])
    def test_foreign_keys_are_looked_up_at_once(self, as_author, author, count, django_assert_max_num_queries):
        questions = [Question.objects.create(question_text="?", owner=author) for _ in range(count)]
        body = [{"question": each.pk, "choice_text": "Yes"} for each in questions]
        with django_assert_max_num_queries(8):
            assert send(as_author, "post", "/api/choices/", body).status_code == 201
