"""PATCH of a list of objects with their keys."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.bulk_app.api import PersonSerializer, PersonViewSet, serializer_of, viewset_of
from tests.bulk_app.models import Person, Skill, Slugged, Team
from tests.core.bulk.conftest import DRY, wrong


def ages():
    return list(Person.objects.order_by("id").values_list("age", flat=True))


def test_each_row_gets_its_own_values(people, crowd):
    a, b, c = crowd(3)
    body = [{"id": c.pk, "age": 3, "email": "c@x.com"}, {"id": a.pk, "age": 1}]
    response = people.patch(data=body)
    assert (response.status_code, response.content, response["X-Bulk-Rows"]) == (204, b"", "2")
    assert ages() == [1, 30, 3]
    assert list(Person.objects.order_by("id").values_list("email", flat=True)) == [a.email, b.email, "c@x.com"]


def test_the_header_is_needed(people, crowd):
    (row,) = crowd(1)
    response = people.patch(data=[{"id": row.pk, "age": 1}], headers={})
    assert response.json() == {"detail": "Header 'X-BULK-OPERATION' should be provided for bulk operation."}


def test_keys_as_text_are_keys(people, crowd):
    (row,) = crowd(1)
    assert people.patch(data=[{"id": str(row.pk), "age": 1}]).status_code == 204
    assert ages() == [1]


def test_keys_are_judged_one_by_one_and_nothing_is_written(people, crowd):
    a, b = crowd(2)
    keys = [a.pk, str(a.pk), 999, "x", None, True, 1.5, [], 9**40]
    body = [*({"id": key, "age": 1} for key in keys), {"age": 1}, "text", {"id": b.pk, "age": 1}]
    assert wrong(people.patch(data=body)) == {
        1: {"id": ["Item 0 names the same row."]},
        **{n: {"id": [f'Invalid pk "{keys[n]}" - object does not exist.']} for n in range(2, 9)},
        9: {"id": ["This field is required."]},
        10: {"non_field_errors": ["Invalid data. Expected a dictionary, but got str."]},
    }
    assert ages() == [30, 30]


def test_rows_outside_of_the_filter_do_not_exist(people, crowd):
    a, b = crowd(2)
    response = people.patch("?email__endswith=gmail.com", [{"id": a.pk, "age": 1}, {"id": b.pk, "age": 1}])
    assert wrong(response) == {1: {"id": [f'Invalid pk "{b.pk}" - object does not exist.']}}


def test_errors_stand_at_the_place_of_their_object(people, crowd):
    a, b, c = crowd(3)
    body = [
        {"id": a.pk, "age": -1},
        {"id": b.pk, "email": a.email, "agee": 3},
        {"id": c.pk, "email": b.email},
    ]
    errors = wrong(people.patch(data=body))
    assert errors[0] == {"age": ["Ensure this value is greater than or equal to 0."]}
    assert list(errors[1]) == ["agee"]
    assert errors[2] == {"email": ["person with this email already exists."]}


def test_duplicates_inside_the_payload_are_refused(people, crowd):
    a, b = crowd(2)
    response = people.patch(data=[{"id": a.pk, "email": "n@x.com"}, {"id": b.pk, "email": "n@x.com"}])
    assert wrong(response) == {1: {"email": ["person with this email already exists. Item 0 has the same value."]}}


def test_a_row_may_keep_its_unique_values(people, crowd):
    a, b = crowd(2)
    team = Team.objects.create(name="a", code="a")
    Person.objects.filter(pk=a.pk).update(team=team, number=1)
    body = [
        {"id": a.pk, "email": a.email, "team": team.pk, "number": 1},
        {"id": b.pk, "email": "b@x.com", "team": team.pk, "number": 2},
    ]
    assert people.patch(data=body).status_code == 204
    response = people.patch(data=[{"id": b.pk, "number": 1}])
    assert wrong(response) == {0: {"non_field_errors": ["The fields team, number must make a unique set."]}}


def test_a_constraint_of_the_database_is_409_and_nothing_is_written(people, crowd):
    a, b = crowd(2)
    response = people.patch(data=[{"id": a.pk, "age": 1}, {"id": b.pk, "age": 200}])
    assert response.status_code == 409
    assert ages() == [30, 30]


def test_an_empty_list_and_a_list_too_long_are_refused(people, settings):
    settings.CORE = {"BULK": {"MAX_ROWS": 2}}
    assert people.patch(data=[]).json() == {"non_field_errors": ["This list may not be empty."]}
    assert people.patch(data=[{"id": n} for n in range(3)]).json() == {
        "detail": "This would touch 3 rows; at most 2 are allowed in one request."
    }


def test_a_required_filter_is_not_asked_of_a_list_that_names_its_rows(people, crowd, settings):
    settings.CORE = {"BULK": {"REQUIRE_FILTER": True}}
    (row,) = crowd(1)
    assert people.patch(data=[{"id": row.pk, "age": 1}]).status_code == 204


def test_links_and_columns_are_written_together(people, crowd):
    tea, milk = (Skill.objects.create(name=name) for name in ("tea", "milk"))
    a, b, c = crowd(3)
    a.skills.set([tea])
    b.skills.set([tea])
    body = [
        {"id": a.pk, "skills": [milk.pk]},
        {"id": b.pk, "age": 4},
        {"id": c.pk, "skills": [tea.pk, milk.pk], "age": 5},
    ]
    assert people.patch(data=body).status_code == 204
    assert [set(row.skills.all()) for row in (a, b, c)] == [{milk}, {tea}, {tea, milk}]
    assert ages() == [30, 4, 5]


def test_an_object_without_values_changes_nothing(people, crowd):
    a, b = crowd(2)
    before = Person.objects.get(pk=a.pk).written
    assert people.patch(data=[{"id": a.pk}, {"id": b.pk, "age": 5}])["X-Bulk-Rows"] == "2"
    assert Person.objects.get(pk=a.pk).written == before
    assert people.patch(data=[{"id": a.pk}, {"id": b.pk}]).status_code == 204


def test_a_rehearsal_validates_and_writes_nothing(people, crowd):
    (row,) = crowd(1)
    assert people.patch(data=[{"id": row.pk, "age": 1}], headers=DRY).json() == {"rows": 1}
    assert people.patch(data=[{"id": row.pk, "age": -1}], headers=DRY).status_code == 400
    assert ages() == [30]


@pytest.mark.parametrize("count", [2, 60])
def test_the_number_of_queries_does_not_grow(people, crowd, count):
    rows = crowd(count)
    teams = Team.objects.bulk_create(Team(name=str(n), code=str(n)) for n in range(count))
    skill = Skill.objects.create(name="tea")
    body = [
        {"id": row.pk, "email": f"m{n}@x.com", "team": teams[n].pk, "number": n, "skills": [skill.pk]}
        for n, row in enumerate(rows)
    ]
    with CaptureQueriesContext(connection) as context:
        assert people.patch(data=body).status_code == 204
    own = [each["sql"] for each in context if "bulk_" in each["sql"] and "FOR UPDATE" not in each["sql"]]
    # rows, skills, teams, addresses, sets; UPDATE, standing links, links. PostgreSQL has locked the rows first.
    assert len(own) <= 9, own


def test_hooks_and_perform_update_are_for_all_rows(verbs, crowd):
    seen = []

    class Hooked(PersonViewSet):
        def pre_save_bulk(self, queryset, values):
            seen.append([dict(each) for each in values])
            for each in values:
                each["captain"] = False

        def post_save_bulk(self, queryset, values):
            seen.append(len(values))

        def perform_update(self, serializer):
            serializer.save(number=8)

    people = verbs(Hooked)
    a, b = crowd(2)
    assert people.patch(data=[{"id": a.pk, "age": 1}, {"id": b.pk, "age": 2}]).status_code == 204
    assert seen == [[{"age": 1}, {"age": 2}], 2]
    assert set(Person.objects.values_list("age", "number", "captain")) == {(1, 8, False), (2, 8, False)}


def test_models_and_serializers_that_save_in_their_own_way_do(verbs, crowd):
    rows = verbs(viewset_of(serializer_of(Slugged, "id", "name", "slug")))
    row = Slugged.objects.create(name="A")
    assert rows.patch(data=[{"id": row.pk, "name": "B"}]).status_code == 204
    assert Slugged.objects.get().slug == "b"

    class Own(PersonSerializer):
        def update(self, instance, validated_data):
            return super().update(instance, {**validated_data, "age": instance.pk % 100})

    people = verbs(type("V", (PersonViewSet,), {"serializer_class": Own}))
    a, b = crowd(2)
    assert people.patch(data=[{"id": a.pk, "age": 1}, {"id": b.pk, "age": 1}]).status_code == 204
    assert ages() == [a.pk % 100, b.pk % 100]
