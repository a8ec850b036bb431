"""Pages of lists."""

import pytest

from polls.models import Question


@pytest.fixture
def many(db):
    Question.objects.bulk_create(Question(question_text=f"Question {n}") for n in range(230))


def test_a_page_holds_25_rows(api, many):
    body = api.get("/api/questions/").json()
    assert body["count"] == 230
    assert len(body["results"]) == 25


def test_nobody_gets_more_than_200_rows(api, many):
    assert len(api.get("/api/questions/?limit=1000000").json()["results"]) == 200


def test_limit_and_offset_move_through_the_list(api, many):
    rows = api.get("/api/questions/?limit=2&offset=3").json()["results"]
    assert [row["question_text"] for row in rows] == ["Question 3", "Question 4"]


def test_pages_follow_each_other_without_gap(api, many):
    seen, url = [], "/api/questions/?limit=100"
    while url:
        body = api.get(url).json()
        seen += [row["id"] for row in body["results"]]
        url = body["next"]
    assert len(seen) == len(set(seen)) == 230
