"""The promise: a batch gives what the same requests give one by one, in status, headers and body."""

import json
from datetime import UTC, datetime

import pytest
from django.core.management.color import no_style
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from polls.models import Choice, Question

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
keys = st.integers(1, 5)
urls = st.one_of(
    st.sampled_from(
        [
            *("/api/questions/", "/api/choices/", "/api/questions/?limit=2&ordering=-id", "/api/choices/?votes__gte=x"),
            *("/api/questions/?published=false", "/nothing/", "/api/questions", "/healthz", "/api/"),
        ]
    ),
    st.builds("/api/questions/{}/".format, keys),
    st.builds("/api/choices/{}/".format, keys),
    st.builds("/api/questions/{}/choices/".format, keys),
    st.builds("/api/questions/{}/choices/{}/".format, keys, keys),
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Accept": st.sampled_from(["application/json", "image/png", "*/*"]),
        "Accept-Language": st.sampled_from(["de", "fr"]),
        "If-None-Match": st.just('"x"'),
    },
)
reads = st.fixed_dictionaries(
    {"method": st.sampled_from(["GET", "GET", "GET", "HEAD", "OPTIONS"]), "relative_url": urls, "headers": headers}
)
bodies = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "question_text": st.sampled_from(["Why?", "", "x" * 300, 5]),
            "published": st.sampled_from([True, False, "perhaps"]),
            "choice_text": st.sampled_from(["Yes", "\u00e9\u4e2d", ""]),
            "question": keys,
        },
    ),
    st.sampled_from(["no json", '{"question_text": "As a string?"}', [], 5]),
)
writes = st.one_of(
    st.fixed_dictionaries(
        {
            "method": st.sampled_from(["POST", "PUT", "PATCH", "DELETE"]),
            "relative_url": urls,
            "headers": headers,
            "body": bodies,
        }
    ),
    st.fixed_dictionaries({"method": st.just("POST"), "relative_url": st.builds("/api/choices/{}/vote/".format, keys)}),
)
batches = st.lists(st.one_of(reads, reads, writes), max_size=8)


@pytest.fixture
def clients(author, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    known = APIClient(headers={"Authorization": f"Token {Token.objects.create(user=author).key}"})
    for client in (clients := [APIClient(), known]):
        client.raise_request_exception = False
    return clients


def start_over(author):
    """The same rows, under the same keys; the next keys too."""
    Question.objects.all().delete()
    for number in (1, 2, 3):
        Question(pk=number, question_text=f"Question {number}", owner=author, published=number != 3).save(
            force_insert=True
        )
        Choice(pk=number, question_id=number, choice_text=f"Choice {number}", votes=number).save(force_insert=True)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("UPDATE sqlite_sequence SET seq = 3 WHERE name IN ('polls_question', 'polls_choice')")
        for statement in connection.ops.sequence_reset_sql(no_style(), [Question, Choice]):
            cursor.execute(statement)


def alone(client, item):
    body = item.get("body", "")
    data = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
    content_type = "application/json" if data else ""
    response = client.generic(item["method"], item["relative_url"], data, content_type, headers=item.get("headers", {}))
    return response.status_code, sorted(response.items()), response.content.decode()


def rows():
    return list(Question.objects.order_by("pk").values()), list(Choice.objects.order_by("pk").values())


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(items=batches, who=st.sampled_from([0, 1, 1]), atomic=st.booleans())
def test_a_batch_gives_what_the_same_requests_give_one_by_one(clients, author, items, who, atomic):
    client = clients[who]
    start_over(author)
    before = rows()
    wanted, after = [alone(client, item) for item in items], rows()
    start_over(author)
    data = json.dumps({"batch": items, "atomic": atomic})
    response = client.post("/api/batch/", data, content_type="application/json")
    assert response.status_code == 200, response.content
    results = response.json()
    failed = [number for number, each in enumerate(wanted) if each[0] >= 400]
    if atomic and failed:
        assert rows() == before
        culprit = failed[0]
        assert [each["code"] for number, each in enumerate(results) if number != culprit] == [424] * (len(items) - 1)
        results, wanted = [results[culprit]], [wanted[culprit]]
    else:
        assert rows() == after
    got = [(each["code"], sorted((h["key"], h["value"]) for h in each["headers"]), each["body"]) for each in results]
    assert [without_age(each) for each in got] == [without_age(each) for each in wanted]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(items=st.lists(reads, min_size=2, max_size=8))
def test_so_it_does_when_helpers_take_part(clients, author, items):
    from core.batch import workers

    start_over(author)
    wanted = [alone(clients[0], item) for item in items]
    patience, workers.PATIENCE = workers.PATIENCE, 0
    try:
        data = json.dumps({"batch": items, "ordered": False})
        results = clients[0].post("/api/batch/", data, content_type="application/json").json()
    finally:
        workers.PATIENCE = patience
    got = [(each["code"], sorted((h["key"], h["value"]) for h in each["headers"]), each["body"]) for each in results]
    assert [without_age(each) for each in got] == [without_age(each) for each in wanted]


def without_age(answer):
    """Whether an answer is made or served from the cache is open: in a transaction that has written it is made."""
    code, headers, body = answer
    return code, [(name, value) for name, value in headers if name != "Age"], body
