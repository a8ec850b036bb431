"""Holds the serializers of a nested viewset to the parents that its URL names.

The bound serializer is the viewset's own with these rules added: a field that names a parent may be left out; a body
that names another parent is refused; a new row is linked; a row that is written stays where it is. Whatever goes
through the viewset's ``get_serializer`` keeps to them, lists included.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from django.db import IntegrityError, router, transaction
from django.db.models import ForeignObjectRel, Model
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty
from rest_framework.relations import ManyRelatedField, RelatedField
from rest_framework.settings import api_settings

from core.nesting.links import Column, Link, linked
from core.nesting.uniqueness import repeated

if TYPE_CHECKING:
    _Serializer = serializers.Serializer[Any]
else:
    _Serializer = object

CONTEXT = "nesting"
Refusals = dict[str, list[ErrorDetail]]


class StaysUnderParents(_Serializer):
    """Judges what the body says about the parents, and fills in what it leaves out."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated values, with those that link a new row to its parents."""
        links = _links(self)
        if isinstance(data, Mapping):
            _relax(self, data, links)
        validated = super().to_internal_value(data)
        if isinstance(data, Mapping) and isinstance(validated, dict):
            if refusals := _refusals(self, data, validated, links):
                raise serializers.ValidationError(refusals)
            if repetitions := _repetitions(self, validated, links):
                raise serializers.ValidationError({api_settings.NON_FIELD_ERRORS_KEY: repetitions})
            if self.instance is None or not self.partial:
                _fill(validated, links)
        return validated


class LinksToParents(StaysUnderParents):
    """Adds what only a saved row can tell or take: many-to-many links, and a look at where the row has come to be."""

    def create(self, validated_data: Any) -> Any:
        """Make the row and link it, both or neither."""
        with _atomic(self):
            row = super().create(validated_data)
            if isinstance(row, Model):
                _add(self, row)
                _require_linked(self, row, ())
            return row

    def update(self, instance: Any, validated_data: Any) -> Any:
        """Write the row, unless that would take it away from its parents."""
        written = set(validated_data)
        with _atomic(self):
            row = super().update(instance, validated_data)
            if isinstance(row, Model):
                _require_linked(self, row, written)
            return row


def bind(serializer_class: type[Any], links: Sequence[Link]) -> type[Any]:
    """Return ``serializer_class`` with the rules; its context has to hold ``links`` under ``CONTEXT``.

    Saving is left alone where every link is a column that validation fills and the serializer saves as DRF does:
    bulk operations can then write all rows at once.
    """
    usual: Any = serializers.ModelSerializer
    plain = (
        issubclass(serializer_class, usual)
        and serializer_class.create is usual.create
        and serializer_class.update is usual.update
        and all(link.columns or link.implied for link in links)
    )
    rules: Any = StaysUnderParents if plain else LinksToParents
    return _bound(cast("Any", serializer_class), rules)


