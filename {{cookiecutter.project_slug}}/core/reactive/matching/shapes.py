"""How the rows of a model lie in tables, as far as matching has to know."""

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from django.db import models

Model = type[models.Model]


class CoarseError(Exception):
    """Of this query no more can be told than which tables it reads."""


def concrete(model: Model) -> Model:
    """Return the model behind a proxy."""
    return model._meta.concrete_model or model


@lru_cache(maxsize=1024)
def parts_of(model: Model) -> tuple[str, ...]:
    """Return the tables that a row of ``model`` is spread over, its own first, all under the same key.

    Raises ``CoarseError`` if they know it by different keys.
    """
    model = concrete(model)
    found = [model._meta.db_table]
    for parent, link in model._meta.parents.items():
        if parent._meta.proxy or parent is model:
            continue
        if link is None or not link.primary_key:
            raise CoarseError
        found += parts_of(parent)
    return tuple(dict.fromkeys(found))


def forward_key(field: Any) -> Any:
    """Return ``field`` if it is a foreign key that the database enforces, otherwise None."""
    is_key = isinstance(field, models.ForeignKey) and field.concrete
    return field if is_key and getattr(field, "db_constraint", False) else None


def fields_or_any(model: Model, names: Collection[str]) -> frozenset[str] | None:
    """Return ``names``; None if the database writes one of these fields by itself, so that no change names it."""
    generated = {field.name for field in model._meta.concrete_fields if getattr(field, "generated", False)}
    return None if generated & set(names) else frozenset(names)


@lru_cache(maxsize=4096)
def links_of(label: str) -> dict[str, str]:
    """Return the many-to-many fields that changes of the model name, each with the table in the middle."""
    from django.apps import apps

    options = apps.get_model(label)._meta
    found = {field.name: field.remote_field.through._meta.db_table for field in options.many_to_many}
    for relation in options.related_objects:
        if relation.many_to_many and (name := relation.get_accessor_name()):
            found[name] = relation.through._meta.db_table
    return found
