"""Serializers."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.contrib.contenttypes.fields import GenericForeignKey
from django.db.models import ImageField, Model
from rest_framework import serializers
from rest_framework.serializers import raise_errors_on_nested_writes
from rest_framework.utils import model_meta

if TYPE_CHECKING:
    _Serializer = serializers.ModelSerializer[Any]
else:
    _Serializer = object


class PartialUpdateSerializerMixin(_Serializer):
    """Makes a partial update write only the columns that it changes.

    ``save(update_fields=[...])`` names them by hand. Columns that hold the time of the last write (``auto_now``)
    are written too; others that the model's own ``save()`` or a field's ``pre_save()`` sets are not noticed.
    """

    _update_fields: list[str] | None = None

    def save(self, **kwargs: Any) -> Any:
        """Save as usual; ``update_fields`` is for a partial update and names the columns to write."""
        names = kwargs.pop("update_fields", None)
        self._update_fields = None if names is None else list(names)
        return super().save(**kwargs)

    def update(self, instance: Any, validated_data: Any) -> Any:
        """Set the validated values on ``instance`` and write those columns."""
        if not self.partial:
            return super().update(instance, validated_data)
        raise_errors_on_nested_writes("update", self, validated_data)
        relations = model_meta.get_field_info(instance).relations
        many = [name for name in validated_data if name in relations and relations[name].to_many]
        single = [name for name in validated_data if name not in many]
        for name in single:
            setattr(instance, name, validated_data[name])
        names = self._update_fields
        instance.save(update_fields=written_columns(instance, single) if names is None else names)
        # After the row, as DRF does: whoever is told of the change finds the row up to date.
        for name in many:
            getattr(instance, name).set(validated_data[name])
        return instance


def written_columns(instance: Model, names: Iterable[str]) -> list[str] | None:
    """Return the columns to write when the attributes ``names`` of ``instance`` have been set.

    None stands for all of them: an attribute that is no field may have changed any.
    """
    options = instance._meta
    columns: Mapping[str, str] = {
        name: field.name for field in options.concrete_fields if not field.primary_key
        for name in (field.name, field.attname)
    }  # fmt: skip
    pairs = {
        field.name: (field.ct_field, field.fk_field)
        for field in options.private_fields
        if isinstance(field, GenericForeignKey)
    }
    # An image writes its size into columns next to it.
    images: Any = [field for field in options.concrete_fields if isinstance(field, ImageField)]
    sizes = {image.name: {name for name in (image.width_field, image.height_field) if name} for image in images}
    written: set[str] = set()
    for name in names:
        if name in pairs:
            written.update(pairs[name])
        elif name in columns:
            written |= {columns[name], *sizes.get(columns[name], ())}
        else:
            return None
    if written:
        written.update(field.name for field in options.concrete_fields if getattr(field, "auto_now", False))
    return sorted(written)
