"""Unique sets that hold a parent's column which the serializer does not know.

DRF checks the sets whose fields a serializer has. Under a parent the URL supplies one more column, and what would be
refused by the database in mid-write has to be refused before, in words.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError as InvalidRow
from django.db.models import Model, UniqueConstraint
from rest_framework.exceptions import ErrorDetail

from core.nesting.links import Link


def repeated(
    model: type[Model], row: Model | None, values: Mapping[str, Any], links: Sequence[Link]
) -> list[ErrorDetail]:
    """Return why a row with these values may not be written, if a row like it is there already.

    ``row`` is what ``values`` would change, or None for a new one; ``links`` are those whose columns the serializer
    does not know.
    """
    hidden = {column.field.name for link in links for column in link.columns}
    if not hidden:
        return []
    candidate = _candidate(model, row, values, links)
    given = {field.name for field in model._meta.concrete_fields if {field.name, field.attname} & set(values)}

    def concerned(names: Sequence[str]) -> bool:
        return bool(hidden.intersection(names)) and (row is None or bool(given.intersection(names)))

    errors = [_message(candidate, names) for names in _sets(model) if concerned(names) and _is_there(candidate, names)]
    for constraint in model._meta.constraints:
        if isinstance(constraint, UniqueConstraint) and concerned(constraint.fields):
            try:
                constraint.validate(model, candidate)
            except InvalidRow as error:
                errors += [ErrorDetail(message, code="unique") for message in error.messages]
    return errors


def _candidate(model: type[Model], row: Model | None, values: Mapping[str, Any], links: Sequence[Link]) -> Model:
    candidate = model() if row is None else copy.copy(row)
    columns = {name for field in model._meta.concrete_fields for name in (field.name, field.attname)}
    filled = {column.key: column.value for link in links for column in link.columns}
    for name, value in {**values, **filled}.items():
        if name in columns:
            setattr(candidate, name, value)
    return candidate


def _sets(model: type[Model]) -> Iterator[Sequence[str]]:
    yield from model._meta.unique_together
    yield from ((field.name,) for field in model._meta.concrete_fields if field.unique and not field.primary_key)


def _is_there(candidate: Model, names: Sequence[str]) -> bool:
    columns = {field.name: field.attname for field in candidate._meta.concrete_fields}
    values = {name: getattr(candidate, columns[name]) for name in names}
    if None in values.values():
        return False
    return type(candidate)._default_manager.filter(**values).exclude(pk=candidate.pk).exists()


def _message(candidate: Model, names: Sequence[str]) -> ErrorDetail:
    error = candidate.unique_error_message(type(candidate), tuple(names))
    return ErrorDetail(error.messages[0], code="unique")
