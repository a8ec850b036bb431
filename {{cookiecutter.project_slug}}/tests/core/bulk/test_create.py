"""POST of a list."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers

from tests.bulk_app.api import PersonSerializer, PersonViewSet, serializer_of, viewset_of
from tests.bulk_app.models import Loose, Person, Skill, Slugged, Team
from tests.core.bulk.conftest import DRY, wrong


def person(name, **more):
    return {"email": f"n{name}@x.com", "email_provider": "google", **more}


def test_every_object_becomes_a_row_in_order_and_no_header_is_needed(people):
    response = people.post(data=[person(number, age=number) for number in range(3)], headers={})
    assert (response.status_code, response["X-Bulk-Rows"]) == (201, "3")
    rows = list(Person.objects.order_by("id"))
    assert [(row["id"], row["email"], row["age"]) for row in response.json()] == [
        (row.pk, f"n{number}@x.com", number) for number, row in enumerate(rows)
    ]


def test_the_answer_is_what_single_requests_answer(people):
    tea = Skill.objects.create(name="tea")
    bodies = [person(1), person(2, age=5, skills=[tea.pk]), person(3, captain=True)]
    many = people.post(data=bodies).json()
    Person.objects.all().delete()
    one_by_one = [people.post(data=body).json() for body in bodies]
    for each in (*many, *one_by_one):
        del each["id"], each["written"]
    assert many == one_by_one


def test_a_single_object_is_created_as_ever(people):
    response = people.post(data=person(1))
    assert response.status_code == 201
    assert response.json()["email"] == "n1@x.com"
    assert "X-Bulk-Rows" not in response


def test_errors_stand_at_the_place_of_their_object_and_nothing_is_written(people, crowd):
    crowd(1)
    bodies = [
        person(0),
        person(1, email_provider="myspace", age=-1),
        {"email": "p0@gmail.com", "email_provider": "google"},
        "text",
        person(0),
        person(5, team=99),
        {"email_provider": "google"},
    ]
    response = people.post(data=bodies)
    assert wrong(response) == {
        1: {
            "email_provider": ['"myspace" is not a valid choice.'],
            "age": ["Ensure this value is greater than or equal to 0."],
        },
        2: {"email": ["person with this email already exists."]},
        3: {"non_field_errors": ["Invalid data. Expected a dictionary, but got str."]},
        4: {"email": ["person with this email already exists. Item 0 has the same value."]},
        5: {"team": ['Invalid pk "99" - object does not exist.']},
        6: {"email": ["This field is required."]},
    }
    assert Person.objects.count() == 1


def test_errors_stand_in_a_list_where_drf_is_set_so(people, settings):
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "LIST_SERIALIZER_ERRORS_AS_DICT": False}
    response = people.post(data=[person(0), person(1, age=-1)])
    assert response.json() == [{}, {"age": ["Ensure this value is greater than or equal to 0."]}]


def test_a_set_that_is_unique_together_is_judged_against_rows_and_items(people, crowd):
    team, other = (Team.objects.create(name=name, code=name) for name in "ab")
    (taken,) = crowd(1)
    Person.objects.filter(pk=taken.pk).update(team=team, number=1)
    at = [(team, 1), (team, 2), (other, 1), (team, 2), (team, None), (team, None)]
    response = people.post(data=[person(n, team=t.pk, number=number) for n, (t, number) in enumerate(at)])
    sentence = "The fields team, number must make a unique set."
    assert wrong(response) == {
        0: {"non_field_errors": [sentence]},
        3: {"non_field_errors": [f"{sentence} Item 1 has the same values."]},
    }


def test_a_unique_set_under_a_condition_is_judged_by_it(people, crowd):
    team, other = (Team.objects.create(name=name, code=name) for name in "ab")
    crowd(1, team=team, captain=True)
    response = people.post(data=[person(1, team=team.pk), person(2, team=team.pk, captain=True)])
    assert list(wrong(response)) == [1]
    response = people.post(data=[person(n, team=other.pk, captain=n != 2) for n in (1, 2, 3)])
    assert list(wrong(response)) == [2]
    assert "Item 0 has the same values." in str(wrong(response)[2])
    assert Person.objects.count() == 1


def test_a_constraint_of_the_database_is_409_and_nothing_is_written(people):
    response = people.post(data=[person(1), person(2, age=200)])
    assert response.status_code == 409
    assert response.json() == {"detail": "A constraint of the database refuses these values; nothing was written."}
    assert not Person.objects.exists()


def test_an_empty_list_is_refused(people):
    response = people.post(data=[])
    assert (response.status_code, response.json()) == (400, {"non_field_errors": ["This list may not be empty."]})


def test_more_objects_than_allowed_are_refused_with_both_numbers(people, settings):
    settings.CORE = {"BULK": {"MAX_ROWS": 2}}
    response = people.post(data=["never looked at"] * 3)
    assert response.status_code == 400
    assert response.json() == {"detail": "This would touch 3 rows; at most 2 are allowed in one request."}


def test_a_rehearsal_validates_and_writes_nothing(people):
    assert people.post(data=[person(1)], headers=DRY).json() == {"rows": 1}
    assert people.post(data=[person(1, age=-1)], headers=DRY).status_code == 400
    assert not Person.objects.exists()


@pytest.mark.parametrize("value", ["x", True, 1.5, [], {}, 9**40, None, "1e3", -1])
def test_keys_that_are_none_are_refused_in_the_words_of_a_single_request(people, value):
    if value is None:
        assert people.post(data=[person(1, team=None)]).status_code == 201
        return
    one = people.post(data=person(1, team=value))
    many = people.post(data=[person(1, team=value)])
    assert (one.status_code, many.status_code) == (400, 400)
    assert wrong(many) == {0: one.json()}


def test_many_to_many_links_are_added(people):
    skills = [Skill.objects.create(name=name) for name in "abc"]
    chosen = [[], [skills[0].pk], [each.pk for each in skills]]
    response = people.post(data=[person(number, skills=each) for number, each in enumerate(chosen)])
    assert response.status_code == 201
    assert [row["skills"] for row in response.json()] == chosen
    assert [row.skills.count() for row in Person.objects.order_by("id")] == [0, 1, 3]
    assert list(wrong(people.post(data=[person(9, skills=[99])]))[0]) == ["skills"]


@pytest.mark.parametrize("count", [2, 60])
def test_the_number_of_queries_does_not_grow(people, count):
    teams = Team.objects.bulk_create(Team(name=str(n), code=str(n)) for n in range(count))
    skills = Skill.objects.bulk_create(Skill(name=str(n)) for n in range(count))
    bodies = [person(n, team=teams[n].pk, number=n, skills=[skills[n].pk]) for n in range(count)]
    with CaptureQueriesContext(connection) as context:
        assert people.post(data=bodies).status_code == 201
    own = [each["sql"] for each in context if "bulk_" in each["sql"]]
    # teams, skills, addresses, two sets; then rows, standing links, links; and the skills of all for the answer.
    assert len(own) <= 9, own


@pytest.mark.parametrize("count", [2, 60])
def test_the_answer_fetches_what_the_list_prefetches(verbs, count, django_assert_max_num_queries):
    people = verbs(type("V", (PersonViewSet,), {"queryset": Person.objects.prefetch_related("skills")}))
    with django_assert_max_num_queries(12):
        assert people.post(data=[person(n) for n in range(count)]).status_code == 201


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (lambda: serializers.SlugRelatedField("code", queryset=Team.objects.all(), source="team"), "c{}"),
        (
            lambda: serializers.HyperlinkedRelatedField("teams-detail", queryset=Team.objects.all(), source="team"),
            "/teams/{}/",
        ),
    ],
    ids=["slug", "link"],
)
def test_related_rows_named_otherwise_are_fetched_at_once_too(verbs, field, value):
    linked = serializer_of(Person, "id", "email", "email_provider", "to", to=field())
    people = verbs(viewset_of(linked), teams=viewset_of(serializer_of(Team, "id", "name", "code")))
    for number in range(1000, 1030):
        Team.objects.create(pk=number, name="t", code=f"c{number}")
    bodies = [person(number, to=value.format(number)) for number in range(1000, 1030)]
    with CaptureQueriesContext(connection) as context:
        assert people.post(data=bodies).status_code == 201
    asked = [each["sql"] for each in context if 'FROM "bulk_team"' in each["sql"]]
    assert len(asked) == 1, asked
    assert list(Person.objects.order_by("id").values_list("team", flat=True)) == list(range(1000, 1030))
    assert list(wrong(people.post(data=[person("x", to=value.format("nowhere"))]))[0]) == ["to"]


def test_a_serializer_that_creates_in_its_own_way_does_so_for_each_row_or_none(verbs):
    class Own(PersonSerializer):
        def create(self, validated_data):
            if validated_data["email"].startswith("n2"):
                raise serializers.ValidationError({"email": ["Not this one."]})
            return super().create({**validated_data, "age": 99})

    people = verbs(type("V", (PersonViewSet,), {"serializer_class": Own}))
    assert people.post(data=[person(1), person(2)]).status_code == 400
    assert not Person.objects.exists()
    assert [row["age"] for row in people.post(data=[person(1), person(3)]).json()] == [99, 99]


def test_a_model_that_saves_in_its_own_way_does(verbs):
    rows = verbs(viewset_of(serializer_of(Slugged, "id", "name", "slug")))
    assert [row["slug"] for row in rows.post(data=[{"name": "A"}, {"name": "B"}]).json()] == ["a", "b"]


def test_a_list_serializer_of_ones_own_saves_in_one_transaction(verbs):
    class Half(serializers.ListSerializer):
        def create(self, validated_data):
            self.child.create(validated_data[0])
            raise serializers.ValidationError({"detail": "Half of it."})

    rows = verbs(viewset_of(serializer_of(Loose, "id", "text", meta={"list_serializer_class": Half})))
    assert rows.post(data=[{"text": "a"}, {"text": "b"}]).json() == {"detail": "Half of it."}
    assert not Loose.objects.exists()


def test_what_perform_create_gives_to_save_is_for_every_row(verbs):
    class Performing(PersonViewSet):
        def perform_create(self, serializer):
            serializer.save(age=77)

    people = verbs(Performing)
    assert [row["age"] for row in people.post(data=[person(1), person(2, age=3)]).json()] == [77, 77]


def test_a_hook_of_a_base_class_behind_the_mixins_is_kept(verbs):
    from rest_framework.viewsets import ModelViewSet

    from core.bulk import ListCreateModelMixin

    class Base(ModelViewSet):
        def perform_create(self, serializer):
            serializer.save(age=77)

    class Derived(ListCreateModelMixin, Base):
        queryset = Person.objects.all()
        serializer_class = PersonSerializer
        permission_classes = ()

    assert [row["age"] for row in verbs(Derived).post(data=[person(1)]).json()] == [77]
