"""Partial updates that write only what they change."""

import re
from datetime import UTC, datetime

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, models
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext, isolate_apps
from rest_framework import serializers

from core.serializers import PartialUpdateSerializerMixin, written_columns
from tests.nesting_app.api import serializer_of
from tests.nesting_app.models import Label, Place, Visit


def partial_serializer_of(model, *names, **declared):
    return type("Partial", (PartialUpdateSerializerMixin, serializer_of(model, *names, **declared)), {})


@pytest.fixture
def moscow(db):
    return Place.objects.create(pk=10, name="Moscow", country="Russia")


def updated(serializer_class, instance, data, **save):
    """Update ``instance`` and return the columns that the UPDATE has set, or None without one."""
    serializer = serializer_class(instance=instance, data=data, partial=True)
    assert serializer.is_valid(), serializer.errors
    with CaptureQueriesContext(connection) as queries:
        serializer.save(**save)
    statements = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    if not statements:
        return None
    assignments = statements[0].split(" SET ")[1].split(" WHERE ")[0]
    return set(re.findall(r'"(\w+)" = ', assignments))


def test_a_partial_update_writes_the_columns_that_it_changes(moscow):
    city = partial_serializer_of(Place, "name", "country")
    Place.objects.update(name="changed meanwhile")
    assert updated(city, moscow, {"country": "USA"}) == {"country"}
    stored = Place.objects.get()
    assert (stored.name, stored.country) == ("changed meanwhile", "USA")


def test_without_the_mixin_everything_is_written(moscow):
    assert {"name", "country", "street"} < updated(serializer_of(Place, "name", "country"), moscow, {"country": "USA"})


def test_a_whole_update_writes_everything(moscow):
    city = partial_serializer_of(Place, "name", "country")
    Place.objects.update(street="changed meanwhile")
    serializer = city(instance=moscow, data={"name": "Moscow", "country": "USA"})
    assert serializer.is_valid()
    serializer.save()
    assert (Place.objects.get().country, Place.objects.get().street) == ("USA", "")


def test_creating_is_as_usual(db):
    serializer = partial_serializer_of(Place, "name", "country")(data={"name": "Moscow", "country": "USA"})
    assert serializer.is_valid()
    assert serializer.save().pk


def test_what_is_given_to_save_is_written_too(moscow):
    city = partial_serializer_of(Place, "name")
    assert updated(city, moscow, {"name": "M"}, street="S") == {"name", "street"}
    assert updated(city, moscow, {"name": "M"}, twin_id=moscow.pk) == {"name", "twin_id"}


def test_the_columns_can_be_named_by_hand(moscow):
    city = partial_serializer_of(Place, "name", "country")
    assert updated(city, moscow, {"name": "M", "country": "C"}, update_fields=["name"]) == {"name"}
    assert (Place.objects.get().name, Place.objects.get().country) == ("M", "Russia")
    # what was named once does not stick
    assert updated(city, moscow, {"country": "C"}) == {"country"}


def test_a_field_with_another_source_writes_its_column(moscow):
    city = partial_serializer_of(Place, "title", title=serializers.CharField(source="name"))
    assert updated(city, moscow, {"title": "M"}) == {"name"}


def test_a_foreign_key_is_written(moscow):
    city = partial_serializer_of(Place, "twin", "name")
    assert updated(city, moscow, {"twin": moscow.pk}) == {"twin_id"}
    assert Place.objects.get().twin == moscow


def test_a_part_of_the_same_row_is_written(moscow):
    address = partial_serializer_of(Place, "street", "zip_code")(source="*")
    city = partial_serializer_of(Place, "name", "address", address=address)
    assert updated(city, moscow, {"address": {"street": "Arbat"}}) == {"street"}
    assert updated(city, moscow, {"name": "M", "address": {"zip_code": "1"}}) == {"name", "zip_code"}
    stored = Place.objects.get()
    assert (stored.name, stored.street, stored.zip_code) == ("M", "Arbat", "1")


