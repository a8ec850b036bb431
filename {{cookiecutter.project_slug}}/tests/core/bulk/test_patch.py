"""PATCH of a list with one body for every row."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers

from tests.bulk_app.api import PERSON, PersonSerializer, PersonViewSet, serializer_of, viewset_of
from tests.bulk_app.models import Loose, Person, Skill, Team
from tests.core.bulk.conftest import DRY

WRITABLE = ("email", "email_provider", "age", "team", "number", "captain", "skills")


def writes(context):
    return [
        each["sql"]
        for each in context.captured_queries
        if each["sql"].startswith(("UPDATE", "INSERT", "DELETE", "WITH"))
    ]


def test_all_rows_are_written_by_one_statement(people, crowd):
    crowd(5)
    with CaptureQueriesContext(
        connection,
    ) as context:
        response = people.patch("?email__endswith=gmail.com", {"email_provider": "google", "age": 7})
    assert (response.status_code, response["X-Bulk-Rows"]) == (204, "3")
    updates = [sql for sql in writes(context) if "bulk_person" in sql]
    assert len(updates) == 1
    assert Person.objects.filter(email_provider="google", age=7).count() == 3


def test_columns_with_the_time_of_the_last_write_are_kept_true(people, crowd):
    before = crowd(1)[0].written
    people.patch(data={"age": 7})
    assert Person.objects.get().written > before


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"email_provider": "myspace"}, {"email_provider": ['"myspace" is not a valid choice.']}),
        ({"age": -1}, {"age": ["Ensure this value is greater than or equal to 0."]}),
        ({"age": "x"}, {"age": ["A valid integer is required."]}),
        ({"age": None}, {"age": ["This field may not be null."]}),
        ({"team": 99}, {"team": ['Invalid pk "99" - object does not exist.']}),
        ({"id": 5}, {"id": ["This field is read-only."]}),
        ({"written": None}, {"written": ["This field is read-only."]}),
        (
            {"agee": 5, "age": 5},
            {"agee": [f"There is no such field. Those that can be written are: {', '.join(WRITABLE)}."]},
        ),
        ({}, {"detail": "The body names no field: there is nothing to write."}),
        ("text", {"non_field_errors": ["Invalid data. Expected a dictionary, but got str."]}),
    ],
)
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_body_that_is_wrong_is_400_and_writes_nothing(people, crowd, body, errors, rows):
    crowd(rows)
    response = people.patch(data=body)
    assert response.status_code == 400
    assert response.json() == errors
    assert not Person.objects.exclude(age=30).exists()


def test_a_value_too_long_is_400(verbs):
    rows = verbs(viewset_of(serializer_of(Loose, "id", "text", "size")))
    Loose.objects.create(text="a")
    response = rows.patch(data={"text": "x" * 31})
    assert (response.status_code, response.json()) == (
        400,
        {"text": ["Ensure this field has no more than 30 characters."]},
    )


def test_a_unique_value_cannot_be_given_to_two_rows(people, crowd):
    _, second = crowd(2)
    response = people.patch(data={"email": "same@x.com"})
    assert response.status_code == 400
    assert response.json() == {
        "email": [f"person with this email already exists. Item 0 has the same value. (person {second.pk})"]
    }
    assert set(Person.objects.values_list("email", flat=True)) == {"p0@gmail.com", "p1@yahoo.com"}


def test_a_unique_value_can_be_given_to_one_row_and_be_what_it_was(people, crowd):
    crowd(2)
    assert people.patch("?email=p0@gmail.com", {"email": "p0@gmail.com"}).status_code == 204
    assert people.patch("?email=p0@gmail.com", {"email": "new@x.com"}).status_code == 204
    response = people.patch("?email=new@x.com", {"email": "p1@yahoo.com"})
    assert response.status_code == 400
    assert "already exists" in response.json()["email"][0]


def test_a_unique_set_is_judged_by_each_row(people, crowd):
    one, two = (Team.objects.create(name=name, code=name) for name in "ab")
    first, second = crowd(2)
    Person.objects.filter(pk=first.pk).update(team=one, number=1)
    Person.objects.filter(pk=second.pk).update(team=two, number=2)
    assert people.patch(data={"number": 7}).status_code == 204
    response = people.patch(data={"team": one.pk})
    assert response.status_code == 400
    ((name, (sentence,)),) = response.json().items()
    assert (name, sentence.startswith("The fields team, number must make a unique set.")) == ("non_field_errors", True)
    assert sentence.endswith(f"(person {second.pk})")
    assert list(Person.objects.order_by("id").values_list("team", "number")) == [(one.pk, 7), (two.pk, 7)]


def test_a_constraint_that_no_serializer_knows_is_409_and_writes_nothing(people, crowd):
    crowd(2)
    response = people.patch(data={"age": 200})
    assert response.status_code == 409
    assert response.json() == {"detail": "A constraint of the database refuses these values; nothing was written."}
    assert set(Person.objects.values_list("age", flat=True)) == {30}


def test_many_to_many_fields_are_set_for_all_rows(people, crowd):
    tea, milk, cake = (Skill.objects.create(name=name) for name in ("tea", "milk", "cake"))
    rows = crowd(3)
    rows[0].skills.set([tea, cake])
    rows[1].skills.set([milk])
    assert people.patch(data={"skills": [tea.pk, milk.pk], "age": 9}).status_code == 204
    assert [set(row.skills.all()) for row in rows] == [{tea, milk}] * 3
    assert set(Person.objects.values_list("age", flat=True)) == {9}
    assert people.patch(data={"skills": []}).status_code == 204
    assert [row.skills.count() for row in rows] == [0, 0, 0]


def test_a_serializer_that_judges_by_the_row_is_asked_for_each(verbs, crowd):
    class Careful(PersonSerializer):
        def validate(self, attrs):
            if attrs.get("age", 0) < self.instance.age:
                raise serializers.ValidationError("Nobody gets younger.")
            return attrs

    people = verbs(type("V", (PersonViewSet,), {"serializer_class": Careful}))
    _, second = crowd(2)
    Person.objects.filter(pk=second.pk).update(age=60)
    response = people.patch(data={"age": 50})
    assert response.status_code == 400
    assert response.json() == {"non_field_errors": [f"Nobody gets younger. (person {second.pk})"]}
    assert sorted(Person.objects.values_list("age", flat=True)) == [30, 60]
    assert people.patch(data={"age": 70})["X-Bulk-Rows"] == "2"


def test_a_serializer_that_updates_in_its_own_way_does_so_for_each_row_or_none(verbs, crowd):
    class Own(PersonSerializer):
        def update(self, instance, validated_data):
            if instance.number == 2:
                raise serializers.ValidationError({"number": ["Not this one."]})
            return super().update(instance, {"age": validated_data["age"] + instance.number})

    people = verbs(type("V", (PersonViewSet,), {"serializer_class": Own}))
    for number, row in enumerate(crowd(3)):
        Person.objects.filter(pk=row.pk).update(number=number)
    assert people.patch(data={"age": 50}).status_code == 400
    assert set(Person.objects.values_list("age", flat=True)) == {30}
    Person.objects.filter(number=2).update(number=5)
    assert people.patch(data={"age": 50}).status_code == 204
    assert sorted(Person.objects.values_list("age", flat=True)) == [50, 51, 55]


def test_fields_that_a_serializer_closes_once_a_row_exists_stay_closed(verbs, crowd):
    class Closing(PersonSerializer):
        def get_fields(self):
            fields = super().get_fields()
            fields["age"].read_only = self.instance is not None
            return fields

    people = verbs(type("V", (PersonViewSet,), {"serializer_class": Closing}))
    crowd(2)
    assert people.patch(data={"age": 1}).json() == {"age": ["This field is read-only."]}


def test_a_rehearsal_validates_counts_and_touches_nothing(people, crowd):
    crowd(3)
    assert people.patch("?email__endswith=gmail.com", {"age": 5}, headers=DRY).json() == {"rows": 2}
    assert people.patch(data={"skills": []}, headers=DRY).json() == {"rows": 3}
    assert people.patch(data={"age": -1}, headers=DRY).status_code == 400
    assert set(Person.objects.values_list("age", flat=True)) == {30}


def test_more_rows_than_allowed_are_refused_with_both_numbers(people, crowd, settings):
    settings.CORE = {"BULK": {"MAX_ROWS": 3}}
    crowd(4)
    for body in ({"age": 5}, {"skills": []}):
        response = people.patch(data=body)
        assert response.status_code == 400
        assert response.json() == {"detail": "This would touch 4 rows; at most 3 are allowed in one request."}


def test_an_empty_set_is_no_error(people):
    response = people.patch("?age=1", {"age": 2})
    assert (response.status_code, response["X-Bulk-Rows"]) == (204, "0")


def test_a_form_is_a_body_too(people, crowd):
    crowd(2)
    response = people.client.patch("/rows/", {"age": "5"}, format="multipart", headers=people.headers)
    assert response.status_code == 204
    assert set(Person.objects.values_list("age", "captain")) == {(5, False)}


@pytest.mark.parametrize("count", [2, 40])
@pytest.mark.parametrize(
    ("body", "queries"),
    [
        ({"age": 5}, 3),  # count, a row to validate by, UPDATE
        ({"number": 5}, 4),  # count, a row to validate by, the rows, UPDATE
        ({"skills": "all"}, 10),
    ],
)
def test_the_number_of_queries_does_not_grow(people, crowd, count, body, queries):
    crowd(count)
    if "skills" in body:
        body = {"skills": [Skill.objects.create(name=name).pk for name in "abc"]}
    with CaptureQueriesContext(connection) as context:
        assert people.patch(data=body).status_code == 204
    own = [each["sql"] for each in context if "bulk_" in each["sql"] and "FOR UPDATE" not in each["sql"]]
    assert len(own) <= queries, own


def test_fields_of_the_serializer_with_another_source_are_written_under_their_column(verbs):
    renamed = serializer_of(Loose, "id", "words", words=serializers.CharField(source="text"))
    rows = verbs(viewset_of(renamed))
    Loose.objects.create(text="a")
    assert rows.patch(data={"words": "b"}).status_code == 204
    assert Loose.objects.get().text == "b"


def test_everything_that_a_list_shows_is_one_of_the_fields(people):
    assert set(PERSON) == set(PersonSerializer().fields)
