"""What a body says about the parents: whether it means the ones that the URL names.

A client may leave a parent out, say the same as the URL, or send back what it has been shown. What names another
parent is refused under the name that the body has for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Model
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty
from rest_framework.relations import ManyRelatedField, RelatedField
from rest_framework.serializers import BaseSerializer, ListSerializer

from core.nesting.links import Column, Link

Refusals = dict[str, list[ErrorDetail]]


def fields_of(serializer: Any, link: Link) -> Iterator[Any]:
    """Yield the serializer's fields that name the parent of ``link``."""
    names = {name for column in link.columns for name in column.names} | {link.accessor}
    return (field for field in getattr(serializer, "fields", {}).values() if field.source in names)


def refusals(serializer: Any, data: Mapping[str, Any], validated: Mapping[str, Any], links: Sequence[Link]) -> Refusals:
    """Return why ``data``, which has been read as ``validated``, is refused: by name, if it names another parent."""
    refused = {}
    for link in links:
        for name, says_other in _statements(serializer, data, validated, link):
            if says_other:
                refused[name] = [
                    ErrorDetail(
                        f"This names another parent than the URL, which says {link.parent_name}. "
                        "Leave it out, or say the same.",
                        code="other_parent",
                    )
                ]
    return refused


def _statements(
    serializer: Any, data: Mapping[str, Any], validated: Mapping[str, Any], link: Link
) -> Iterator[tuple[str, bool]]:
    """Yield each name under which the body speaks of the parent, and whether it means another one."""
    fields = getattr(serializer, "fields", {})
    for column in link.columns:
        for field in fields_of(serializer, link):
            if field.source not in column.names:
                continue
            if field.read_only and field.field_name in data:
                yield field.field_name, not means(data[field.field_name], field, column, link.parent)
            elif not field.read_only and field.get_value(data) is not empty and field.source in validated:
                yield field.field_name, not _agrees(column, validated[field.source])
        for name in column.names - set(fields):
            if name in data:
                yield name, not means(data[name], None, column, link.parent)
        # What a part of the same row (source="*") has brought along.
        for name in column.names.intersection(validated) - {field.source for field in fields.values()}:
            yield name, not _agrees(column, validated[name])
    if link.accessor:
        yield from _many_statements(serializer, data, validated, link)


def _many_statements(
    serializer: Any, data: Mapping[str, Any], validated: Mapping[str, Any], link: Link
) -> Iterator[tuple[str, bool]]:
    """Yield the same for a list of parents: it has to hold the URL's, but a new row may leave it empty."""
    fields = getattr(serializer, "fields", {})
    for field in fields_of(serializer, link):
        if not field.read_only and field.get_value(data) is not empty and field.source in validated:
            yield field.field_name, not _holds(serializer, field, validated[field.source], link)
        elif field.read_only and field.field_name in data:
            yield field.field_name, not _holds(serializer, field, _listed(data, field.field_name), link)
    for name in {link.accessor, link.path.steps[0].name} - set(fields):
        if name in data:
            yield name, not _holds(serializer, None, _listed(data, name), link)


def _listed(data: Mapping[str, Any], name: str) -> Any:
    # A form repeats the name for each value.
    return data.getlist(name) if hasattr(data, "getlist") else data[name]


def _holds(serializer: Any, field: Any, named: Any, link: Link) -> bool:
    if not isinstance(named, list | tuple | set):
        named = [] if named is None else [named]
    if not named:
        return serializer.instance is None
    if isinstance(field, ManyRelatedField):
        field = field.child_relation
    elif isinstance(field, ListSerializer):
        field = field.child
    parent = link.parent
    return any(one == parent if isinstance(one, Model) else means(one, field, None, parent) for one in named)


def _agrees(column: Column, value: Any) -> bool:
    # A nested serializer's values: where they lead is seen when the row is saved.
    return isinstance(value, Mapping) or column.agrees(value)


def means(raw: Any, field: Any, column: Column | None, parent: Model) -> bool:
    """Tell whether a value of the body means ``parent``, by the ways of writing it that the API itself uses.

    For values that no field of the serializer has read, because it is for reading only (``field``) or for nobody
    (None). An object means the parent by its key, and without one by all it tells: a client that sends back what it
    has got must not be refused, and one that tells of another parent must be.
    """
    target = column.value if column else parent
    keys = [raw] if not isinstance(raw, Mapping) else [raw[name] for name in _key_names(parent) if name in raw]
    if keys:
        agrees = column is not None and not isinstance(keys[0], bool) and column.agrees(keys[0])
        return agrees or str(keys[0]) in _forms(field, target)
    told = _told(field, target if isinstance(target, Model) else parent)
    return all(_same(value, told[name]) for name, value in raw.items() if name in told)


def _key_names(parent: Model) -> tuple[str, ...]:
    return "id", "pk", parent._meta.pk.name


def _forms(field: Any, target: Any) -> set[str]:
    """Return the ways of writing the parent as one value."""
    forms = {str(target.pk)} if isinstance(target, Model) else {str(target)}
    if isinstance(field, RelatedField):
        forms.add(str(field.to_representation(target)))
    return forms


def _told(field: Any, parent: Model) -> Mapping[str, Any]:
    """Return the parent as an object: as ``field`` shows it, else by its columns."""
    shown = field.to_representation(parent) if isinstance(field, BaseSerializer | RelatedField) else None
    if isinstance(shown, Mapping):
        return shown
    return {name: getattr(parent, name) for each in parent._meta.concrete_fields for name in (each.name, each.attname)}


def _same(raw: Any, shown: Any) -> bool:
    if isinstance(raw, Mapping) and isinstance(shown, Mapping):
        return all(_same(value, shown[name]) for name, value in raw.items() if name in shown)
    if isinstance(shown, Model):
        return means(raw, None, None, shown)
    return isinstance(shown, list | Mapping) or str(raw) == str(shown)
