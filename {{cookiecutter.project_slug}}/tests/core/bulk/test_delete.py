"""DELETE of a list."""

import pytest
from django.db.models import Count

from tests.bulk_app.api import PersonViewSet, serializer_of, viewset_of
from tests.bulk_app.models import Binned, Node, Person, Skill, Team
from tests.core.bulk.conftest import DRY


def test_the_number_of_rows_is_in_a_header(people, crowd):
    crowd(5)
    response = people.delete("?email__endswith=gmail.com")
    assert (response.status_code, response["X-Bulk-Rows"]) == (204, "3")
    assert Person.objects.count() == 2


def test_a_rehearsal_tells_the_number_and_touches_nothing(people, crowd):
    crowd(5)
    response = people.delete("?email__endswith=gmail.com", headers=DRY)
    assert (response.status_code, response["X-Bulk-Rows"], response.json()) == (200, "3", {"rows": 3})
    assert Person.objects.count() == 5


@pytest.mark.parametrize("name", [None, "X-OTHER"])
def test_a_rehearsal_is_one_whatever_the_header_is_called(people, crowd, settings, name):
    settings.CORE = {"BULK": {"DEFAULT_BULK_OPERATION_HEADER_NAME": name}}
    crowd(2)
    assert people.delete(headers=DRY).json() == {"rows": 2}
    assert people.post(data=[{"email": "a@b.cd", "email_provider": "other"}], headers=DRY).json() == {"rows": 1}
    assert Person.objects.count() == 2


@pytest.mark.parametrize("value", ["dryrun", "dry run", "false", "no", "0", "maybe"])
def test_a_header_that_says_something_else_is_refused(people, crowd, value):
    crowd(2)
    response = people.delete(headers={"x-bulk-operation": value})
    assert response.status_code == 400
    assert response.json() == {
        "detail": f"Header 'X-BULK-OPERATION' is {value!r}. Say 'true', or 'dry-run' to be told the number of rows."
    }
    assert Person.objects.count() == 2


def test_more_rows_than_allowed_are_refused_with_both_numbers(people, crowd, settings):
    settings.CORE = {"BULK": {"MAX_ROWS": 3}}
    crowd(4)
    response = people.delete()
    assert response.status_code == 400
    assert response.json() == {"detail": "This would touch 4 rows; at most 3 are allowed in one request."}
    assert people.delete(headers=DRY).status_code == 400
    assert Person.objects.count() == 4
    assert people.delete("?email__endswith=yahoo.com").status_code == 204


def test_the_limit_holds_if_rows_arrive_between_counting_and_deleting(verbs, crowd, settings):
    settings.CORE = {"BULK": {"MAX_ROWS": 3}}

    class Slow(PersonViewSet):
        def pre_delete_bulk(self, queryset):
            Person.objects.create(email="late@x.com", email_provider="other")

    people = verbs(Slow)
    crowd(3)
    response = people.delete()
    assert response.status_code == 400
    assert "4 rows" in response.json()["detail"]
    assert Person.objects.count() == 3


def test_without_a_filter_every_row_goes_unless_a_filter_is_required(people, crowd, settings):
    """One body for all is refused in the same words."""
    crowd(2)
    assert people.patch(data={"captain": False})["X-Bulk-Rows"] == "2"
    settings.CORE = {"BULK": {"REQUIRE_FILTER": True}}
    for query in ("", "?ordering=id", "?format=json"):
        for response in (people.delete(query), people.patch(query, {"age": 1})):
            assert response.status_code == 400
            assert response.json() == {"detail": "A filter is required: without one this would touch every row."}
    assert people.patch("?age=30", {"age": 31})["X-Bulk-Rows"] == "2"
    assert people.delete("?age=31")["X-Bulk-Rows"] == "2"
    settings.CORE = {"BULK": {"REQUIRE_FILTER": False}}
    crowd(2)
    assert people.delete()["X-Bulk-Rows"] == "2"


def test_a_page_is_no_limit(verbs, crowd):
    from core.pagination import LimitOffsetPagination

    people = verbs(type("Paged", (PersonViewSet,), {"pagination_class": LimitOffsetPagination}))
    crowd(30)
    response = people.delete("?limit=5")
    assert response["X-Bulk-Rows"] == "30"
    assert not Person.objects.exists()


def test_rows_that_others_hang_on_are_409_and_stay(verbs, crowd):
    teams = verbs(viewset_of(serializer_of(Team, "id", "name", "code")))
    team = Team.objects.create(name="A", code="a")
    Team.objects.create(name="B", code="b")
    crowd(1, team=team)
    response = teams.delete()
    assert response.status_code == 409
    assert response.json() == {"detail": "Rows among these are in use by persons; nothing was deleted."}
    assert Team.objects.count() == 2


