"""Writes sets of rows, in statements over the set where nothing of one's own has to run for each row.

Every write is seen by the change stream: querysets that are not tracked are for the time of the statement. Where a
queryset has an ``update`` or ``delete`` of its own, that runs, and "some rows" is announced.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import connections, router
from django.db.models import FileField, Manager, Model, QuerySet
from rest_framework import serializers
from rest_framework.serializers import raise_errors_on_nested_writes

from core.blocks import block_size, blocks
from core.bulk.foresight import as_stored
from core.bulk.links import set_links
from core.changes import TrackedQuerySet, record_change
from core.serializers import PartialUpdateSerializerMixin

Values = Mapping[str, Any]
_Usual: Any = serializers.ModelSerializer
_USUAL_UPDATES = {_Usual.update, PartialUpdateSerializerMixin.update}


# --- Sets --------------------------------------------------------------------------------------------------


def plain(queryset: QuerySet[Any]) -> QuerySet[Any]:
    """Return ``queryset`` on the database for writing, in a form that can be updated and deleted.

    Slices, unions, groups and distinct rows cannot; their keys can stand in a subquery.
    """
    chosen: str | None = queryset._db  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way to ask
    if chosen is None:
        queryset = queryset.using(router.db_for_write(queryset.model))
    query: Any = queryset.query
    if not (query.is_sliced or query.distinct or query.combinator or query.group_by is not None):
        return queryset
    # A union, which may be ordered and cut, is no subquery everywhere: its keys are fetched.
    keys: Any = list(queryset.values_list("pk", flat=True)) if query.combinator else queryset.values("pk")
    return pinned(queryset, keys)


def pinned(queryset: QuerySet[Any], keys: Any) -> QuerySet[Any]:
    """Return the rows of these ``keys``, a list or a subquery, as a queryset of the same class."""
    return type(queryset)(model=queryset.model, using=queryset.db).filter(pk__in=keys)


def lockable(using: str) -> bool:
    """Tell whether the database locks rows. One that does not (SQLite) lets one transaction write at a time."""
    return bool(connections[using].features.has_select_for_update)


def lock(queryset: QuerySet[Any]) -> list[Any]:
    """Lock the rows of ``queryset``, in the order of their keys, and return those."""
    everything: QuerySet[Any] = queryset.model._base_manager.using(queryset.db)
    wanted = everything.filter(pk__in=queryset.order_by().values("pk"))
    return list(wanted.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True))


def update_set(queryset: QuerySet[Any], values: Values) -> int:
    """Give every row of ``queryset`` these ``values`` in one statement; return the number of rows."""
    written = {**values, **stamps(queryset.model, values)}
    if _has_own(queryset, "update"):
        rows = queryset.update(**written)
        if not isinstance(queryset, TrackedQuerySet):
            record_change(queryset.model, "updated", None, written, queryset.db)
        return rows
    return _tracked(queryset).update(**written)


def delete_set(queryset: QuerySet[Any], counted: int) -> int:
    """Delete the rows of ``queryset`` and what hangs on them; return the number of rows of the set.

    ``counted`` is the number found before.
    """
    model = queryset.model
    if _has_own(queryset, "delete"):
        result: Any = queryset.delete()
        if not isinstance(queryset, TrackedQuerySet):
            for kind in ("deleted", "updated"):  # which of the two is the queryset's own affair
                record_change(model, kind, None, None, queryset.db)
        return _deleted(model, result[1] if isinstance(result, tuple) else {}, counted)
    return _deleted(model, _tracked(queryset).delete()[1], counted)


def _deleted(model: type[Model], numbers: Mapping[str, int], counted: int) -> int:
    # Rows that a foreign key to the same table took along stand under the same name.
    to_itself = any(relation.related_model is model for relation in model._meta.related_objects)
    number = numbers.get(model._meta.label)
    return counted if to_itself or number is None else number


def _tracked(queryset: QuerySet[Any]) -> QuerySet[Any]:
    if isinstance(queryset, TrackedQuerySet):
        return queryset
    return TrackedQuerySet(model=queryset.model, query=queryset.query.chain(), using=queryset.db)


def _has_own(queryset: QuerySet[Any], name: str) -> bool:
    return getattr(type(queryset), name) not in {getattr(QuerySet, name), getattr(TrackedQuerySet, name)}


def stamps(model: type[Model], values: Values) -> dict[str, Any]:
    """Return the columns that hold the time of the last write, with that time; ``values`` may set them otherwise."""
    blank = model()
    return {
        field.name: field.pre_save(blank, add=False)
        for field in model._meta.concrete_fields
        if getattr(field, "auto_now", False) and field.name not in values
    }


# --- Rows --------------------------------------------------------------------------------------------------


def create_rows(child: Any, values: Sequence[Values]) -> list[Any]:
    """Insert a row for each of ``values``, as ``child`` would one by one, and return the rows."""
    if _creates_each(child, values):
        return [child.create(dict(each)) for each in values]
    model: type[Model] = child.Meta.model
    many = many_to_many(model)
    raise_errors_on_nested_writes("create", child, dict(values[0]))
    rows = [model(**{name: value for name, value in each.items() if name not in many}) for each in values]
    queryset = model._default_manager.using(router.db_for_write(model)).all()
    if _has_own(queryset, "bulk_create"):
        rows = list(queryset.bulk_create(rows))
        if not isinstance(queryset, TrackedQuerySet):
            record_change(model, "created", None, None, queryset.db)
    else:
        rows = list(_tracked(queryset).bulk_create(rows))
    set_links(rows, values, sorted(many & set().union(*values)))
    return rows


def update_rows(child: Any, rows: Sequence[Any], values: Sequence[Values]) -> Sequence[Any]:
    """Give each of ``rows`` its own of ``values``, as ``child`` would one by one, and return the rows."""
    names = set().union(*values)
    if updates_each(child, names) or _has_own_save(type(rows[0])):
        for row, each in zip(rows, values, strict=True):
            child.instance = row
            child.update(row, dict(each))
        return rows
    many = many_to_many(type(rows[0]))
    columns = [{name: value for name, value in each.items() if name not in many} for each in values]
    _write_columns(rows, columns)
    set_links(rows, values, sorted(many & names))
    return rows


def _write_columns(rows: Sequence[Any], values: Sequence[Values]) -> None:
    model = type(rows[0])
    using = rows[0]._state.db
    names = set().union(*values)
    if not names:
        return
    if all(each == values[0] for each in values):
        keys = [row.pk for row in rows]
        for block in blocks(keys, block_size(using)):
            update_set(model._base_manager.using(using).filter(pk__in=block), values[0])
        return
    stamped = stamps(model, dict.fromkeys(names))
    for row, each in zip(rows, values, strict=True):
        for name, value in {**each, **(stamped if each else {})}.items():
            setattr(row, name, value)
    written = [row for row, each in zip(rows, values, strict=True) if each]
    fields = {
        field.name for field in model._meta.concrete_fields if {field.name, field.attname} & (names | set(stamped))
    }
    # Rows are locked: what an item does not name is written as it stands.
    _tracked(model._base_manager.using(using).all()).bulk_update(written, sorted(fields))


def as_key(model: type[Model], item: Any, name: str) -> Any:
    """Return the key that ``item`` holds under ``name``, as the column has it; None if it holds none."""
    value = item.get(name) if isinstance(item, Mapping) else None
    if value is None or isinstance(value, bool | float | list | dict):
        return None
    return as_stored(model._meta.pk, value)


def many_to_many(model: type[Model]) -> frozenset[str]:
    """Return the names under which rows of ``model`` have many-to-many managers."""
    back = [relation for relation in model._meta.related_objects if relation.many_to_many]
    return frozenset(
        [field.name for field in model._meta.many_to_many]
        + [name for relation in back if (name := relation.get_accessor_name())]
    )


def updates_each(child: Any, names: set[str]) -> bool:
    """Tell whether writing ``names`` takes code that runs per row: the serializer's own, a file's, an attribute's."""
    if getattr(type(child), "update", None) not in _USUAL_UPDATES:
        return True
    model: type[Model] = child.Meta.model
    files = {field.name for field in model._meta.concrete_fields if isinstance(field, FileField)}
    key = model._meta.pk
    return not names <= (_columns(model) | many_to_many(model)) or bool(names & (files | {key.name, key.attname, "pk"}))


def _creates_each(child: Any, values: Sequence[Values]) -> bool:
    if getattr(type(child), "create", None) is not _Usual.create:
        return True
    model: type[Model] = child.Meta.model
    inherits = len(model._meta.concrete_model._meta.parents) > 0 if model._meta.concrete_model else False
    features: Any = connections[router.db_for_write(model)].features
    return (
        inherits
        or not features.can_return_rows_from_bulk_insert
        or _has_own_save(model)
        or not _is_djangos(getattr(type(model._default_manager), "create", Manager.create))
        or not set().union(*values) <= (_columns(model) | many_to_many(model))
    )


def _columns(model: type[Model]) -> set[str]:
    return {name for field in model._meta.concrete_fields for name in (field.name, field.attname)}


def _has_own_save(model: type[Model]) -> bool:
    return not _is_djangos(model.save)


def _is_djangos(function: Callable[..., Any]) -> bool:
    return function.__module__.startswith("django.")
