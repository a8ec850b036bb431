"""Fetches what validating a list will ask the database for, a block of rows at a time.

A serializer asks row by row: does this foreign key exist, is that value taken? Before the rows are validated, the
fields that ask run once over all rows with a queryset that only takes notes. What they want is fetched, and the fields
get it from memory. Their own code decides and words the errors as for a single row.

Left to ask row by row: fields that do more than ``get()`` on their queryset, and validators of one's own.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.core.exceptions import ValidationError as InvalidValue
from django.db import connections
from django.db.models import Manager, Model, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.fields import SkipField, empty
from rest_framework.relations import ManyRelatedField, RelatedField
from rest_framework.validators import UniqueValidator

from core.blocks import block_size, blocks
from core.bulk.payload import repetitions

_REFUSALS = (ValidationError, InvalidValue, SkipField, TypeError, ValueError, OverflowError, ObjectDoesNotExist)


def foresee(child: Any, items: Sequence[Any]) -> None:
    """Make the fields of ``child`` answer from memory for ``items``."""
    for field in writable(child):
        relation = field.child_relation if isinstance(field, ManyRelatedField) else field
        if isinstance(relation, RelatedField) and relation.get_queryset() is not None:
            _foresee_related(field, relation, items)
        if any(type(each) is UniqueValidator and each.lookup == "exact" for each in field.validators):
            _foresee_unique(field, items)


def writable(child: Any) -> Iterator[Any]:
    """Yield the fields of ``child`` that take a value."""
    return (field for field in child.fields.values() if not field.read_only)


# --- Foreign keys ------------------------------------------------------------------------------------------


class _Notes:
    """Stands in for a queryset while a field runs for the first time: nothing exists, and what is asked is noted."""

    def __init__(self, queryset: QuerySet[Any]) -> None:
        self._queryset = queryset
        self.asked: dict[str, list[Any]] = {}

    def get(self, *conditions: Any, **lookup: Any) -> Any:
        if not conditions and len(lookup) == 1:
            ((name, value),) = lookup.items()
            self.asked.setdefault(name, []).append(value)
        raise self._queryset.model.DoesNotExist

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queryset, name)


class _Known:
    """Stands in for a queryset whose rows have been fetched, as far as ``get()`` by one of ``fields`` goes."""

    def __init__(self, queryset: QuerySet[Any], fields: Mapping[str, tuple[Any, dict[Hashable, Any]]]) -> None:
        self._queryset = queryset
        self._fields = fields

    def get(self, *conditions: Any, **lookup: Any) -> Any:
        (name, value) = next(iter(lookup.items()), ("", None))
        if conditions or len(lookup) != 1 or name not in self._fields:
            return self._queryset.get(*conditions, **lookup)
        field, rows = self._fields[name]
        row = rows.get(field.get_prep_value(value))  # raises what a lookup by this value would raise
        if row is None:
            raise self._queryset.model.DoesNotExist
        return row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queryset, name)


def _foresee_related(field: Any, relation: Any, items: Sequence[Any]) -> None:
    queryset = relation.get_queryset()
    queryset = queryset.all() if isinstance(queryset, Manager) else queryset
    if not isinstance(queryset, QuerySet):
        return
    notes = _Notes(queryset)
    relation.get_queryset = lambda: notes
    for value in _given(field, items):
        for one in value if field is not relation and isinstance(value, list | tuple) else [value]:
            _quietly(relation.to_internal_value, one)
    fields = {}
    for name, values in notes.asked.items():
        column = _unique_column(queryset.model, name)
        if column is not None:
            found = _fetched(queryset, column, values)
            fields[name] = (column, {getattr(row, column.attname): row for row in found})
    known = _Known(queryset, fields)
    relation.get_queryset = lambda: known


def _unique_column(model: type[Model], name: str) -> Any:
    """Return the column called ``name`` if it names one row at most, and can be compared in memory."""
    column: Any = model._meta.pk if name == "pk" else None
    if column is None:
        column = next((each for each in model._meta.concrete_fields if each.name == name), None)
    plain = column is not None and column.unique and not column.is_relation
    return column if plain and getattr(column, "column", None) else None


def _fetched(queryset: QuerySet[Any], column: Any, values: Iterable[Any]) -> Iterator[Any]:
    wanted = prepared(column, values, queryset.db)
    for block in blocks(wanted, block_size(queryset.db)):
        yield from queryset.filter(**{f"{column.name}__in": block})


def prepared(column: Any, values: Iterable[Any], using: str) -> list[Any]:
    """Return the different ``values`` as the column has them, without those that it cannot hold."""
    low, high = _range(column, using)
    wanted = dict.fromkeys(value for value in (_quietly(column.get_prep_value, each) for each in values))
    wanted.pop(None, None)
    return [each for each in wanted if low is None or not isinstance(each, int) or low <= each <= (high or 0)]


def _range(column: Any, using: str) -> tuple[int | None, int | None]:
    operations: Any = connections[using].ops
    column = column.target_field if column.is_relation else column
    kind = column.get_internal_type()
    return operations.integer_field_range(kind) if kind in operations.integer_field_ranges else (None, None)


def _given(field: Any, items: Sequence[Any]) -> Iterator[Any]:
    """Yield what the items say about ``field``."""
    for item in items:
        if isinstance(item, Mapping) and (value := _quietly(field.get_value, item)) is not empty and value is not None:
            yield value


def _quietly(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what ``function`` does, or None where it refuses: in the second run the refusal is an answer."""
    try:
        return function(*arguments)
    except _REFUSALS:
        return None


