"""Unique sets that hold a parent's column.

DRF checks the sets whose fields a serializer has. Under a parent the URL supplies one more column, and what would be
refused by the database in mid-write has to be refused before, in words.
"""

import copy
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError as InvalidRow
from django.db.models import BaseConstraint, Model, UniqueConstraint
from rest_framework.exceptions import ErrorDetail

from core.nesting.links import Link


def repeated(
    model: type[Model], row: Model | None, values: Mapping[str, Any], links: Sequence[Link]
) -> list[ErrorDetail]:
    """Return why a row with these values may not be written, if a row like it is there already.

    ``row`` is what ``values`` would change, or None for a new one; ``links`` are those whose columns the serializer
    does not know.
    """
    hidden = _columns(links)
    if not hidden:
        return []
    candidate = _candidate(model, row, values, links)
    given = {field.name for field in model._meta.concrete_fields if {field.name, field.attname} & set(values)}

    def concerned(names: Sequence[str]) -> bool:
        return bool(hidden.intersection(names)) and (row is None or bool(given.intersection(names)))

    errors = [_message(candidate, names) for names in _sets(model) if concerned(names) and _is_there(candidate, names)]
    for constraint in _constraints(model):
        if concerned(constraint.fields):
            errors += _violations(constraint, candidate)
    return errors


def repeated_in_block(
    model: type[Model], rows: Sequence[Mapping[str, Any]], links: Sequence[Link], unknown: Sequence[Link]
) -> dict[int, list[ErrorDetail]]:
    """Return why new rows may not be written together, by their places: one is there already, or twice among them.

    Costs one query for each set that holds a column of ``unknown``, the links that the serializer does not know. Sets
    that hold the column of any link are compared within the block.
    """
    ours, hidden = _columns(links), _columns(unknown)
    candidates = [_candidate(model, None, values, links) for values in rows]
    errors: dict[int, list[ErrorDetail]] = defaultdict(list)
    plain: list[tuple[Sequence[str], UniqueConstraint | None]] = [(names, None) for names in _sets(model)]
    plain += [(each.fields, each) for each in _constraints(model) if _is_plain(each)]
    for names, constraint in plain:
        if ours.intersection(names):
            keys = [_key(candidate, names) for candidate in candidates]
            known = _keys_there(model, names, keys) if hidden.intersection(names) else set()
            for place, key in enumerate(keys):
                if key in known:
                    errors[place].append(_message(candidates[place], names, constraint))
                elif key is not None:
                    known.add(key)
    for constraint in _constraints(model):
        if not _is_plain(constraint) and hidden.intersection(constraint.fields):
            for place, candidate in enumerate(candidates):
                errors[place] += _violations(constraint, candidate)
    return {place: details for place, details in errors.items() if details}


def _columns(links: Sequence[Link]) -> set[str]:
    return {column.field.name for link in links for column in link.columns}


def _candidate(model: type[Model], row: Model | None, values: Mapping[str, Any], links: Sequence[Link]) -> Model:
    candidate = model() if row is None else copy.copy(row)
    columns = {name for field in model._meta.concrete_fields for name in (field.name, field.attname)}
    filled = {column.key: column.value for link in links for column in link.columns}
    for name, value in {**values, **filled}.items():
        if name in columns and not isinstance(value, Mapping):
            setattr(candidate, name, value)
    return candidate


def _sets(model: type[Model]) -> Iterator[Sequence[str]]:
    yield from model._meta.unique_together
    yield from ((field.name,) for field in model._meta.concrete_fields if field.unique and not field.primary_key)


def _constraints(model: type[Model]) -> list[UniqueConstraint]:
    return [each for each in model._meta.constraints if isinstance(each, UniqueConstraint)]


def _is_plain(constraint: UniqueConstraint) -> bool:
    """Tell whether the constraint compares nothing but columns, as ``unique_together`` does."""
    return not (constraint.condition or constraint.expressions or constraint.nulls_distinct is False)


def _violations(constraint: UniqueConstraint, candidate: Model) -> list[ErrorDetail]:
    try:
        constraint.validate(type(candidate), candidate)
    except InvalidRow as error:
        return [ErrorDetail(message, code="unique") for message in error.messages]
    return []


def _key(candidate: Model, names: Sequence[str]) -> tuple[Any, ...] | None:
    """Return the values of the set, or None if one of them is null: nulls are all different."""
    key = tuple(getattr(candidate, attname) for attname in _attnames(type(candidate), names))
    return None if None in key else key


def _attnames(model: type[Model], names: Sequence[str]) -> list[str]:
    columns = {field.name: field.attname for field in model._meta.concrete_fields}
    return [columns[name] for name in names]


def _keys_there(
    model: type[Model], names: Sequence[str], keys: Collection[tuple[Any, ...] | None]
) -> set[tuple[Any, ...]]:
    wanted = {key for key in keys if key is not None}
    attnames = _attnames(model, names)
    alike = {f"{attname}__in": {key[at] for key in wanted} for at, attname in enumerate(attnames)}
    return wanted.intersection(model._default_manager.filter(**alike).values_list(*attnames)) if wanted else set()


def _is_there(candidate: Model, names: Sequence[str]) -> bool:
    key = _key(candidate, names)
    if key is None:
        return False
    alike = dict(zip(_attnames(type(candidate), names), key, strict=True))
    return type(candidate)._default_manager.filter(**alike).exclude(pk=candidate.pk).exists()


def _message(candidate: Model, names: Sequence[str], constraint: UniqueConstraint | None = None) -> ErrorDetail:
    if constraint and constraint.violation_error_message != BaseConstraint.default_violation_error_message:
        return ErrorDetail(str(constraint.get_violation_error_message()), code="unique")
    error = candidate.unique_error_message(type(candidate), tuple(names))
    return ErrorDetail(error.messages[0], code="unique")
