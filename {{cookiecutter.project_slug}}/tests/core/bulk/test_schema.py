"""The OpenAPI description of bulk operations."""

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from rest_framework.filters import OrderingFilter

from tests.bulk_app.api import PersonViewSet, urls


def described(viewset=PersonViewSet):
    """Return the operations of the list and of one row; warnings and errors fail."""
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        schema = SchemaGenerator(patterns=urls(people=viewset)).get_schema(request=None, public=True)
    assert not list(GENERATOR_STATS._warn_cache)
    assert not list(GENERATOR_STATS._error_cache)
    return schema["paths"]["/people/"], schema["paths"]["/people/{id}/"]


@pytest.mark.parametrize(
    ("method", "name"), [("patch", "people_partial_update_bulk"), ("delete", "people_destroy_bulk")]
)
def test_the_verbs_of_the_list_have_names_of_their_own_and_the_header(method, name):
    many, one = described()
    assert many[method]["operationId"] == name
    assert one[method]["operationId"] == name.removesuffix("_bulk")
    (parameter,) = (each for each in many[method]["parameters"] if each["in"] == "header")
    assert (parameter["name"], parameter["required"]) == ("X-BULK-OPERATION", True)
    assert parameter["schema"]["enum"] == ["dry-run", "true"]
    assert parameter["schema"]["default"] == "dry-run"
    assert {"200", "204", "400", "409", "415"} - {"415" if method == "delete" else None} <= set(
        many[method]["responses"]
    )
    assert many[method]["responses"]["204"]["headers"]["X-Bulk-Rows"]["schema"] == {"type": "integer"}
    assert many[method]["description"]


def test_the_filters_of_the_list_are_theirs_but_ordering_and_pages_are_not():
    many, _ = described()
    listed = {each["name"] for each in many["get"]["parameters"]}
    narrowing = {each["name"] for each in many["delete"]["parameters"] if each["in"] == "query"}
    assert listed - narrowing == {OrderingFilter.ordering_param}


def test_bodies_are_one_object_or_a_list_of_them():
    many, one = described()
    for method, reference in (("post", "PersonRequest"), ("patch", "PatchedPersonRequest")):
        single, several = many[method]["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
        assert single["$ref"].endswith(reference)
        assert several["type"] == "array"
        assert "oneOf" not in one["patch"]["requestBody"]["content"]["application/json"]["schema"]
    keyed = many["patch"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"][1]["items"]["allOf"]
    assert keyed[1]["required"] == ["id"]
    assert many["post"]["responses"]["201"]["content"]["application/json"]["schema"]["oneOf"][1]["type"] == "array"


def test_with_the_feature_off_there_is_nothing_to_describe(settings):
    settings.CORE = {"BULK": {"ENABLED": False}}
    many, _ = described()
    assert set(many) == {"get", "post"}
    assert "oneOf" not in many["post"]["requestBody"]["content"]["application/json"]["schema"]


def test_without_protection_no_header_is_described(settings):
    settings.CORE = {"BULK": {"DEFAULT_BULK_OPERATION_HEADER_NAME": None}}
    many, _ = described()
    assert all(each["in"] == "query" for each in many["delete"]["parameters"])
