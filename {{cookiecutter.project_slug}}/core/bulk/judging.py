"""Decides whether one body for many rows can be judged once, or has to be judged against each row."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Model, UniqueConstraint
from rest_framework.serializers import Serializer
from rest_framework.validators import UniqueTogetherValidator

from core.bulk.foresight import writable
from core.bulk.writing import many_to_many, updates_each

# Classes whose validation looks at the body only, or at the row only in ways that are looked into here.
_KNOWN = ("rest_framework.", "core.nesting.")


def judges_each(child: Any, body: Any) -> bool:
    """Tell whether ``child`` may decide by the row, or writes in a way that needs it.

    True for validation of the serializer's own, for unique values and sets, many-to-many fields and files, and for a
    serializer that updates in its own way. False leaves one validation and one statement.
    """
    if not isinstance(body, Mapping):
        return False
    given = [field for field in writable(child) if field.field_name in body]
    sources = {field.source for field in given}
    model = getattr(getattr(child, "Meta", None), "model", None)
    return (
        model is None
        or _has_own_validation(child, given)
        or any(_asks_for_row(field) for field in given)
        or updates_each(child, sources)
        or bool(sources & many_to_many(model))
        or bool(sources & unique_names(model))
    )


def _has_own_validation(child: Any, given: list[Any]) -> bool:
    for name in ("to_internal_value", "run_validation", "run_validators"):
        owners = [each for each in type(child).__mro__ if name in vars(each)]
        if any(not each.__module__.startswith(_KNOWN) for each in owners if each is not object):
            return True
    return (
        type(child).validate is not Serializer.validate
        or any(hasattr(child, f"validate_{field.field_name}") for field in given)
        or any(type(each) is not UniqueTogetherValidator for each in child.validators)
    )


def _asks_for_row(field: Any) -> bool:
    own = not type(field).__module__.startswith(_KNOWN)
    return own or any(getattr(each, "requires_context", False) for each in field.validators)


def unique_names(model: type[Model]) -> set[str]:
    """Return the fields of ``model`` that are unique, alone or with others."""
    options = model._meta
    names = {field.name for field in options.concrete_fields if field.unique}
    names.update(name for group in options.unique_together for name in group)
    for each in (*options.all_parents, model):
        for constraint in each._meta.constraints:
            if isinstance(constraint, UniqueConstraint):
                names.update(_names_in(constraint))
    return names | {field.attname for field in options.concrete_fields if field.name in names}


def _names_in(constraint: UniqueConstraint) -> set[str]:
    """Return the fields that a constraint names; one over expressions or under a condition may concern any."""
    names: set[str] = set(constraint.fields)
    for part in (*constraint.expressions, *([constraint.condition] if constraint.condition else [])):
        names |= {str(each[0] if isinstance(each, tuple) else getattr(each, "name", "")).split("__")[0]
                  for each in _leaves(part)}  # fmt: skip
    return names


def _leaves(part: Any) -> list[Any]:
    if isinstance(part, tuple):
        return [part]
    children = getattr(part, "children", None) or getattr(part, "get_source_expressions", list)()
    return [leaf for each in children if each is not None for leaf in _leaves(each)] or [part]
