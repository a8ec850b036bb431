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
TAG = "the tag that an earlier item answered"
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
        "If-None-Match": st.sampled_from(['"x"', "*", TAG, TAG]),
    },
)
reads = st.fixed_dictionaries(
    {"method": st.sampled_from(["GET", "GET", "GET", "HEAD", "OPTIONS"]), "relative_url": urls, "headers": headers}
)
rows_sent = st.fixed_dictionaries(
    {},
    optional={
        "id": keys,
        "question_text": st.sampled_from(["Why?", "Why?", "", "x" * 300, 5]),
        "published": st.sampled_from([True, False, "perhaps"]),
        "choice_text": st.sampled_from(["Yes", "\u00e9\u4e2d", ""]),
        "question": keys,
    },
)
bodies = st.one_of(
    rows_sent,
    st.lists(rows_sent, max_size=3),
    st.sampled_from(["no json", '{"question_text": "As a string?"}', [], 5]),
)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "If-Match": st.sampled_from(['"x"', "*", TAG, TAG, TAG]),
        "If-None-Match": st.sampled_from(["*", TAG]),
        "X-BULK-OPERATION": st.just("true"),
    },
)
lists = st.sampled_from(["/api/questions/", "/api/choices/", "/api/choices/?votes__gte=2", "/api/questions/1/choices/"])
writes = st.one_of(
    st.fixed_dictionaries(
        {
            "method": st.sampled_from(["POST", "PUT", "PATCH", "DELETE"]),
            "relative_url": urls,
            "headers": st.one_of(headers, conditions),
            "body": bodies,
        }
    ),
    st.fixed_dictionaries(
        {
            "method": st.sampled_from(["POST", "PATCH", "DELETE"]),
            "relative_url": lists,
            "headers": conditions,
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


def one_by_one(client, items):
    """Send the items by themselves; return them with the tags that they refer to, and their answers."""
    sent, answers = [], []
    for number, asked in enumerate(items):
        tagged = [
            (other, dict(answer[1])["ETag"])
            for other, answer in enumerate(answers)
            if answer[0] < 400 and "ETag" in dict(answer[1])
        ]
        item = {**asked, "name": f"n{number}", "headers": {**asked.get("headers", {})}}
        plain = {**item, "headers": dict(item["headers"])}
        for name, value in [*item["headers"].items()]:
            if value == TAG and not tagged:
                del item["headers"][name], plain["headers"][name]
            elif value == TAG:
                item["headers"][name] = f"{{result=n{tagged[-1][0]}:$headers.ETag}}"
                plain["headers"][name] = tagged[-1][1]
        sent.append(item)
        answers.append(alone(client, plain))
    return sent, answers


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(items=batches, who=st.sampled_from([0, 1, 1]), atomic=st.booleans(), ordered=st.booleans())
def test_a_batch_gives_what_the_same_requests_give_one_by_one(clients, author, items, who, atomic, ordered):
    client = clients[who]
    start_over(author)
    before = rows()
    sent, wanted = one_by_one(client, items)
    if (
        not ordered
    ):  # then nothing but dependencies makes an order: each item waits for the one before, so none may fail
        items = [item for item, answer in zip(items, wanted, strict=True) if answer[0] < 400]
        start_over(author)
        sent, wanted = one_by_one(client, items)
        if any(answer[0] >= 400 for answer in wanted):
            return
        sent = [{**item, "depends_on": f"n{number - 1}"} if number else item for number, item in enumerate(sent)]
    after = rows()
    start_over(author)
    data = json.dumps({"batch": sent, "atomic": atomic, "ordered": ordered})
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