def test_what_a_hook_raises_undoes_everything(verbs, crowd):
    from rest_framework.exceptions import ValidationError

    class Refusing(PersonViewSet):
        def post_delete_bulk(self, queryset):
            raise ValidationError({"detail": "No."})

    people = verbs(Refusing)
    crowd(2)
    assert people.delete().status_code == 400
    assert Person.objects.count() == 2


def test_rows_that_go_along_are_not_counted(verbs):
    nodes = verbs(viewset_of(serializer_of(Node, "id", "parent", "name"), filterset_fields=["name"]))
    root = Node.objects.create(name="root")
    Node.objects.create(name="leaf", parent=root)
    response = nodes.delete("?name=root")
    assert response["X-Bulk-Rows"] == "1"
    assert not Node.objects.exists()


def test_a_queryset_that_deletes_in_its_own_way_does(verbs):
    rows = verbs(viewset_of(serializer_of(Binned, "id", "text")))
    Binned.objects.create(text="a")
    assert rows.delete()["X-Bulk-Rows"] == "1"
    assert Binned.objects.get().binned


@pytest.mark.parametrize(
    "narrowed",
    [
        lambda rows: rows.order_by("id")[:2],
        lambda rows: rows.filter(age=30).union(rows.filter(age=31)).order_by("id")[:2],
        lambda rows: rows.filter(skills__name="tea").distinct(),
        lambda rows: rows.annotate(count=Count("skills")).filter(count__gt=0),
    ],
    ids=["slice", "union", "distinct", "groups"],
)
def test_querysets_that_cannot_be_deleted_as_they_stand_are(verbs, crowd, narrowed):
    class Narrowed(PersonViewSet):
        filter_backends = ()

        def get_queryset(self):
            return narrowed(Person.objects.all())

    people = verbs(Narrowed)
    rows = crowd(3)
    for row in rows[:2]:
        row.skills.add(Skill.objects.create(name="tea"), Skill.objects.create(name="tea"))
    assert people.patch(data={"captain": False})["X-Bulk-Rows"] == "2"
    assert people.delete()["X-Bulk-Rows"] == "2"
    assert Person.objects.count() == 1


@pytest.mark.parametrize("url", ["/rows/1/extra/", "/rows/extra/"])
def test_only_the_list_itself_takes_bulk_verbs(verbs, crowd, url):
    from rest_framework.decorators import action
    from rest_framework.response import Response

    class Extra(PersonViewSet):
        @action(detail=True, methods=["post"], url_path="extra")
        def one(self, request, pk):
            return Response()

        @action(detail=False, methods=["post"], url_path="extra")
        def many(self, request):
            return Response()

    people = verbs(Extra)
    crowd(2)
    people.url = url
    assert people.delete().status_code == 405
    assert people.patch(data={"age": 1}).status_code == 405
    assert Person.objects.count() == 2


def test_a_generic_view_calls_the_action_by_name(serve, crowd):
    from django.urls import path
    from rest_framework.generics import ListAPIView

    from core.bulk import ListDestroyModelMixin
    from tests.bulk_app.api import PersonSerializer
    from tests.core.bulk.conftest import Verbs

    class People(ListDestroyModelMixin, ListAPIView):
        queryset = Person.objects.order_by("id")
        serializer_class = PersonSerializer
        permission_classes = ()

        def delete(self, request, *args, **kwargs):
            return self.destroy_bulk(request, *args, **kwargs)

    serve([path("people/", People.as_view())])
    crowd(2)
    people = Verbs("/people/")
    assert people.delete(headers={}).status_code == 400
    assert len(people.get().json()["results"]) == 2
    assert people.delete()["X-Bulk-Rows"] == "2"


@pytest.mark.parametrize(
    ("method", "data"), [("patch", {"age": 1}), ("patch", [{"id": 1}]), ("delete", None), ("post", [])]
)
def test_with_the_feature_off_every_bulk_verb_is_405(people, crowd, settings, method, data):
    settings.CORE = {"BULK": {"ENABLED": False}}
    crowd(2)
    response = getattr(people, method)(data=data)
    assert response.status_code == 405
    assert response.json() == {"detail": f'Method "{method.upper()}" not allowed.'}
    assert set(Person.objects.values_list("age", flat=True)) == {30}


def test_with_the_feature_off_at_the_start_the_verbs_are_not_even_offered(verbs, crowd, settings):
    settings.CORE = {"BULK": {"ENABLED": False}}
    people = verbs(PersonViewSet)
    (row,) = crowd(1)
    assert people.delete().status_code == 405
    assert people.options()["Allow"] == "GET, POST, HEAD, OPTIONS"
    assert people.post(data={"email": "a@b.cd", "email_provider": "other"}).status_code == 201
    assert people.patch(f"{row.pk}/", {"age": 3}).status_code == 200
    assert people.delete(f"{row.pk}/").status_code == 204
