"""Judges the rows of a request. Pure: no request, no database, no serializer."""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

from rest_framework.exceptions import ErrorDetail
from rest_framework.settings import api_settings

Errors = dict[int, dict[str, list[ErrorDetail]]]
"""What is wrong with which item, by its place in the list."""


def repetitions(values: Iterable[Hashable | None]) -> dict[int, int]:
    """Return for each place whose value has stood before where it stood first. None repeats nothing."""
    first: dict[Hashable, int] = {}
    repeated = {}
    for place, value in enumerate(values):
        if value is not None and first.setdefault(value, place) != place:
            repeated[place] = first[value]
    return repeated


def strays(names: Iterable[Any], writable: Collection[str], readable: Collection[str]) -> dict[str, list[ErrorDetail]]:
    """Return why some of the ``names`` in a body may not stand there: they cannot be written, or nobody knows them."""
    found = {}
    for name in names:
        if name in writable:
            continue
        if name in readable:
            found[str(name)] = [ErrorDetail("This field is read-only.", code="read_only")]
        else:
            fields = ", ".join(writable) or "none"
            sentence = f"There is no such field. Those that can be written are: {fields}."
            found[str(name)] = [ErrorDetail(sentence, code="unknown")]
    return found


def listed(errors: Mapping[int, Any], count: int, *, as_dict: bool) -> Any:
    """Return ``errors`` of ``count`` items in the shape of DRF: by place, or with an empty object for what is right."""
    if as_dict:
        return dict(sorted(errors.items()))
    return [errors.get(place, {}) for place in range(count)]


def key_errors(
    name: str, items: Sequence[Any], keys: Sequence[Hashable | None], given: Sequence[bool], known: Collection[Hashable]
) -> Errors:
    """Return what is wrong with the keys by which a list names its rows.

    ``name`` is the field that holds them, ``keys`` are their values as the database has them (None: not readable),
    ``given`` tells which items have one, ``known`` are those the caller may touch. A row that is hidden and one that
    does not exist get the same answer.
    """
    repeated = repetitions(keys)
    errors: Errors = {}
    for place, item in enumerate(items):
        if not isinstance(item, Mapping):
            sentence = f"Invalid data. Expected a dictionary, but got {type(item).__name__}."
            errors[place] = {api_settings.NON_FIELD_ERRORS_KEY: [ErrorDetail(sentence, code="invalid")]}
        elif not given[place]:
            errors[place] = {name: [ErrorDetail("This field is required.", code="required")]}
        elif keys[place] is None or keys[place] not in known:
            sentence = f'Invalid pk "{item[name]!s:.40}" - object does not exist.'
            errors[place] = {name: [ErrorDetail(sentence, code="does_not_exist")]}
        elif place in repeated:
            errors[place] = {name: [ErrorDetail(f"Item {repeated[place]} names the same row.", code="repeated")]}
    return errors


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return what ``after`` has that ``before`` had not or had otherwise, and the names that are gone."""
    changed = {name: value for name, value in after.items() if name not in before or before[name] is not value}
    return changed, set(before) - set(after)


def link_changes(
    standing: Iterable[tuple[Any, Any, Any]], wanted: Mapping[Any, Collection[Any]]
) -> tuple[list[Any], list[tuple[Any, Any]]]:
    """Return which many-to-many links to delete and which to add.

    ``standing`` are links as (their own key, row, target); ``wanted`` are the targets that each row shall have.
    """
    surplus = []
    chosen = {row: set(targets) for row, targets in wanted.items()}
    missing = {row: dict.fromkeys(targets) for row, targets in wanted.items()}
    for key, row, target in standing:
        if row in chosen:
            if target in chosen[row]:
                missing[row].pop(target, None)
            else:
                surplus.append(key)
    return surplus, [(row, target) for row, targets in missing.items() for target in targets]


def mirrored_changes(
    standing: Iterable[tuple[Any, Any, Any]], wanted: Mapping[Any, Collection[Any]]
) -> tuple[list[Any], list[tuple[Any, Any]]]:
    """Return the same for links that go both ways: who takes or leaves another is taken or left by it.

    ``standing`` are the links to the rows as well as from them. The rows are given their targets one after the other:
    what a later row says of a link counts.
    """
    standing = list(standing)
    links: dict[tuple[Any, Any], None] = dict.fromkeys((row, target) for _, row, target in standing)
    targets_of: dict[Any, dict[Any, None]] = {}
    for row, target in links:
        targets_of.setdefault(row, {})[target] = None
    for row, targets in wanted.items():
        mine = targets_of.setdefault(row, {})
        for target in [each for each in mine if each not in targets]:
            for one, other in ((row, target), (target, row)):
                targets_of.get(one, {}).pop(other, None)
        for target in targets:
            for one, other in ((row, target), (target, row)):
                targets_of.setdefault(one, {})[other] = None
    surplus = [key for key, row, target in standing if target not in targets_of.get(row, {})]
    left = ((row, target) for row, targets in targets_of.items() for target in targets)
    return surplus, [link for link in left if link not in links]
