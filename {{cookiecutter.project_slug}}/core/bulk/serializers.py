"""A list serializer that validates and saves all its items in a constant number of statements per block."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError as InvalidValue
from django.db.models import Model
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
            for place, error in each.errors(self.child).items():
                errors.setdefault(place, error)
        if errors:
            self.errors_as_they_come = errors
            shape = getattr(api_settings, "LIST_SERIALIZER_ERRORS_AS_DICT", False)
            raise ValidationError(listed(errors, len(data), as_dict=shape))
        return validated

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
