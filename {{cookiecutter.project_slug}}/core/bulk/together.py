"""DRF's ``UniqueTogetherValidator`` for a list: rows say what they want, then the database is asked once a block."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.settings import api_settings
from rest_framework.validators import UniqueTogetherValidator

from core.bulk.foresight import as_stored, block_size, column_of
from core.bulk.payload import Errors, blocks, repetitions

Values = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class _Wish:
    """The set of values that one item would give its row."""

    place: int
    values: Values
    attributes: dict[str, Any]
    row: Any  # what the item changes, or None


class TogetherInBlock:
    """Takes the place of one ``UniqueTogetherValidator`` of the serializer that validates each item."""

    requires_context = True

    def __init__(self, usual: UniqueTogetherValidator, columns: Sequence[Any]) -> None:
        self._usual: Any = usual
        self._columns = columns
        self._wishes: list[_Wish] = []

    def __call__(self, attributes: dict[str, Any], serializer: Any) -> None:
        """Note what the item wants; of what may be null in a set of its own kind, DRF judges by itself."""
        self._usual.enforce_required_fields(attributes, serializer)
        row = serializer.instance
        if row is not None and not any(name in attributes for name in self._names()):
            return
        values = tuple(_value(column, attributes, row) for column in self._columns)
        if None in values:
            if self._usual.nulls_distinct is False:
                self._usual(attributes, serializer)
            return
        self._wishes.append(_Wish(serializer.parent.place, values, attributes, row))

    def errors(self, serializer: Any) -> Errors:
        """Ask the database, and return what is wrong with which item."""
        holders = self._holders()
        taken = {wish.place for wish in self._wishes if self._is_taken(wish, holders, serializer)}
        message = self._usual.message.format(field_names=", ".join(self._usual.fields))
        errors = {place: _error(message, self._usual.code) for place in taken}
        if self._usual.condition is None:  # of two items under a condition the database judges
            for number, first in repetitions(wish.values for wish in self._wishes).items():
                sentence = f"{message} Item {self._wishes[first].place} has the same values."
                errors.setdefault(self._wishes[number].place, _error(sentence, self._usual.code))
        return errors

    def _names(self) -> Iterator[str]:
        for column in self._columns:
            yield column.name
            yield column.attname
        yield from self._usual.condition_fields

    def _holders(self) -> dict[Values, list[Any]]:
        """Return the keys of the rows that hold one of the sets wanted."""
        queryset: Any = self._usual.queryset.all()
        names = [column.attname for column in self._columns]
        wanted = {wish.values for wish in self._wishes}
        holders: dict[Values, list[Any]] = {}
        for block in blocks(list(wanted), block_size(queryset.db, len(names))):
            # One IN per column: more rows than wanted, but a plain condition however long the block.
            conditions = {f"{name}__in": {values[at] for values in block} for at, name in enumerate(names)}
            for key, *values in queryset.filter(**conditions).values_list("pk", *names).iterator():
                if (found := tuple(values)) in wanted:
                    holders.setdefault(found, []).append(key)
        return holders

    def _is_taken(self, wish: _Wish, holders: Mapping[Values, Sequence[Any]], serializer: Any) -> bool:
        own = None if wish.row is None else wish.row.pk
        if all(key == own for key in holders.get(wish.values, ())):
            return False
        if self._usual.condition is None:
            return True
        serializer.instance = wish.row
        try:
            self._usual(wish.attributes, serializer)
        except ValidationError:
            return True
        return False


def in_block(child: Any) -> list[TogetherInBlock]:
    """Put ``TogetherInBlock`` into ``child`` where it can stand, and return all that were put in."""
    placed: list[TogetherInBlock] = []
    validators: list[Any] = []
    for each in child.validators:
        columns = _columns(each, child) if type(each) is UniqueTogetherValidator else []
        if columns and None not in columns:
            placed.append(TogetherInBlock(each, columns))
            validators.append(placed[-1])
        else:
            validators.append(each)
    child.validators = validators
    return placed


def _columns(validator: UniqueTogetherValidator, child: Any) -> list[Any]:
    return [column_of(child.Meta.model, child.fields[name].source) for name in validator.fields]


def _value(column: Any, attributes: Mapping[str, Any], row: Any) -> Hashable:
    for name in (column.name, column.attname):
        if name in attributes:
            return as_stored(column, attributes[name])
    value: Hashable = getattr(row, column.attname, None)
    return value


def _error(message: str, code: str) -> dict[str, list[ErrorDetail]]:
    return {api_settings.NON_FIELD_ERRORS_KEY: [ErrorDetail(message, code=code)]}
