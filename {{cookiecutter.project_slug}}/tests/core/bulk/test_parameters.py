"""The query string of bulk requests: nothing that is misspelt or idle is read as "no filter"."""

import pytest
from django_filters import rest_framework as filters
from rest_framework.filters import BaseFilterBackend, OrderingFilter, SearchFilter

from core.bulk.parameters import Parameters, judged
from core.pagination import LimitOffsetPagination
from tests.bulk_app.api import PersonViewSet
from tests.bulk_app.models import Person


class People(filters.FilterSet):
    older = filters.NumberFilter(field_name="age", lookup_expr="gt")
    between = filters.RangeFilter(field_name="age")
    captain = filters.BooleanFilter()
    sorted = filters.OrderingFilter(fields=["age"])

    class Meta:
        model = Person
        fields = ["email"]


class OwnBackend(BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        name = request.query_params.get("own")
        return queryset.filter(email=name) if name else queryset

    def get_schema_operation_parameters(self, view):
        return [{"name": "own"}]


class Filtered(PersonViewSet):
    filterset_fields = None
    filterset_class = People
    filter_backends = (filters.DjangoFilterBackend, OrderingFilter, SearchFilter, OwnBackend)
    search_fields = ("email",)
    bulk_filter_parameters = ("mine",)
    pagination_class = LimitOffsetPagination

    def get_queryset(self):
        rows = super().get_queryset()
        mine = self.request.query_params.get("mine")
        return rows.filter(email=mine) if mine else rows


@pytest.fixture
def filtered(verbs, crowd):
    crowd(3)
    return verbs(Filtered)


KNOWN = (
    "between, between_max, between_min, captain, email, format, limit, mine, "
    "offset, older, ordering, own, search, sorted"
)


@pytest.mark.parametrize("query", ["emial=x", "email__endswith=x", "Email=x", "page=1", "older_min=3", "%00=1", "=1"])
@pytest.mark.parametrize(("method", "body"), [("delete", None), ("patch", {"age": 1}), ("patch", [{"id": 1}])])
def test_an_unknown_parameter_is_refused_with_its_name_and_the_known_ones(filtered, query, method, body):
    response = getattr(filtered, method)(f"?{query}", body)
    assert response.status_code == 400
    ((name, sentences),) = response.json().items()
    assert query.startswith(name) or name == "\x00"
    assert sentences == [f"There is no parameter of this name. The parameters are: {KNOWN}."]
    assert Person.objects.filter(age=30).count() == 3


@pytest.mark.parametrize(
    "query",
    ["email=", "email=%20", "captain=perhaps", "captain=", "search=", "search=,", "own=", "mine=", "between_min="],
)
def test_a_filter_that_filters_nothing_is_refused(filtered, query):
    response = filtered.delete(f"?{query}")
    assert response.status_code == 400
    assert response.json() == {
        query.split("=")[0]: ["This value filters nothing. Leave the parameter out, or give it a value."]
    }
    assert Person.objects.count() == 3


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("email=p0@gmail.com", 2),
        ("older=29", 0),
        ("between_min=31", 3),
        ("between_max=30", 0),
        ("captain=false", 0),
        ("captain=true", 3),
        ("search=gmail", 1),
        ("own=p1@yahoo.com", 2),
        ("mine=p1@yahoo.com", 2),
        ("email=p0@gmail.com&limit=1&offset=5&format=json&ordering=-id&sorted=age", 2),
    ],
)
def test_every_kind_of_filter_narrows_and_counts_as_one(filtered, query, left, settings):
    settings.CORE = {"BULK": {"REQUIRE_FILTER": True}}
    assert filtered.delete(f"?{query}").status_code == 204
    assert Person.objects.count() == left


@pytest.mark.parametrize("query", ["ordering=id", "sorted=age", "limit=1", "format=json", "sorted="])
def test_what_does_not_narrow_is_no_filter(filtered, query, settings):
    settings.CORE = {"BULK": {"REQUIRE_FILTER": True}}
    response = filtered.delete(f"?{query}")
    assert response.json() == {"detail": "A filter is required: without one this would touch every row."}
    assert Person.objects.count() == 3


def test_a_value_of_the_wrong_type_is_400_in_the_words_of_the_list(filtered):
    response = filtered.delete("?older=x")
    assert (response.status_code, response.json()) == (400, {"older": ["Enter a number."]})


def test_search_is_no_filter_where_nothing_is_searched(verbs, crowd):
    people = verbs(type("V", (PersonViewSet,), {"filter_backends": (SearchFilter,)}))
    crowd(2)
    response = people.delete("?search=p0")
    assert list(response.json()) == ["search"]
    assert Person.objects.count() == 2


def test_a_view_without_filters_knows_none(verbs, crowd):
    people = verbs(type("V", (PersonViewSet,), {"filter_backends": ()}))
    assert people.delete("?age=1").json() == {
        "age": ["There is no parameter of this name. The parameters are: format."]
    }


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        ([], {}),
        (["a", "c"], {}),
        (["b"], {"b": "idle_parameter"}),
        (["d", "b", "a"], {"d": "unknown_parameter", "b": "idle_parameter"}),
    ],
)
def test_parameters_are_judged_by_what_is_known(names, refused):
    known = Parameters({"a": True, "b": False}, frozenset({"c"}))
    found = judged(names, known)
    assert {name: error.code for name, (error,) in found.items()} == refused
