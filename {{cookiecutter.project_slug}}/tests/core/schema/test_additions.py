"""What descriptions say of refusals, tags and live queries."""

from typing import ClassVar

import pytest
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import TokenAuthentication
from rest_framework.decorators import action
from rest_framework.permissions import (
    AllowAny,
    DjangoModelPermissions,
    DjangoModelPermissionsOrAnonReadOnly,
    IsAuthenticated,
    IsAuthenticatedOrReadOnly,
)
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ModelViewSet

from core.bulk import ListDestroyModelMixin, ListUpdateModelMixin
from core.etags import APIETAGMixin, ETAGMixin
from tests.nesting_app.api import serializer_of
from tests.nesting_app.models import Region


class Regions(ModelViewSet):
    queryset = Region.objects.all()
    serializer_class = serializer_of(Region, "id", "name")


def schema_of(viewset):
    router = SimpleRouter()
    router.register("regions", viewset)
    return SchemaGenerator(patterns=router.urls).get_schema(request=None, public=True)


def described(viewset):
    schema = schema_of(viewset)
    return schema["paths"]["/regions/"], schema["paths"]["/regions/{id}/"], schema["components"]


def headers(operation):
    return {each["name"]: each.get("required", False) for each in operation["parameters"] if each["in"] == "header"}


def test_refusals_are_those_that_an_operation_can_answer_with():
    many, one, components = described(Regions)
    assert set(many["get"]["responses"]) == {"200", "400", "401", "403", "429"}
    assert set(many["post"]["responses"]) == {"201", "400", "401", "403", "415", "429"}
    assert set(one["get"]["responses"]) == {"200", "401", "403", "404", "429"}
    assert set(one["delete"]["responses"]) == {"204", "401", "403", "404", "429"}
    assert one["get"]["responses"]["404"] == {"$ref": "#/components/responses/NotFound"}
    for response in components["responses"].values():
        assert response["description"]
        assert response["content"]["application/json"]["examples"]


def test_who_is_asked_for_nothing_is_refused_nothing():
    class Open(Regions):
        authentication_classes = ()
        permission_classes = ()
        throttle_classes = ()

    many, _, _ = described(Open)
    assert set(many["post"]["responses"]) == {"201", "400", "415"}


class Asking(DjangoModelPermissionsOrAnonReadOnly):
    def has_permission(self, request, view):
        return request.user.is_staff


class Reading(DjangoModelPermissionsOrAnonReadOnly):
    perms_map: ClassVar = {
        **DjangoModelPermissionsOrAnonReadOnly.perms_map,
        "GET": ["%(app_label)s.view_%(model_name)s"],
    }


@pytest.mark.parametrize(
    ("permissions", "open_to_anyone"),
    [
        ((), {"get", "post"}),
        ((AllowAny,), {"get", "post"}),
        ((DjangoModelPermissionsOrAnonReadOnly,), {"get"}),
        ((IsAuthenticatedOrReadOnly, DjangoModelPermissionsOrAnonReadOnly), {"get"}),
        ((IsAuthenticatedOrReadOnly,), {"get"}),
        ((DjangoModelPermissionsOrAnonReadOnly, IsAuthenticated), set()),
        ((DjangoModelPermissions,), set()),
        ((Asking,), set()),
        ((Reading,), set()),
    ],
)
def test_credentials_are_optional_where_nobody_has_to_be_known(permissions, open_to_anyone):
    class Guarded(Regions):
        authentication_classes = (TokenAuthentication,)
        permission_classes = permissions

    many, _, _ = described(Guarded)
    for method in ("get", "post"):
        ways = many[method]["security"]
        assert ways == [{"tokenAuth": []}, *([{}] if method in open_to_anyone else [])], method


def summaries(path):
    return {method: operation["summary"] for method, operation in path.items()}


def test_each_operation_is_summed_up_in_a_few_words():
    class Known(ListUpdateModelMixin, ListDestroyModelMixin, Regions):
        @action(detail=False)
        def capitals(self, request):
            """List those that have a capital.

            The rest is for the description.
            """

        @extend_schema(summary="In words of its own")
        def retrieve(self, *arguments, **options):
            return super().retrieve(*arguments, **options)

    many, one, _ = described(Known)
    assert summaries(many) == {
        "get": "List regions",
        "post": "Create a new region",
        "patch": "Change many regions",
        "delete": "Delete many regions",
    }
    assert summaries(one) == {
        "get": "In words of its own",
        "put": "Replace one region",
        "patch": "Change one region",
        "delete": "Delete one region",
    }
    assert summaries(schema_of(Known)["paths"]["/regions/capitals/"]) == {"get": "List those that have a capital"}


