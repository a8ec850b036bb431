"""A country in small: regions, cities and streets, served under each other."""

import pytest

from core.routers import ExtendedSimpleRouter
from tests.nesting_app.api import serializer_of, viewset_of
from tests.nesting_app.models import City, Region, Street


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
