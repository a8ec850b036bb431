"""How a row hangs on a parent, told from the models alone."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ImproperlyConfigured

from core.nesting.links import Column, follow, make_link
from tests.nesting_app.models import City, Comment, Label, Passport, Region, Stamp, Street


@pytest.mark.parametrize(
    ("model", "lookup", "steps", "rest", "many"),
    [
        (City, "region", ["region"], (), False),
        (City, "region_id", ["region"], (), False),
        (City, "pk", ["id"], (), False),
        (City, "region__country_code", ["region", "country_code"], (), False),
        (City, "name__iexact", ["name"], ("iexact",), False),
        (Street, "city__region", ["city", "region"], (), False),
        (Street, "city__labels", ["city", "labels"], (), True),
        (Region, "cities", ["cities"], (), True),
        (Permission, "group__user", ["group", "user"], (), True),
        (Comment, "task", ["task"], (), False),
        (Comment, "object_id", ["object_id"], (), False),
    ],
)
def test_a_lookup_is_followed_from_field_to_field(model, lookup, steps, rest, many):
    path = follow(model, lookup)
    assert ([step.name for step in path.steps], path.rest, path.many) == (steps, rest, many)


def test_a_lookup_that_begins_nowhere_says_so():
    with pytest.raises(ImproperlyConfigured, match=r"'town__region', but nesting\.Street has no field 'town'"):
        follow(Street, "town__region")


NORTH = Region(pk=7, country_code="north")


@pytest.mark.parametrize(
    ("model", "lookup", "parent", "conditions", "linked_by"),
    [
        (City, "region", NORTH, {"region": NORTH}, {"region": NORTH}),
        (City, "region__country_code", NORTH, {"region__country_code": "north"}, {"region": NORTH}),
        (Passport, "region", NORTH, {"region": NORTH}, {"region": NORTH}),
        (Stamp, "country_code", NORTH, {"country_code": "named"}, {"country_code": "named"}),
        (City, "labels", Label(pk=1), {"labels": Label(pk=1)}, "labels"),
        (Label, "cities", City(pk=1), {"cities": City(pk=1)}, "cities"),
        (Group, "user", User(pk=1), {"user": User(pk=1)}, "user_set"),
        (Street, "city__region", NORTH, {"city__region": NORTH}, None),
        (Region, "cities", City(pk=1), {"cities": City(pk=1)}, None),
        (City, "name__iexact", NORTH, {"name__iexact": "named"}, None),
        (City, "region", User(pk=1), {"region": "named"}, {"region_id": "named"}),
    ],
)
def test_a_link_says_which_rows_and_how_a_new_one_is_linked(model, lookup, parent, conditions, linked_by):
    link = make_link(model, lookup, parent, "named")
    assert link.conditions == conditions
    assert ({column.key: column.value for column in link.columns} or link.accessor) == linked_by
    assert link.indirect == (linked_by is None)


@pytest.mark.parametrize(
    ("value", "agrees"),
    [
        (7, True),
        ("7", True),
        (NORTH, True),
        (8, False),
        ("x", False),
        (None, False),
        ([], False),
        (Region(pk=8), False),
    ],
)
def test_a_column_knows_its_value_in_every_form(value, agrees):
    assert Column(City._meta.get_field("region"), NORTH).agrees(value) is agrees


def test_a_column_compares_what_it_refers_to():
    column = Column(Passport._meta.get_field("region"), NORTH)
    assert column.agrees("north")
    assert not column.agrees(7)
    assert column.agrees(Region(pk=8, country_code="north"))