def test_tags_and_their_conditions_are_described_where_a_method_has_them():
    class Tagged(ETAGMixin, Regions):
        pass

    many, one, _ = described(Tagged)
    for operation in (many["get"], one["get"]):
        assert headers(operation) == {"If-None-Match": False}
        assert {"304", "412"} <= set(operation["responses"])
        assert "ETag" in operation["responses"]["200"]["headers"]
    for method in ("put", "patch"):
        assert headers(one[method]) == {"If-Match": False}
        assert "412" in one[method]["responses"]
        assert "ETag" in one[method]["responses"]["200"]["headers"]
    assert headers(one["delete"]) == {"If-Match": False}
    assert "headers" not in one["delete"]["responses"]["204"]
    assert "412" not in many["post"]["responses"]


def test_conditions_of_bulk_verbs_are_described_where_the_list_has_tags():
    bulk = (ListUpdateModelMixin, ListDestroyModelMixin, Regions)
    many, _, _ = described(type("Tagged", (ETAGMixin, *bulk), {}))
    plain, _, _ = described(type("Plain", bulk, {}))
    for method in ("patch", "delete"):
        assert headers(many[method]) == {"X-BULK-OPERATION": True, "If-Match": False}
        assert "412" in many[method]["responses"]
        assert headers(plain[method]) == {"X-BULK-OPERATION": True}
        assert "412" not in plain[method]["responses"]


def test_conditions_that_are_required_are_described_as_such():
    class Required(APIETAGMixin, Regions):
        pass

    _, one, _ = described(Required)
    for method in ("put", "patch", "delete"):
        assert headers(one[method]) == {"If-Match": True}
        assert "428" in one[method]["responses"]
    assert "428" not in one["get"]["responses"]


def test_without_tags_there_is_nothing_to_describe(settings):
    class Tagged(ETAGMixin, Regions):
        pass

    settings.CORE = {**settings.CORE, "ETAGS": {"ENABLED": False}}
    _, one, _ = described(Tagged)
    assert headers(one["get"]) == {}
    assert "304" not in one["get"]["responses"]


@pytest.fixture
def observed():
    class Observed(Regions):
        def list(self, request):
            return Response()

        def retrieve(self, request, pk):
            return Response()

    for method in (Observed.list, Observed.retrieve):
        method.observable = True
    return Observed


def test_a_live_query_is_described_next_to_the_plain_answer(observed):
    many, one, components = described(observed)
    for operation in (many["get"], one["get"]):
        assert {"observe", "since"} <= {each["name"] for each in operation["parameters"]}
        _, live = operation["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"]
        assert live == {"$ref": "#/components/schemas/ObservedRegion"}
    live = components["schemas"]["ObservedRegion"]
    assert live["required"] == ["observer", "primary_key", "seq"]
    assert live["properties"]["items"]["items"] == {"$ref": "#/components/schemas/Region"}
    assert "observe" not in {each["name"] for each in many["post"].get("parameters", ())}


def test_no_subscriber_is_suggested_that_would_belong_to_who_tries_it_first(observed):
    many, _, _ = described(observed)
    (parameter,) = (each for each in many["get"]["parameters"] if each["name"] == "observe")
    assert not {"example", "examples"} & set(parameter)
    assert "default" not in parameter["schema"]
    assert "1 to 100 letters" in parameter["description"]


def test_with_live_queries_off_they_are_not_described(observed, settings):
    settings.CORE = {**settings.CORE, "REACTIVE": {"ENABLED": False}}
    many, _, _ = described(observed)
    assert "observe" not in {each["name"] for each in many["get"]["parameters"]}


def test_examples_of_one_object_are_examples_of_lists_of_them(db):
    schema = SchemaGenerator().get_schema(request=None, public=True)
    content = schema["paths"]["/api/choices/"]["patch"]["requestBody"]["content"]["application/json"]
    assert content["examples"]["ChoiceList"]["value"] == [{"id": 1, "question": 2, "choice_text": "Tea"}]
    assert (
        "ChoiceList"
        not in schema["paths"]["/api/choices/{id}/"]["patch"]["requestBody"]["content"]["application/json"]["examples"]
    )
