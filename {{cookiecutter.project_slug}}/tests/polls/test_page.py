"""The page at ``/``."""

import pytest
from django.test import Client

from polls.models import Choice, Question


def test_it_shows_what_the_caller_may_see(client, author, question, hidden_question):
    text = client.get("/").content.decode()
    assert "Tea or coffee?" in text
    assert "Surprise?" not in text
    client.force_login(author)
    text = client.get("/").content.decode()
    assert "Surprise?" in text
    assert "Not published" in text


def test_it_costs_a_constant_number_of_queries(client, db, django_assert_num_queries):
    for number in range(30):
        question = Question.objects.create(question_text=f"Question {number}")
        Choice.objects.create(question=question, choice_text="Yes")
    with django_assert_num_queries(3):
        text = client.get("/").content.decode()
    assert "Question 29" in text
    assert "Question 4<" not in text
    assert "5 older questions" in text


def test_an_empty_page_says_so(client, db):
    assert "Nothing has been asked yet" in client.get("/").content.decode()


def test_bars_show_the_share_of_the_votes(client, question):
    question.choices.filter(choice_text="Tea").update(votes=3)
    question.choices.filter(choice_text="Coffee").update(votes=1)
    text = client.get("/").content.decode()
    assert "width: 75%" in text
    assert "width: 25%" in text
    assert "4 votes" in text


def test_what_people_write_is_escaped(client, question):
    question.choices.filter(choice_text="Tea").update(choice_text="<script>alert(1)</script>")
    assert "<script>" not in client.get("/").content.decode()


def test_a_vote_without_a_script_counts_and_shows_its_question(client, question):
    choice = question.choices.first()
    response = client.post("/", {"choice": choice.pk})
    assert response.status_code == 303
    assert response["Location"] == f"/#question-{question.pk}"
    choice.refresh_from_db()
    assert choice.votes == 1


@pytest.mark.parametrize("data", [{}, {"choice": "x"}, {"choice": ""}, {"choice": 10**30}, {"choice": 0}])
def test_a_vote_for_nothing_is_404(client, question, data):
    assert client.post("/", data).status_code == 404


def test_a_vote_for_a_hidden_choice_is_404(client, hidden_question):
    assert client.post("/", {"choice": hidden_question.choices.get().pk}).status_code == 404


def test_a_vote_in_somebodys_name_needs_the_csrf_token(author, question):
    client = Client(enforce_csrf_checks=True)
    client.force_login(author)
    data = {"choice": question.choices.first().pk}
    assert client.post("/", data).status_code == 403
    assert 'name="csrfmiddlewaretoken"' in client.get("/").content.decode()
    assert client.post("/", data, headers={"x-csrftoken": client.cookies["csrftoken"].value}).status_code == 303


def test_browsers_find_the_icon_where_they_look_for_it(client):
    assert client.get("/favicon.ico")["Location"] == "/static/polls/icon.svg"


def test_it_needs_nothing_from_another_host(client, question):
    text = client.get("/").content.decode()
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
