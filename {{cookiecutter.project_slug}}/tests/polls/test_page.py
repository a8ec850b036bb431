"""The page at ``/``."""

import re
from importlib import import_module

import pytest
from django.test import Client
from django.urls import path

from core.bindings.debugger import DebuggerView
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
    assert 'width="75%"' in text
    assert 'width="25%"' in text
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


def ask(client, **data):
    return client.post("/", {"question_text": "Now or later?", "choice_text": ["Now", "", "Later"], **data})


def test_a_question_is_asked_without_a_script(client, author):
    client.force_login(author)
    assert "Ask something" in client.get("/").content.decode()
    response = ask(client)
    question = Question.objects.get()
    assert response.status_code == 303
    assert response["Location"] == f"/#question-{question.pk}"
    assert question.owner == author
    assert [choice.choice_text for choice in question.choices.all()] == ["Now", "Later"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"question_text": " "}, "This field may not be blank."),
        ({"question_text": "x" * 201}, "no more than 200 characters"),
        ({"choice_text": ["Yes", "x" * 201]}, "at most 200 characters"),
    ],
)
def test_a_question_that_is_no_good_is_refused_whole_and_the_page_says_why(client, author, data, said):
    client.force_login(author)
    response = ask(client, **data)
    assert response.status_code == 400
    assert said in response.content.decode()
    assert not Question.objects.exists()


def test_who_may_not_ask_finds_no_form_and_cannot_send_it(client, stranger, db):
    assert "Log in</a> to ask" in client.get("/").content.decode()
    assert ask(client).status_code == 401
    client.force_login(stranger)
    assert "Ask something" not in client.get("/").content.decode()
    assert ask(client).status_code == 403
    assert not Question.objects.exists()


def test_its_policy_lets_nothing_run_that_is_written_into_it(client, question):
    response = client.get("/")
    assert "default-src 'self'" in response["Content-Security-Policy"]
    text = response.content.decode()
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=|javascript:", text)


def test_it_tells_its_script_what_is_switched_on(client, db, settings):
    settings.CORE = {**settings.CORE, "REACTIVE": {"ENABLED": False}}
    features = re.search(r'data-features="(.*?)"', client.get("/").content.decode())[1].split()
    assert "bindings" in features
    assert "reactive" not in features


def test_browsers_find_the_icon_where_they_look_for_it(client):
    assert client.get("/favicon.ico")["Location"] == "/static/polls/icon.svg"


def links(client):
    return set(re.findall(r'<a href="([^"]+)"', client.get("/").content.decode()))


def test_it_leads_to_the_api_its_descriptions_and_the_debugger(client, db, serve, settings):
    from core.bindings import urls as bindings_urls

    urlpatterns = import_module(settings.ROOT_URLCONF).urlpatterns
    # Whoever imported them first decided whether the debugger, which wants DEBUG, is among them.
    without = [each for each in urlpatterns if getattr(each, "urlconf_name", None) is not bindings_urls]
    serve(without)
    pages = {"/api/", "/api/docs/", "/api/asyncapi/docs/"}
    assert links(client) >= pages
    assert "/debugger/" not in links(client)
    serve([path("debugger/", DebuggerView.as_view(), name="debugger")], without)
    assert links(client) >= {*pages, "/debugger/"}


def test_it_needs_nothing_from_another_host(client, question):
    text = client.get("/").content.decode()
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
