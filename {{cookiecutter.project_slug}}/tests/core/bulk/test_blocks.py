"""What single requests ask row by row, and lists once a block: values unique for a date, and links of every kind."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers

from tests.bulk_app.api import serializer_of, viewset_of
from tests.bulk_app.models import Article, Book, Mention, Skill
from tests.core.bulk.conftest import wrong

NAMES = ("id", "slug", "title", "number", "published")


def book(name, **more):
    return {"name": f"b{name}", **more}


def article(name, day="2026-03-05", **more):
    return {"slug": f"s{name}", "title": f"t{name}", "number": name, "published": f"{day}T12:00:00Z", **more}


@pytest.fixture
def articles(verbs):
    """The verbs of a table of articles."""
    return verbs(viewset_of(serializer_of(Article, *NAMES)))


def links(name, queryset):
    """A serializer that takes links which DRF would not write by itself."""
    field = serializers.PrimaryKeyRelatedField(many=True, queryset=queryset)
    return serializer_of(Book, "id", "name", name, **{name: field})


@pytest.fixture
def linked(verbs):
    """The verbs of books with the skills that they mention, by a model of its own in the middle."""
    return verbs(viewset_of(links("skills", Skill.objects.all())))


@pytest.fixture
def skills(db):
    return Skill.objects.bulk_create(Skill(name=name) for name in "abc")


def test_values_that_are_unique_for_a_date_are_judged_by_place(articles):
    """Against rows and among the objects, in the words of a single request."""
    assert articles.post(data=article(1)).status_code == 201
    alone = [
        article(2, slug="s1"),
        article(3, "2025-03-20", title="t1"),
        article(1, "2026-09-09", slug="x", title="x"),
    ]
    expected = {place: articles.post(data=body).json() for place, body in enumerate(alone)}
    assert [list(errors) for errors in expected.values()] == [["slug"], ["title"], ["number"]]
    free = article(4, "2026-03-06", slug="s1", number=90)
    assert wrong(articles.post(data=[*alone, free])) == expected
    assert articles.post(data=[free]).status_code == 201
    body = [
        article(10),
        article(11, slug="s10"),
        article(12, "2020-03-01", title="t11"),
        article(11, slug="y", title="y"),
    ]
    assert wrong(articles.post(data=body)) == {
        1: {"slug": ['This field must be unique for the "published" date. Item 0 has the same values.']},
        2: {"title": ['This field must be unique for the "published" month. Item 1 has the same values.']},
        3: {"number": ['This field must be unique for the "published" year. Item 1 has the same values.']},
    }
    assert Article.objects.count() == 2


def test_a_row_may_keep_what_is_unique_for_its_date(articles):
    """A PATCH of a list compares each row with the others, and asks for both fields as a single one does."""
    a, b = (articles.post(data=article(n)).json() for n in (1, 2))
    assert articles.patch(data=[{**a, "slug": "new"}, b]).status_code == 204
    response = articles.patch(data=[{**a, "slug": "s2"}, {**b, "title": "t2"}])
    sentence = 'This field must be unique for the "published" date.'
    assert wrong(response) == {0: {"slug": [sentence]}, 1: {"slug": [f"{sentence} Item 0 has the same values."]}}
    lonely = {"id": a["id"], "slug": "s3"}
    alone = articles.client.patch(f"/rows/{a['id']}/", lonely, format="json")
    assert wrong(articles.patch(data=[lonely])) == {0: alone.json()}


@pytest.mark.parametrize("count", [2, 40])
def test_dates_cost_no_query_per_row(articles, count):
    with CaptureQueriesContext(connection) as context:
        response = articles.post(data=[article(n, f"2026-03-{n % 28 + 1:02}") for n in range(count)])
    assert response.status_code == 201
    assert len([each for each in context if '"bulk_' in each["sql"]]) <= 4
    with CaptureQueriesContext(connection) as context:
        assert articles.patch(data=response.json()).status_code == 204
    own = [each["sql"] for each in context if '"bulk_' in each["sql"] and "FOR UPDATE" not in each["sql"]]
    assert len(own) <= 5, own


def test_links_by_a_model_of_ones_own_are_what_single_requests_make_of_them(linked, skills, ear):
    """Rows in the middle that stay keep their columns; those that go and come are told with both ends."""
    a, b, c = skills
    response = linked.post(data=[book(1, skills=[a.pk, b.pk]), book(2, skills=[b.pk, b.pk]), book(3, skills=[])])
    assert [row["skills"] for row in response.json()] == [[a.pk, b.pk], [b.pk], []]
    Mention.objects.update(weight=7)
    one, two, three = response.json()
    ear.clear()
    body = [{"id": one["id"], "skills": [b.pk, c.pk]}, {"id": three["id"], "skills": [a.pk]}]
    assert linked.patch(data=body).status_code == 204
    assert set(Mention.objects.values_list("book", "skill", "weight")) == {
        (one["id"], b.pk, 7),
        (one["id"], c.pk, 1),
        (two["id"], b.pk, 7),
        (three["id"], a.pk, 1),
    }


@pytest.mark.django_db(transaction=True)
def test_links_by_a_model_of_ones_own_are_announced(linked, skills, ear):
    a, b, _ = skills
    row = linked.post(data=[book(1, skills=[a.pk])]).json()[0]
    ear.clear()
    assert linked.patch(data=[{"id": row["id"], "skills": [b.pk]}]).status_code == 204
    told = {(model, kind): (pks, fields) for model, kind, pks, fields in ear}
    assert told["bulk.book", "updated"] == ((row["id"],), {"skills"})
    assert set(told["bulk.skill", "updated"][0]) == {a.pk, b.pk}
    assert told["bulk.mention", "created"][0] == tuple(Mention.objects.values_list("pk", flat=True))
    assert len(told["bulk.mention", "deleted"][0]) == 1


def test_two_rows_in_the_middle_for_one_link_both_stay(linked, skills):
    """A model of one's own may join the same two rows twice; what is wanted stays as it is."""
    row = linked.post(data=[book(1, skills=[skills[0].pk])]).json()[0]
    Mention.objects.create(book_id=row["id"], skill=skills[0], weight=9)
    assert linked.patch(data=[{"id": row["id"], "skills": [skills[0].pk]}]).status_code == 204
    assert sorted(Mention.objects.values_list("weight", flat=True)) == [1, 9]


