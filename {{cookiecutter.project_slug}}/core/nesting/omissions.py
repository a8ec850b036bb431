"""Says for a body what it leaves out: the parents that the URL names.

A field that names a parent has rules of its own: a queryset, validators, ``validate_<name>`` and unique sets. Leaving
the field out must not be a way around them, so the serializer reads a copy of the body that says what the URL says.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db.models import Manager, Model, QuerySet
from rest_framework.fields import HiddenField, empty
from rest_framework.relations import (
    HyperlinkedRelatedField,
    ManyRelatedField,
    PrimaryKeyRelatedField,
    SlugRelatedField,
)
from rest_framework.serializers import BaseSerializer
from rest_framework.utils.html import is_html_input

from core.nesting.links import Link
from core.nesting.statements import fields_of

_USUAL: tuple[Any, ...] = (PrimaryKeyRelatedField, SlugRelatedField, HyperlinkedRelatedField)


@contextmanager
def told(serializer: Any, data: Mapping[str, Any], links: Sequence[Link]) -> Iterator[Mapping[str, Any]]:
    """Give a copy of ``data`` that names the parents; in the meantime the serializer's fields take it.

    A partial update keeps silent about what the body leaves out, and so does any update about a list of parents or a
    field that it could leave out in the flat route.
    """
    whole: Any = copy.copy(data) if isinstance(data, dict) else dict(data)
    with ExitStack() as meanwhile:
        for link in links:
            for field in fields_of(serializer, link):
                if field.read_only or not _left_out(serializer, field, data):
                    continue
                if _speaks(serializer, field):
                    said = _representation(field, link)
                    _put(whole, field.field_name, said)
                    answer = _answer(serializer, field, link.parent)
                    meanwhile.enter_context(_changed(field, to_internal_value=answer))
                else:
                    whole.pop(field.field_name, None)
                    lenient = {"allow_empty": True} if isinstance(field, ManyRelatedField) else {}
                    meanwhile.enter_context(_changed(field, required=False, **lenient))
        yield whole


def _left_out(serializer: Any, field: Any, data: Mapping[str, Any]) -> bool:
    if isinstance(field, BaseSerializer):
        return field.get_value(data) is empty
    if field.field_name not in data:
        return True
    if isinstance(field, ManyRelatedField) and field.allow_empty and serializer.instance is None:
        return not field.get_value(data)
    # A form cannot leave out a field that it shows.
    values: Any = data
    return is_html_input(data) and not any(values.getlist(field.field_name))


def _speaks(serializer: Any, field: Any) -> bool:
    """Tell whether the URL speaks for the body: not to what takes no value of it, nor where silence is no change."""
    if isinstance(field, BaseSerializer | HiddenField):
        return False
    if serializer.instance is None:
        return True
    needed = field.required or field.default is not empty
    return needed and not serializer.partial and not isinstance(field, ManyRelatedField)


def _representation(field: Any, link: Link) -> Any:
    """Return the parent as ``field`` would have a caller write it."""
    if isinstance(field, ManyRelatedField):
        return [_written(field.child_relation, link.parent)]
    column = next(column for column in link.columns if field.source in column.names)
    return _written(field, column.value if field.source == column.key else column.stored)


def _written(field: Any, value: Any) -> Any:
    # Fields that show more than they take have a to_representation of their own.
    usual = next((each for each in _USUAL if isinstance(field, each)), type(field))
    return usual.to_representation(field, value)


def _put(whole: Any, name: str, said: Any) -> None:
    if isinstance(said, list) and hasattr(whole, "setlist"):
        whole.setlist(name, said)
    else:
        whole[name] = said


def _answer(serializer: Any, field: Any, parent: Model) -> Callable[[Any], Any]:
    """Return what ``field`` makes of the parent: asked once for all rows of a list, and not if it takes any."""
    known: dict[str, Any] = vars(serializer).setdefault("_parents_by_field", {})
    asked = field.to_internal_value

    def answer(said: Any) -> Any:
        if field.field_name not in known:
            known[field.field_name] = parent if _takes_any(field, parent) else asked(said)
        return known[field.field_name]

    return answer


def _takes_any(field: Any, parent: Model) -> bool:
    """Tell whether ``field`` is DRF's own and looks its objects up among all rows of the parent's model."""
    if type(field) not in _USUAL or not isinstance(field.queryset, QuerySet | Manager):
        return False
    rows = field.queryset.all()
    query = rows.query
    narrowed = query.where or query.is_sliced or query.distinct or query.combinator
    return isinstance(parent, rows.model) and not narrowed


@contextmanager
def _changed(field: Any, **attributes: Any) -> Iterator[None]:
    before = {name: vars(field)[name] for name in attributes if name in vars(field)}
    vars(field).update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            del vars(field)[name]
        vars(field).update(before)