# --- Unique values -----------------------------------------------------------------------------------------


class _UniqueInBlock:
    """DRF's ``UniqueValidator`` for a list: asks memory, and knows what the other items say."""

    requires_context = True

    def __init__(self, usual: UniqueValidator, taken: Mapping[Hashable, Any], first: Mapping[int, int]) -> None:
        self._usual = usual
        self._taken = taken  # value, as the column has it, to the key of the row that holds it
        self._first = first  # place of an item to that of the item before it with the same value

    def __call__(self, value: Any, field: Any) -> None:
        serializer = field.parent
        holder = self._taken.get(_key(serializer, field, value))
        if holder is not None and holder != getattr(serializer.instance, "pk", None):
            raise ValidationError(self._usual.message, code="unique")
        if (place := self._first.get(serializer.parent.place)) is not None:
            raise ValidationError(f"{self._usual.message} Item {place} has the same value.", code="unique")


def _foresee_unique(field: Any, items: Sequence[Any]) -> None:
    usual = next(each for each in field.validators if type(each) is UniqueValidator)
    queryset = usual.queryset.all() if isinstance(usual.queryset, Manager) else usual.queryset
    column = column_of(field.parent.Meta.model, field.source) if hasattr(field.parent, "Meta") else None
    if column is None:
        return
    others = [each for each in field.validators if each is not usual]
    field.validators = others
    values = [_value(field, item) for item in items]
    keys = [None if value is None else _key(field.parent, field, value) for value in values]
    taken = {}
    for block in blocks(prepared(column, keys, queryset.db), block_size(queryset.db)):
        pairs = queryset.filter(**{f"{column.name}__in": block}).values_list(column.attname, "pk")
        taken.update(dict(pairs))
    field.validators = [*others, _UniqueInBlock(usual, taken, repetitions(keys))]


def _value(field: Any, item: Any) -> Any:
    if not isinstance(item, Mapping):
        return None
    value = _quietly(field.get_value, item)
    return None if value is empty or value is None else _quietly(field.run_validation, value)


def column_of(model: type[Model], source: str) -> Any:
    """Return the column of ``model`` that ``source`` names, or None."""
    return next((each for each in model._meta.concrete_fields if source in {each.name, each.attname}), None)


def as_stored(column: Any, value: Any) -> Hashable:
    """Return ``value`` as ``column`` has it, so that two spellings of one value are one."""
    if isinstance(value, Model):
        value = getattr(value, column.target_field.attname if column.is_relation else "pk")
    stored: Hashable = _quietly(column.to_python, value)
    return stored


def _key(serializer: Any, field: Any, value: Any) -> Hashable:
    return as_stored(column_of(serializer.Meta.model, field.source), value)