def test_attributes_are_set_in_the_order_of_the_serializer(moscow):
    for names, street in ((("address", "street"), "by itself"), (("street", "address"), "in the address")):
        partial = partial_serializer_of(Place, *names, address=serializers.CharField())
        updated(partial, moscow, {"street": "by itself", "address": "in the address, 1"})
        moscow.refresh_from_db()
        assert moscow.street == street


@isolate_apps("tests.nesting_app")
def test_an_image_writes_its_size():
    class Picture(models.Model):
        width = models.IntegerField(null=True)
        height = models.IntegerField(null=True)
        image = models.ImageField(width_field="width", height_field="height")

        class Meta:
            app_label = "nesting"

    assert written_columns(Picture(), ["image"]) == ["height", "image", "width"]


def test_many_to_many_is_set_and_no_column_written(moscow):
    labels = [Label.objects.create(name=name) for name in "ab"]
    city = partial_serializer_of(Place, "name", "labels")
    assert updated(city, moscow, {"labels": [label.pk for label in labels]}) is None
    assert list(moscow.labels.order_by("pk")) == labels
    assert updated(city, moscow, {"name": "M", "labels": []}) == {"name"}
    assert not moscow.labels.exists()


def test_a_file_is_stored_and_its_column_written(moscow, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    city = partial_serializer_of(Place, "name", "flag")
    assert updated(city, moscow, {"flag": SimpleUploadedFile("flag.svg", b"<svg/>")}) == {"flag"}
    stored = Place.objects.get().flag
    assert stored.name == "flags/flag.svg"
    assert (tmp_path / stored.name).read_bytes() == b"<svg/>"


def test_the_two_columns_of_a_generic_relation_are_written(moscow):
    city = partial_serializer_of(Place, "name")
    label = Label.objects.create(name="a")
    assert updated(city, moscow, {}, content_object=label) == {"content_type_id", "object_id"}
    assert Place.objects.get().content_object == label


def test_a_property_may_have_changed_any_column(moscow):
    city = partial_serializer_of(Place, "address", address=serializers.CharField())
    assert {"street", "zip_code", "name"} < updated(city, moscow, {"address": "Arbat, 1"})
    assert Place.objects.get().street == "Arbat"


def test_a_column_that_notes_the_time_of_the_write_is_kept_true(db):
    visit = Visit.objects.create(place="x")
    Visit.objects.update(written=datetime(2020, 1, 1, tzinfo=UTC))
    visit.refresh_from_db()
    assert updated(partial_serializer_of(Visit, "place", "count"), visit, {"count": 2}) == {"count", "written"}
    assert Visit.objects.get().written.year > 2020


def test_nothing_to_change_writes_nothing(moscow):
    assert updated(partial_serializer_of(Place, "name"), moscow, {}) is None


def test_signals_name_the_columns(moscow):
    seen = []

    def note(sender, update_fields, **kwargs):
        seen.append(update_fields)

    post_save.connect(note, sender=Place)
    try:
        updated(partial_serializer_of(Place, "name", "country"), moscow, {"country": "USA"})
    finally:
        post_save.disconnect(note, sender=Place)
    assert seen == [frozenset({"country"})]


def test_a_nested_write_is_refused_as_usual(moscow):
    city = partial_serializer_of(Place, "twin", twin=serializer_of(Place, "name")())
    serializer = city(instance=moscow, data={"twin": {"name": "x"}}, partial=True)
    assert serializer.is_valid()
    with pytest.raises(AssertionError, match="does not support writable nested"):
        serializer.save()


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["name"], ["name"]),
        (["twin", "twin_id"], ["twin"]),
        (["content_object"], ["content_type", "object_id"]),
        ([], []),
        (["id"], None),  # another key is another row
        (["address"], None),
    ],
)
def test_columns_are_told_from_attributes(names, columns):
    assert written_columns(Place(), names) == columns
