"""Unique sets that hold a parent's column.

DRF checks the sets whose fields a serializer has. Under a parent the URL supplies one more column, and what would be
refused by the database in mid-write has to be refused before, in words.
"""

import copy
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError as InvalidRow
from django.db.models import BaseConstraint, Model, Q, UniqueConstraint
from rest_framework.exceptions import ErrorDetail

from core.nesting.links import Link
from core.uniqueness import UniqueSet, Wish, clashes


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
    given = _given(model, values)

    def concerned(names: Sequence[str]) -> bool:
        return bool(hidden.intersection(names)) and (row is None or bool(given.intersection(names)))

    errors = [_message(candidate, names) for names in _sets(model) if concerned(names) and _is_there(candidate, names)]
    for constraint in _constraints(model):
        if concerned(constraint.fields):
            errors += _violations(constraint, candidate)
    return errors


def repeated_in_block(
    model: type[Model],
    values: Sequence[Mapping[str, Any]],
    links: Sequence[Link],
    unknown: Sequence[Link],
    rows: Sequence[Model] | None = None,
) -> dict[int, list[ErrorDetail]]:
    """Return why rows may not be written together, by their places: one is there already, or twice among them.

    ``rows`` are those that ``values`` would change; without them they are new. Costs one query per block for each set
    that holds a column of ``unknown``, the links that the serializer does not know. Sets that hold the column of any
    link are compared within the block.
    """
    ours, hidden = _columns(links), _columns(unknown)
    before: Sequence[Model | None] = rows or [None] * len(values)
    candidates = [_candidate(model, row, each, links) for row, each in zip(before, values, strict=True)]
    given = [_given(model, each) for each in values]
    errors: dict[int, list[ErrorDetail]] = defaultdict(list)
    sets: list[tuple[Sequence[str], UniqueConstraint | None]] = [(names, None) for names in _sets(model)]
    sets += [(each.fields, each) for each in _constraints(model)]
    for names, constraint in sets:
        if not ours.intersection(names):
            continue
        condition = constraint.condition if constraint else None
        named = {*names, *_names_in(condition)}
        places = [place for place, row in enumerate(before) if row is None or named & given[place]]
        wishes = [_wish(candidates[place], names, condition) for place in places]
        there: Any = model._default_manager.all() if hidden.intersection(names) else model._default_manager.none()
        alike = constraint is not None and constraint.nulls_distinct is False
        unique = UniqueSet(tuple(_attnames(model, names)), condition, nulls_alike=alike)
        for number, first in clashes(there, unique, wishes).items():
            message = _message(candidates[places[number]], names, constraint)
            if first is not None:
                message = ErrorDetail(f"{message} Item {places[first]} has the same values.", code=message.code)
            errors[places[number]].append(message)
    return errors


def _wish(candidate: Model, names: Sequence[str], condition: Q | None) -> Wish:
    values = tuple(getattr(candidate, attname) for attname in _attnames(type(candidate), names))
    own = None if candidate._state.adding else candidate.pk
    others = sorted(_names_in(condition))
    columns = zip(others, _attnames(type(candidate), others), strict=True)
    return Wish(values, own, {name: getattr(candidate, attname) for name, attname in columns})


def _names_in(condition: Q | None) -> set[str]:
    """Return the fields by which ``condition`` decides."""
    return set() if condition is None else {str(path).partition("__")[0] for path in condition.referenced_base_fields}


def _given(model: type[Model], values: Mapping[str, Any]) -> set[str]:
    return {field.name for field in model._meta.concrete_fields if {field.name, field.attname} & set(values)}


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
