"""Bulk verbs under a parent."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from core.routers import ExtendedSimpleRouter
from tests.bulk_app.api import serializer_of, viewset_of
from tests.bulk_app.models import Person, Skill, Team
from tests.core.bulk.conftest import HEADER

Teams = viewset_of(serializer_of(Team, "id", "name", "code"))
People = viewset_of(serializer_of(Person, "id", "email", "email_provider", "age", "team", "number"))
Hidden = viewset_of(serializer_of(Person, "id", "email", "email_provider", "age", "number", "captain"))
Skills = viewset_of(serializer_of(Skill, "id", "name"))


@pytest.fixture
def teams(serve, db):
    router = ExtendedSimpleRouter()
    teams = router.register("teams", Teams, "team")
    teams.register("people", People, "person", ["team"]).register("skills", Skills, "skill", ["people__team", "people"])
    teams.register("hidden", Hidden, "hidden", ["team"])
    serve(router.urls)
    rows = [Team.objects.create(name=name, code=name) for name in "ab"]
    for team in rows:
        for number in range(3):
            Person.objects.create(email=f"{team.name}{number}@x.com", email_provider="other", team=team, number=number)
    return rows


def send(method, url, data=None):
    return getattr(APIClient(), method)(url, data, format="json", headers=HEADER)


def person(name, **more):
    return {"email": f"{name}@x.com", "email_provider": "google", **more}


def test_only_rows_of_the_parent_are_touched(teams):
    a, b = teams
    assert send("patch", f"/teams/{a.pk}/people/", {"age": 1})["X-Bulk-Rows"] == "3"
    assert set(b.people.values_list("age", flat=True)) == {30}
    other = b.people.first()
    assert send("patch", f"/teams/{a.pk}/people/", [{"id": other.pk, "age": 1}]).status_code == 400
    assert send("delete", f"/teams/{a.pk}/people/")["X-Bulk-Rows"] == "3"
    assert b.people.count() == 3


def test_a_parent_that_does_not_exist_is_404(teams):
    for method, data in (("patch", {"age": 1}), ("patch", [{"id": 1}]), ("delete", None), ("post", [person("n")])):
        assert send(method, "/teams/999/people/", data).status_code == 404


def test_new_rows_are_linked_to_the_parent_and_may_name_no_other(teams):
    a, b = teams
    url = f"/teams/{a.pk}/people/"
    response = send("post", url, [person("n1", number=11), person("n2", number=12, team=a.pk)])
    assert [row["team"] for row in response.json()] == [a.pk, a.pk]
    response = send("post", url, [person("n3", number=13), person("n4", number=14, team=b.pk)])
    assert response.status_code == 400
    assert {place: list(errors) for place, errors in response.json().items()} == {"1": ["team"]}
    assert a.people.count() == 5


@pytest.mark.parametrize("body", [lambda _, to: {"team": to}, lambda row, to: [{"id": row, "team": to}]])
def test_rows_cannot_be_moved_to_another_parent(teams, body):
    a, b = teams
    row = a.people.first()
    response = send("patch", f"/teams/{a.pk}/people/", body(row.pk, b.pk))
    assert response.status_code == 400
    assert "another parent" in response.content.decode()
    assert a.people.count() == 3
    assert send("patch", f"/teams/{a.pk}/people/", body(row.pk, a.pk)).status_code == 204


SENTENCE = "Person with this Team and Number already exists."


def test_unique_sets_with_the_parents_column_are_judged_by_place(teams):
    """What the URL supplies counts, against rows and among the objects, of a POST as of a PATCH; nothing is written."""
    a, _ = teams
    url = f"/teams/{a.pk}/hidden/"
    rows = list(a.people.order_by("number"))
    response = send("post", url, [person("n1", number=5), person("n2", number=0), person("n3", number=5)])
    repeated = f"{SENTENCE} Item 0 has the same values."
    assert response.json() == {"1": {"non_field_errors": [SENTENCE]}, "2": {"non_field_errors": [repeated]}}
    items = [{"id": rows[0].pk, "number": 7}, {"id": rows[1].pk, "number": 2}, {"id": rows[2].pk, "number": 7}]
    response = send("patch", url, items)
    assert response.json() == {"1": {"non_field_errors": [SENTENCE]}, "2": {"non_field_errors": [repeated]}}
    response = send("patch", url, {"number": 8})
    assert response.status_code == 400
    assert f"{SENTENCE} Item 0 has the same values. (person {rows[1].pk})" in response.content.decode()
    assert set(a.people.values_list("number", flat=True)) == {0, 1, 2}
    kept = [{"id": row.pk, "number": number} for row, number in zip(rows, (0, None, 9), strict=True)]
    assert send("patch", url, kept).status_code == 204
    assert [row.number for row in a.people.order_by("pk")] == [0, None, 9]


def test_a_unique_set_under_a_condition_is_judged_by_place(teams):
    a, b = teams
    url = f"/teams/{a.pk}/hidden/"
    b.people.update(captain=False)
    response = send("post", url, [person(f"n{n}", number=10 + n, captain=n > 0) for n in range(3)])
    assert {place: "Item 1 has the same values" in str(each) for place, each in response.json().items()} == {"2": True}
    rows = list(a.people.order_by("number"))
    assert send("patch", url, [{"id": rows[0].pk, "captain": True}, {"id": rows[1].pk, "age": 3}]).status_code == 204
    response = send("patch", url, [{"id": rows[1].pk, "captain": True}, {"id": rows[0].pk, "captain": True}])
    assert list(response.json()) == ["0", "1"]
    assert a.people.get(captain=True) == rows[0]


@pytest.mark.parametrize("count", [2, 40])
def test_the_number_of_queries_does_not_grow_for_sets_with_the_parents_column(teams, count):
    a, _ = teams
    url = f"/teams/{a.pk}/hidden/"
    with CaptureQueriesContext(connection) as context:
        body = [person(f"n{n}", number=100 + n, captain=n == 0) for n in range(count)]
        assert send("post", url, body).status_code == 201
    assert len([each for each in context if '"bulk_' in each["sql"]]) <= 8
    keys = list(a.people.filter(number__gte=100).values_list("id", flat=True))
    with CaptureQueriesContext(connection) as context:
        assert send("patch", url, [{"id": key, "number": 500 + n} for n, key in enumerate(keys)]).status_code == 204
    own = [each["sql"] for each in context if '"bulk_' in each["sql"] and "FOR UPDATE" not in each["sql"]]
    assert len(own) <= 6, own


def test_many_to_many_parents_are_linked(teams):
    a, _ = teams
    row = a.people.first()
    url = f"/teams/{a.pk}/people/{row.pk}/skills/"
    assert send("post", url, [{"name": "tea"}, {"name": "milk"}]).status_code == 201
    assert set(row.skills.values_list("name", flat=True)) == {"tea", "milk"}
    stranger = Skill.objects.create(name="cake")
    assert send("patch", url, {"name": "x"})["X-Bulk-Rows"] == "2"
    assert send("delete", url)["X-Bulk-Rows"] == "2"
    assert list(Skill.objects.all()) == [stranger]


@pytest.mark.parametrize("count", [2, 40])
def test_the_number_of_queries_does_not_grow_under_a_parent(teams, count):
    a, _ = teams
    url = f"/teams/{a.pk}/people/"
    with CaptureQueriesContext(connection) as context:
        assert send("post", url, [person(f"n{n}", number=100 + n) for n in range(count)]).status_code == 201
    assert len([each for each in context if '"bulk_' in each["sql"]]) <= 8
    keys = list(a.people.filter(number__gte=100).values_list("id", flat=True))
    with CaptureQueriesContext(connection) as context:
        assert send("patch", url, [{"id": key, "age": n} for n, key in enumerate(keys)]).status_code == 204
        assert send("patch", url, {"age": 5}).status_code == 204
    assert len([each for each in context if '"bulk_' in each["sql"]]) <= 12
