"""DRF's validators of several fields for a list: rows say what they want, then the database is asked once a block."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, cast

from django.db.models import F, QuerySet
from django.db.models.functions import ExtractDay, ExtractMonth, ExtractYear
from rest_framework.exceptions import ErrorDetail
from rest_framework.settings import api_settings
from rest_framework.validators import (
    BaseUniqueForValidator,
    UniqueForDateValidator,
    UniqueForMonthValidator,
    UniqueForYearValidator,
    UniqueTogetherValidator,
)

from core.bulk.foresight import as_stored, column_of
from core.bulk.payload import Errors
from core.uniqueness import UniqueSet, Wish, clashes


class InBlock:
    """Takes the place of one validator of the serializer that validates each item."""

    requires_context = True

    def __init__(self) -> None:
        self._places: list[int] = []
        self._wishes: list[Wish] = []

    def _note(self, serializer: Any, values: tuple[Hashable, ...], others: Mapping[str, Any] | None = None) -> None:
        """Note what the item that is validated wants."""
        self._places.append(serializer.parent.place)
        self._wishes.append(Wish(values, getattr(serializer.instance, "pk", None), others or {}))

    def _repeated(self, queryset: QuerySet[Any], unique: UniqueSet) -> Iterator[tuple[int, str]]:
        """Ask the database; yield the place of each item that repeats something, and the sentence that says what."""
        for number, before in clashes(queryset, unique, self._wishes).items():
            yield self._places[number], "" if before is None else f" Item {self._places[before]} has the same values."


class TogetherInBlock(InBlock):
    """Takes the place of a ``UniqueTogetherValidator``."""

    def __init__(self, usual: UniqueTogetherValidator, columns: Sequence[Any], deciding: Sequence[Any]) -> None:
        super().__init__()
        self._usual: Any = usual
        self._columns = columns
        self._deciding = deciding  # the columns by which the condition of the set decides

    def __call__(self, attributes: dict[str, Any], serializer: Any) -> None:
        """Note what the item wants. Raises ``ValidationError`` if it leaves out what a new row needs."""
        self._usual.enforce_required_fields(attributes, serializer)
        row = serializer.instance
        if row is not None and not any(name in attributes for name in self._names()):
            return
        others = {column.name: _value(column, attributes, row) for column in self._deciding}
        self._note(serializer, tuple(_value(column, attributes, row) for column in self._columns), others)

    def errors(self) -> Errors:
        """Ask the database, and return what is wrong with which item."""
        message = self._usual.message.format(field_names=", ".join(self._usual.fields))
        names = tuple(column.attname for column in self._columns)
        unique = UniqueSet(names, self._usual.condition, nulls_alike=self._usual.nulls_distinct is False)
        return {
            place: {api_settings.NON_FIELD_ERRORS_KEY: [ErrorDetail(message + more, code=self._usual.code)]}
            for place, more in self._repeated(self._usual.queryset.all(), unique)
        }

    def _names(self) -> Iterator[str]:
        for column in (*self._columns, *self._deciding):
            yield column.name
            yield column.attname


_PARTS: dict[type[BaseUniqueForValidator], Mapping[str, Any]] = {
    UniqueForDateValidator: {"year": ExtractYear, "month": ExtractMonth, "day": ExtractDay},
    UniqueForMonthValidator: {"month": ExtractMonth},
    UniqueForYearValidator: {"year": ExtractYear},
}


class ForDateInBlock(InBlock):
    """Takes the place of a validator of ``unique_for_date``, ``unique_for_month`` or ``unique_for_year``."""

    def __init__(self, usual: BaseUniqueForValidator, column: Any, date: Any) -> None:
        super().__init__()
        self._usual: Any = usual
        self._column = column
        self._date = date
        self._parts = _PARTS[type(usual)]

    def __call__(self, attributes: dict[str, Any], _serializer: Any) -> None:
        """Note what the item wants. Raises ``ValidationError`` unless it has both fields, as DRF wants them."""
        self._usual.enforce_required_fields(attributes)
        date = attributes[self._usual.date_field]
        if date is not None:
            value = as_stored(self._column, attributes[self._usual.field])
            self._note(_serializer, (value, *(getattr(date, part) for part in self._parts)))

    def errors(self) -> Errors:
        """Ask the database, and return what is wrong with which item."""
        message = self._usual.message.format(date_field=self._usual.date_field)
        parts = {f"of_date_{part}": extract(F(self._date.name)) for part, extract in self._parts.items()}
        unique = UniqueSet((self._column.attname, *parts))
        return {
            place: {self._usual.field: [ErrorDetail(message + more, code="unique")]}
            for place, more in self._repeated(self._usual.queryset.annotate(**parts), unique)
        }


Placed = TogetherInBlock | ForDateInBlock


def in_block(child: Any) -> list[Placed]:
    """Put validators of blocks into ``child`` where they can stand for its own, and return all that were put in."""
    validators = [_in_block(each, child) or each for each in child.validators]
    child.validators = validators
    return [each for each in validators if isinstance(each, Placed)]


def _in_block(validator: Any, child: Any) -> Placed | None:
    if type(validator) is UniqueTogetherValidator:
        validator = cast("Any", validator)
        columns = [_column(child, name) for name in validator.fields]
        deciding = [_column(child, name) for name in validator.condition_fields]
        known = columns and None not in (*columns, *deciding)
        return TogetherInBlock(validator, columns, deciding) if known else None
    if type(validator) in _PARTS:
        column, date = _column(child, validator.field), _column(child, validator.date_field)
        return ForDateInBlock(validator, column, date) if column is not None and date is not None else None
    return None


def _column(child: Any, name: str) -> Any:
    return column_of(child.Meta.model, child.fields[name].source)


def _value(column: Any, attributes: Mapping[str, Any], row: Any) -> Hashable:
    for name in (column.name, column.attname):
        if name in attributes:
            return as_stored(column, attributes[name])
    value: Hashable = getattr(row, column.attname, None)
    return value
