"""The OpenAPI description of nested routes."""

from types import SimpleNamespace

import pytest
from django.db.models.functions import Upper
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from core.pagination import PaginateByMaxMixin
from core.routers import ExtendedDefaultRouter, ExtendedSimpleRouter
from core.viewsets import DetailSerializerMixin
from tests.nesting_app.api import serializer_of, viewset_of
from tests.nesting_app.models import City, Region, Street

Regions = viewset_of(serializer_of(Region, "id", "name"))
Cities = viewset_of(serializer_of(City, "id", "region", "name"))
Streets = viewset_of(serializer_of(Street, "id", "city", "name"))


def described(router):
    """Return the paths of the description; warnings and errors fail."""
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        paths = SchemaGenerator(patterns=router.urls).get_schema(request=None, public=True)["paths"]
    assert not list(GENERATOR_STATS._warn_cache)
    assert not list(GENERATOR_STATS._error_cache)
    return paths


def parents(operation):
    """Return the schema of each parent in the path."""
    return {
        parameter["name"]: parameter["schema"]
        for parameter in operation["parameters"]
        if parameter["in"] == "path" and parameter["name"].startswith("parent_lookup_")
    }


class CodedRegions(Regions):
    lookup_field = "country_code"
    lookup_value_regex = "[a-z]{2}"


class ActiveStreets(Streets):
    @extend_schema(request=None, responses=None)
    @action(detail=True, methods=["post"])
    def sweep(self, request, pk):
        return Response()


def nested(router, regions=Regions):
    (
        router.register("regions", regions)
        .register("cities", Cities, "city", ["region"])
        .register("streets", ActiveStreets, "street", ["city__region", "city"])
    )
    return router


def test_parents_have_the_type_of_their_key_at_every_depth():
    paths = described(nested(ExtendedSimpleRouter()))
    streets = "/regions/{parent_lookup_city__region}/cities/{parent_lookup_city}/streets/"
    street = streets + "{id}/"
    sweep = street + "sweep/"
    assert set(paths) >= {"/regions/{parent_lookup_region}/cities/", streets, sweep}
    assert parents(paths["/regions/{parent_lookup_region}/cities/"]["post"]) == {
        "parent_lookup_region": {"type": "integer"}
    }
    both = {"parent_lookup_city__region": {"type": "integer"}, "parent_lookup_city": {"type": "integer"}}
    for path, method in ((streets, "get"), (street, "delete"), (sweep, "post")):
        assert parents(paths[path][method]) == both
    (parameter,) = (each for each in paths[streets]["get"]["parameters"] if each["name"] == "parent_lookup_city")
    assert parameter["description"] == "A unique integer value identifying this city."
    assert parameter["required"] is True


def test_parents_have_the_type_and_the_pattern_of_what_they_are_looked_up_by():
    paths = described(nested(ExtendedSimpleRouter(), CodedRegions))
    assert parents(paths["/regions/{parent_lookup_region}/cities/"]["get"]) == {
        "parent_lookup_region": {"type": "string", "pattern": "^[a-z]{2}$"}
    }


def test_a_parent_looked_up_by_an_annotation_is_a_string():
    class Annotated(Regions):
        lookup_field = "shouted"
        queryset = Region.objects.annotate(shouted=Upper("name"))

    router = ExtendedSimpleRouter()
    router.register("regions", Annotated).register("cities", Cities, "city", ["region"])
    nested_only = [pattern for pattern in router.urls if "parent" in str(pattern.pattern)]
    paths = described(SimpleNamespace(urls=nested_only))
    assert parents(paths["/regions/{parent_lookup_region}/cities/"]["get"]) == {
        "parent_lookup_region": {"type": "string"}
    }


@pytest.mark.parametrize("options", [{"use_regex_path": False}, {"trailing_slash": False}])
def test_the_options_of_the_router_change_nothing(options):
    paths = described(nested(ExtendedDefaultRouter(**options)))
    (path,) = (path for path in paths if path.rstrip("/") == "/regions/{parent_lookup_region}/cities")
    assert parents(paths[path]["get"]) == {"parent_lookup_region": {"type": "integer"}}


def test_one_object_is_described_by_the_detail_serializer():
    class DetailedRegions(DetailSerializerMixin, Regions):
        serializer_detail_class = type("RegionDetailSerializer", (serializer_of(Region, "id", "country_code"),), {})

    router = SimpleRouter()
    router.register("regions", DetailedRegions)
    paths = described(router)
    shown = [
        paths[path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        for path in ("/regions/", "/regions/{id}/")
    ]
    assert shown[0]["items"]["$ref"].endswith("/Region")
    assert shown[1]["$ref"].endswith("/RegionDetail")


def test_a_body_need_not_name_the_parent_that_the_url_names():
    router = nested(ExtendedSimpleRouter())
    router.register("cities", Cities, "flat")
    with GENERATOR_STATS.silence():
        schema = SchemaGenerator(patterns=router.urls).get_schema(request=None, public=True)

    def required(path, method):
        content = schema["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
        return schema["components"]["schemas"][content["$ref"].rsplit("/")[-1]]["required"]

    cities = "/regions/{parent_lookup_region}/cities/"
    streets = "/regions/{parent_lookup_city__region}/cities/{parent_lookup_city}/streets/"
    assert required("/cities/", "post") == ["name", "region"]
    for method, path in (("post", cities), ("put", f"{cities}{{id}}/")):
        assert required(path, method) == ["name"]
    assert required(streets, "post") == ["name"]
    assert "CityUnderRegionRequest" in schema["components"]["schemas"]


def test_pages_of_a_viewset_that_paginates_by_max_are_described():
    class MaxRegions(PaginateByMaxMixin, Regions):
        pagination_class = PageNumberPagination
        max_paginate_by = 10

    router = SimpleRouter()
    router.register("regions", MaxRegions)
    names = {parameter["name"] for parameter in described(router)["/regions/"]["get"]["parameters"]}
    assert names == {"page", "page_size", "ordering"}
