"""Who may see what, and votes."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from polls.models import Choice, Question


def test_anybody_sees_published_questions_only(question, hidden_question):
    assert list(Question.objects.visible_to(AnonymousUser())) == [question]


def test_an_owner_sees_their_own_unpublished_questions(question, hidden_question, author, stranger):
    assert list(Question.objects.visible_to(author)) == [question, hidden_question]
    assert list(Question.objects.visible_to(stranger)) == [question]


def test_staff_see_everything(question, hidden_question, staff):
    assert list(Question.objects.visible_to(staff)) == [question, hidden_question]


def test_an_unpublished_question_without_owner_is_for_staff_only(db, author, staff):
    question = Question.objects.create(question_text="Whose?", published=False)
    assert not Question.objects.visible_to(AnonymousUser()).exists()
    assert not Question.objects.visible_to(author).exists()
    assert list(Question.objects.visible_to(staff)) == [question]


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([None, "a", "b"])), max_size=6))
def test_choices_follow_their_question_for_every_caller(db, rows):
    Question.objects.all().delete()
    users = {name: User.objects.get_or_create(username=name, is_staff=name == "s")[0] for name in "abs"}
    for published, owner in rows:
        question = Question.objects.create(question_text="?", published=published, owner=users.get(owner))
        Choice.objects.create(question=question, choice_text="!")
    for caller in (AnonymousUser(), *users.values()):
        seen = Choice.objects.visible_to(caller).values_list("question", flat=True)
        assert set(seen) == set(Question.objects.visible_to(caller).values_list("pk", flat=True))


def test_the_rule_is_one_query_without_joining_users(question, author, django_assert_num_queries):
    with django_assert_num_queries(1) as captured:
        list(Choice.objects.visible_to(author))
    assert "auth_user" not in captured.captured_queries[0]["sql"]


def test_a_vote_is_one_statement(question, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert question.choices.filter(choice_text="Tea").vote() == 1
    assert dict(question.choices.values_list("choice_text", "votes")) == {"Tea": 1, "Coffee": 0}


@pytest.mark.django_db(transaction=True)
def test_of_votes_at_the_same_time_none_is_lost(question):
    tea = question.choices.get(choice_text="Tea")

    def vote(_):
        try:
            Choice.objects.filter(pk=tea.pk).vote()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(vote, range(60)))
    tea.refresh_from_db()
    assert tea.votes == 60


def test_texts_stand_for_rows(question):
    assert str(question) == "Tea or coffee?"
    assert [str(choice) for choice in question.choices.all()] == ["Tea", "Coffee"]
