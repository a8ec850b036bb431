"""A country in small: regions, cities and streets, and a way to serve routers."""

import pytest
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.viewsets import ModelViewSet

from core.routers import ExtendedSimpleRouter
from core.viewsets import NestedViewSetMixin
from tests.nesting_app.models import City, Region, Street


def serializer_of(model_class, *names, **declared):
    """Return a serializer of these fields."""
    meta = type("Meta", (), {"model": model_class, "fields": names})
    return type(f"{model_class.__name__}Serializer", (serializers.ModelSerializer,), {"Meta": meta, **declared})


def viewset_of(usual_serializer, /, **attributes):
    """Return a viewset that lets everybody do everything, and can be nested."""
    model = usual_serializer.Meta.model
    given = {
        "queryset": model._default_manager.order_by("pk"),
        "serializer_class": usual_serializer,
        "permission_classes": (AllowAny,),
        "pagination_class": None,
        **attributes,
    }
    return type(f"{model.__name__}ViewSet", (NestedViewSetMixin, ModelViewSet), given)


@pytest.fixture
def world(db):
    """Two regions of two cities of two streets each, by their codes: ``north-1-2`` is a street."""
    for code in ("north", "south"):
        region = Region.objects.create(country_code=code, name=code.title())
        for number in (1, 2):
            city = City.objects.create(region=region, name=f"{code}-{number}")
            for other in (1, 2):
                Street.objects.create(city=city, name=f"{code}-{number}-{other}")


@pytest.fixture
def atlas(serve, world):
    """Serve regions, cities and streets under each other, with what is given for each viewset."""

    def serve_atlas(region=None, city=None, street=None):
        router = ExtendedSimpleRouter()
        (
            router.register("regions", viewset_of(serializer_of(Region, "id", "country_code", "name"), **region or {}))
            .register(
                "cities",
                viewset_of(serializer_of(City, "id", "region", "name"), **city or {}),
                "region-city",
                ["region"],
            )
            .register(
                "streets",
                viewset_of(serializer_of(Street, "id", "city", "name"), **street or {}),
                "region-city-street",
                ["city__region", "city"],
            )
        )
        serve(router.urls)

    return serve_atlas