@lru_cache(maxsize=512)
def _bound(serializer_class: Any, rules: Any) -> type[Any]:
    attributes = {name: getattr(serializer_class, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(serializer_class.__name__, (rules, serializer_class), attributes)


def _links(serializer: Any) -> Sequence[Link]:
    links: Sequence[Link] = serializer.context[CONTEXT]
    return links


def _atomic(serializer: Any) -> Any:
    model = type(serializer.instance) if serializer.instance is not None else _model(serializer)
    return transaction.atomic(using=router.db_for_write(model) if model else None)


def _model(serializer: Any) -> type[Model] | None:
    model: type[Model] | None = getattr(getattr(serializer, "Meta", None), "model", None)
    return model


# --- Before validation -------------------------------------------------------------------------------------


def _relax(serializer: Any, data: Mapping[str, Any], links: Sequence[Link]) -> None:
    """Make the fields that name a parent optional, as far as the body leaves them out."""
    for link in links:
        for field in _fields_of(serializer, link):
            if not field.read_only and (field.get_value(data) is empty or field.field_name not in data):
                field.required = False
                if isinstance(field, ManyRelatedField):
                    field.allow_empty = True  # a form cannot tell an empty list from none


def _fields_of(serializer: Any, link: Link) -> Iterator[Any]:
    """Yield the serializer's fields that name the parent of ``link``."""
    names = {name for column in link.columns for name in column.names} | {link.accessor}
    return (field for field in getattr(serializer, "fields", {}).values() if field.source in names)


# --- What the body says ------------------------------------------------------------------------------------


def _refusals(
    serializer: Any, data: Mapping[str, Any], validated: Mapping[str, Any], links: Sequence[Link]
) -> Refusals:
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
        for field in _fields_of(serializer, link):
            if field.source not in column.names:
                continue
            if field.read_only and field.field_name in data:
                yield field.field_name, not _raw_agrees(column, field, data[field.field_name], link.parent)
            elif not field.read_only and field.get_value(data) is not empty and field.source in validated:
                yield field.field_name, not _agrees(column, validated[field.source])
        for name in column.names - set(fields):
            if name in data:
                yield name, not _raw_agrees(column, None, data[name], link.parent)
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
    for field in _fields_of(serializer, link):
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
    forms = _forms(field.child_relation if isinstance(field, ManyRelatedField) else field, link.parent)
    return any(one == link.parent if isinstance(one, Model) else str(_key(one, link.parent)) in forms for one in named)


def _agrees(column: Column, value: Any) -> bool:
    # A nested serializer's values: where they lead is seen when the row is saved.
    return isinstance(value, Mapping) or column.agrees(value)


def _raw_agrees(column: Column, field: Any, raw: Any, parent: Model) -> bool:
    """Judge a value that no serializer field has read, because it is for reading only or for nobody.

    A client that sends back what it has got must not be refused.
    """
    key = _key(raw, parent)
    return column.agrees(key) or (not isinstance(key, Model) and str(key) in _forms(field, column.value))


def _key(raw: Any, parent: Model) -> Any:
    """Return the key in ``raw``, which may be a whole object; one without a key names nobody, so not another."""
    if not isinstance(raw, Mapping):
        return raw
    names = ("id", "pk", parent._meta.pk.name)
    return next((raw[name] for name in names if name in raw), parent.pk)


def _forms(field: Any, parent: Any) -> set[str]:
    """Return the ways of writing ``parent`` that the API itself uses."""
    forms = {str(parent.pk)} if isinstance(parent, Model) else {str(parent)}
    if isinstance(field, RelatedField):
        forms.add(str(field.to_representation(parent)))
    return forms


def _repetitions(serializer: Any, validated: Mapping[str, Any], links: Sequence[Link]) -> list[ErrorDetail]:
    model = _model(serializer)
    known = {field.source for field in serializer.fields.values() if not field.read_only}
    unknown = [link for link in links if not any(column.names & known for column in link.columns)]
    return repeated(model, serializer.instance, validated, unknown) if model else []


# --- Linking -----------------------------------------------------------------------------------------------


def _fill(validated: dict[str, Any], links: Sequence[Link]) -> None:
    for link in links:
        for column in link.columns:
            given = next((validated[name] for name in column.names if name in validated), None)
            if not isinstance(given, Mapping):
                for name in column.names:
                    validated.pop(name, None)
                validated[column.key] = column.value


def _add(serializer: Any, row: Model) -> None:
    for link in _links(serializer):
        if link.accessor:
            try:
                with transaction.atomic(using=row._state.db):
                    getattr(row, link.accessor).add(link.parent)
            except IntegrityError:
                raise _not_linked(serializer, link) from None


def _require_linked(serializer: Any, row: Model, written: Collection[str]) -> None:
    """Raise ``ValidationError`` unless ``row`` hangs on every parent; ``written`` may have cut a list of parents."""
    links = _links(serializer)
    astray = [link for link in links if not link.met_by(row)]
    doubtful = [link for link in links if link.indirect or link.accessor in written]
    if astray or (doubtful and not linked(row, links)):
        raise _not_linked(serializer, (astray or doubtful)[0])


def _not_linked(serializer: Any, link: Link) -> serializers.ValidationError:
    step = link.path.steps[0]
    source = step.get_accessor_name() if isinstance(step, ForeignObjectRel) else step.name
    fields = getattr(serializer, "fields", {}).values()
    name = next((field.field_name for field in fields if field.source == source), api_settings.NON_FIELD_ERRORS_KEY)
    message = f"This does not lead to the parent that the URL names, {link.parent_name}."
    return serializers.ValidationError({name: [ErrorDetail(message, code="other_parent")]})
