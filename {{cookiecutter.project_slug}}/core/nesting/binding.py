"""Holds the serializers of a nested viewset to the parents that its URL names.

The bound serializer is the viewset's own with these rules added: a field that names a parent may be left out, and is
then judged as if the body had said what the URL says; a body that names another parent is refused; a new row is
linked; a row that is written stays where it is. Whatever goes through the viewset's ``get_serializer`` keeps to them,
lists included.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, router, transaction
from django.db.models import ForeignObjectRel, Model
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.settings import api_settings

from core.nesting.links import Link, linked
from core.nesting.omissions import told
from core.nesting.statements import fields_of, refusals
from core.nesting.uniqueness import repeated, repeated_in_block

if TYPE_CHECKING:
    _Serializer = serializers.Serializer[Any]
else:
    _Serializer = object

CONTEXT = "nesting"


class StaysUnderParents(_Serializer):
    """Judges what the body says about the parents, and fills in what it leaves out."""

    def bind(self, field_name: str, parent: Any) -> None:
        """Let a list of new rows be judged as a whole, whatever serializer of lists it is."""
        super().bind(field_name, parent)
        if isinstance(parent, serializers.ListSerializer):
            parent.validators = [*parent.validators, self._judge_block]

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated values, with those that link a new row to its parents."""
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        links = _links(self)
        with told(self, data, links) as whole:
            validated = super().to_internal_value(whole)
        if isinstance(validated, dict):
            if refused := refusals(self, data, validated, links):
                raise serializers.ValidationError(refused)
            if repetitions := self._repetitions(validated, links):
                raise serializers.ValidationError({api_settings.NON_FIELD_ERRORS_KEY: repetitions})
            if self.instance is None or not self.partial:
                _fill(self, validated, links)
        return validated

    def _repetitions(self, validated: Mapping[str, Any], links: Sequence[Link]) -> list[ErrorDetail]:
        model, row = _model(self), self.instance
        if model is None or self._rows_of_list() is not None:
            return []  # a list is judged as a whole
        if row is not None and not isinstance(row, Model):
            return []  # several rows: only their list serializer knows which of them this one is
        return repeated(model, row, validated, _unknown(self, links))

    def _rows_of_list(self) -> Sequence[Model | None] | None:
        """Return the rows that a list of values would change, each None if they are new; None if this is no list."""
        if not isinstance(self.parent, serializers.ListSerializer):
            return None
        rows: Any = self.parent.instance
        if rows is None:
            return () if self.instance is None else None
        return rows if isinstance(rows, list) and all(isinstance(row, Model) for row in rows) else None

    def _judge_block(self, values: Sequence[Any]) -> None:
        model, links, rows = _model(self), _links(self), self._rows_of_list()
        if model is None or rows is None or not all(isinstance(each, Mapping) for each in values):
            return
        if rows and len(rows) != len(values):
            return  # which value is for which row, only their list serializer knows
        if errors := repeated_in_block(model, values, links, _unknown(self, links), cast("Any", rows)):
            by_place: Any = {place: {api_settings.NON_FIELD_ERRORS_KEY: details} for place, details in errors.items()}
            raise serializers.ValidationError(by_place)


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
    links: Sequence[Link] | None = serializer.context.get(CONTEXT)
    if links is None:
        raise ImproperlyConfigured(
            f"{type(serializer).__name__} writes under a parent and was not told which: make it by "
            "get_serializer(...), or give it context=self.get_serializer_context()."
        )
    return links


def _atomic(serializer: Any) -> Any:
    model = type(serializer.instance) if serializer.instance is not None else _model(serializer)
    return transaction.atomic(using=router.db_for_write(model) if model else None)


def _model(serializer: Any) -> type[Model] | None:
    model: type[Model] | None = getattr(getattr(serializer, "Meta", None), "model", None)
    return model


def _unknown(serializer: Any, links: Sequence[Link]) -> list[Link]:
    """Return the links whose columns the serializer does not know, and so does not judge itself."""
    known = {field.source for field in serializer.fields.values() if not field.read_only}
    return [link for link in links if not any(column.names & known for column in link.columns)]


# --- Linking -----------------------------------------------------------------------------------------------


def _fill(serializer: Any, validated: dict[str, Any], links: Sequence[Link]) -> None:
    """Put the parents into ``validated``, under the names that the serializer's own rules look them up by."""
    for link in links:
        sources = [field.source for field in fields_of(serializer, link) if not field.read_only]
        for column in link.columns:
            given = column.names.intersection(validated)
            if any(isinstance(validated[name], Mapping) for name in given):
                continue
            right = {name for name in given if column.agrees(validated[name])}
            for name in given - right:
                del validated[name]  # a default, which nobody has said
            if not right:
                name = next((source for source in sources if source in column.fillable), column.key)
                validated[name] = column.value if name == column.key else column.stored


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
