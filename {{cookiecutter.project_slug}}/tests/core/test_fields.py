"""Serializer fields."""

import pytest
from django.http import HttpResponse
from django.urls import include, path
from rest_framework import serializers
from rest_framework.routers import SimpleRouter

from core.fields import ResourceUriField
from tests.nesting_app.api import serializer_of, viewset_of
from tests.nesting_app.models import Place


def test_a_resource_shows_the_address_of_its_own_page(api, serve, db):
    city = serializer_of(Place, "id", "resource_uri", "name", resource_uri=ResourceUriField(view_name="city-detail"))
    router = SimpleRouter()
    router.register("cities", viewset_of(city), "city")
    serve([path("v1/", include(router.urls))])
    Place.objects.create(pk=268, name="Serpuhov")
    expected = {"id": 268, "resource_uri": "http://testserver/v1/cities/268/", "name": "Serpuhov"}
    assert api.get("/v1/cities/268/").json() == expected
    assert api.get("/v1/cities/").json() == [expected]


def test_it_is_not_written(api, serve, db):
    city = serializer_of(Place, "resource_uri", "name", resource_uri=ResourceUriField(view_name="city-detail"))
    router = SimpleRouter()
    router.register("cities", viewset_of(city), "city")
    serve(router.urls)
    body = api.post("/cities/", {"name": "Serpuhov", "resource_uri": "http://elsewhere/"}).json()
    assert body["resource_uri"] == f"http://testserver/cities/{Place.objects.get().pk}/"


def test_another_field_may_name_the_object(api, serve, rf):
    field = ResourceUriField(view_name="city-detail", lookup_field="name", lookup_url_kwarg="slug")
    serve([path("cities/<slug>/", HttpResponse, name="city-detail")])
    serializer = serializer_of(Place, "resource_uri", resource_uri=field)
    shown = serializer(Place(pk=1, name="serpuhov"), context={"request": rf.get("/")})
    assert shown.data == {"resource_uri": "http://testserver/cities/serpuhov/"}


def test_without_a_request_it_says_what_is_missing():
    class City(serializers.Serializer):
        resource_uri = ResourceUriField(view_name="city-detail")

    with pytest.raises(AssertionError, match="requires the request in the serializer"):
        City(Place(pk=1)).data  # noqa: B018
