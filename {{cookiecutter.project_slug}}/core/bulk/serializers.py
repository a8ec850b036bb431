"""A list serializer that validates and saves all its items in a constant number of statements per block."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from django.core.exceptions import ValidationError as InvalidValue
from django.db.models import ForeignObjectRel, Model
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.settings import api_settings

from core.bulk import together, writing
from core.bulk.foresight import foresee, writable
from core.bulk.payload import listed, strays


class BulkListSerializer(serializers.ListSerializer[Any]):
    """Validates the items with its child, each as DRF would validate it alone, and writes them all at once.

    With ``instance``, a list of rows in the order of the items, it updates, each row by its item; ``key`` is then the
    name under which items hold the key of their row, and unknown and read-only names are refused. Without, it creates.
    ``place`` is the number of the item that is being validated.
    """

    place = 0
    key: str | None = None
    errors_as_they_come: Mapping[int, Any] = {}  # by place, whatever shape the answer has

    def to_internal_value(self, data: Any) -> list[Any]:
        """Return the values of all items. Raises ``ValidationError`` with the errors of each item that is wrong."""
        if not isinstance(data, list):
            return list(super().to_internal_value(data))  # which refuses it in words
        rows: Sequence[Model] | None = self.instance
        foresee(self.child, data)
        sets = together.in_block(self.child)
        validated, errors = self._each(data, rows)
        for each in sets:
            for place, error in each.errors().items():
                errors.setdefault(place, error)
        if errors:
            raise self._refusal(errors, len(data))
        return validated

    def run_validators(self, value: Any) -> None:
        """Judge the list as a whole; what a validator says of single items, by place, is put as everything else is."""
        try:
            super().run_validators(value)
        except ValidationError as error:
            if isinstance(error.detail, Mapping) and all(isinstance(place, int) for place in error.detail):
                raise self._refusal(cast("Any", error.detail), len(value)) from None
            raise

    def _refusal(self, errors: Mapping[int, Any], count: int) -> ValidationError:
        self.errors_as_they_come = errors
        shape = getattr(api_settings, "LIST_SERIALIZER_ERRORS_AS_DICT", False)
        return ValidationError(listed(errors, count, as_dict=shape))

    def _each(self, data: Sequence[Any], rows: Sequence[Model] | None) -> tuple[list[Any], dict[int, Any]]:
        child: Any = self.child
        validated, errors = [], {}
        for place, item in enumerate(data):
            self.place = place
            if rows is not None:
                child.instance = rows[place]
            child.initial_data = item
            try:
                if rows is not None:
                    require_writable(child, item, self.key)
                validated.append(child.run_validation(item))
            except (ValidationError, InvalidValue) as error:
                errors[place] = serializers.as_serializer_error(error)
        return validated, errors

    def create(self, validated_data: Any) -> list[Any]:
        """Insert the rows, and return them as they are then."""
        return writing.create_rows(self.child, validated_data)

    def update(self, instance: Any, validated_data: Any) -> Any:
        """Write to each row its own values."""
        return writing.update_rows(self.child, instance, validated_data)


def require_writable(child: Any, item: Any, key: str | None = None) -> None:
    """Raise ``ValidationError`` that names everything in ``item`` that ``child`` would not write."""
    if not isinstance(item, Mapping):
        return  # the serializer has words for it
    names = [field.field_name for field in writable(child) if not isinstance(field, serializers.HiddenField)]
    if found := strays([name for name in item if name != key], names, child.fields):
        raise ValidationError(found)


def shown_many(child: Any, model: type[Model]) -> list[str]:
    """Return the relations of ``model`` to many rows that ``child`` shows, under the names that prefetches know."""
    names: set[Any] = {
        relation.get_accessor_name() if isinstance(relation, ForeignObjectRel) else relation.name
        for relation in model._meta.get_fields()
        if (relation.one_to_many or relation.many_to_many) and relation.related_model
    }
    shown = (field for field in child.fields.values() if not field.write_only)
    many = (serializers.ManyRelatedField, serializers.ListSerializer)
    return [str(field.source) for field in shown if isinstance(field, many) and field.source in names]


def of_one_body(errors: Mapping[int, Any], rows: Sequence[Model]) -> Any:
    """Return what is wrong with a body that was judged against each of ``rows``, in the shape of a single request.

    Of rows that find different things wrong, the first that does, named in each sentence.
    """
    place = min(errors)
    first = errors[place]
    alike = len(errors) == len(rows) and all(each == first for each in errors.values())
    return first if alike else in_words(first, rows[place])


def in_words(error: Any, row: Model) -> Any:
    """Return the errors of one row with its name added to each sentence."""
    if isinstance(error, Mapping):
        return {name: in_words(each, row) for name, each in error.items()}
    if isinstance(error, list):
        return [in_words(each, row) for each in error]
    return ErrorDetail(f"{error} ({row._meta.verbose_name} {row.pk})", code=getattr(error, "code", None))