@pytest.mark.parametrize("count", [2, 30])
def test_links_by_a_model_of_ones_own_cost_no_query_per_row(linked, skills, count):
    with CaptureQueriesContext(connection) as context:
        response = linked.post(data=[book(n, skills=[each.pk for each in skills]) for n in range(count)])
        assert response.status_code == 201
    assert len([each for each in context if '"bulk_' in each["sql"]]) <= 8
    with CaptureQueriesContext(connection) as context:
        body = [{"id": row["id"], "skills": [skills[0].pk]} for row in response.json()]
        assert linked.patch(data=body).status_code == 204
    own = [each["sql"] for each in context if '"bulk_' in each["sql"] and "FOR UPDATE" not in each["sql"]]
    assert len(own) <= 6, own


def pairs():
    through = Book.alike.through
    return set(through.objects.values_list("from_book", "to_book"))


@pytest.mark.parametrize("count", [3, 30])
def test_links_to_the_same_model_go_both_ways(verbs, count):
    """As if the rows were saved one after the other, at the cost of one."""
    alike = verbs(viewset_of(links("alike", Book.objects.all())))
    rows = [alike.post(data=book(n, alike=[])).json()["id"] for n in range(count)]
    a, b, c, *_ = rows

    def values(chosen):
        return [{"id": row, "alike": targets} for row, targets in chosen.items()]

    for chosen in ({a: [b, c], c: [b, c]}, {b: []}, {row: [a] for row in rows}, {a: [b], b: [c]}):
        alike.patch(data=values({row: [a, b] for row in rows}))
        before = pairs()
        for row, targets in chosen.items():
            Book.objects.get(pk=row).alike.set(targets)
        expected = pairs()
        Book.alike.through.objects.all().delete()
        Book.alike.through.objects.bulk_create(
            Book.alike.through(from_book_id=one, to_book_id=other) for one, other in before
        )
        with CaptureQueriesContext(connection) as context:
            assert alike.patch(data=values(chosen)).status_code == 204
        assert pairs() == expected
        own = [each["sql"] for each in context if '"bulk_' in each["sql"] and "FOR UPDATE" not in each["sql"]]
        assert len(own) <= 5, own
