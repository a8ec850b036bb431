"""What a write to a model means for which tables. Read from the models once; knows no connection."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.deletion import get_candidate_relations_to_delete
from django.db.models.options import Options

from core.changes.change import CREATED, DELETED, UPDATED, Table, Touch
from core.changes.encoding import are_integers

Model = type[models.Model]


def table_of(model: Model) -> Table:
    """Return the table that holds the rows of ``model``; a proxy has that of the model behind it."""
    options = _concrete(model)
    return Table(options.label_lower, options.db_table)


def restored_key(model: Model, pk: Any) -> Any:
    """Return the key ``pk`` in the type that the key field of ``model`` has, whichever way it was written.

    Raises ``ValueError`` or ``ValidationError`` for what is no such key.
    """
    options = model._meta
    if isinstance(pk, list | tuple):
        key: Any = tuple(field.to_python(part) for field, part in zip(options.pk_fields, pk, strict=True))
        missing = None in key
    elif len(options.pk_fields) > 1:
        raise ValueError(f"A key of {options.label} has {len(options.pk_fields)} parts, unlike {pk!r}.")
    else:
        key = None if pk is None or options.pk is None else options.pk.to_python(pk)
        missing = key is None
    if missing:
        raise ValueError(f"{pk!r} is no key of {options.label}.")
    return key


def keys(model: Model, pks: Iterable[Any]) -> tuple[Any, ...] | None:
    """Return ``pks``, which the database has taken, as the key field knows them; None if that cannot be said.

    A row saved under the text of its key is the row of that key.
    """
    pks = tuple(pks)
    if are_integers(pks):
        return pks
    try:
        return tuple(pk if type(pk) is int else restored_key(model, pk) for pk in pks)
    except (TypeError, ValueError, ValidationError):  # an expression, say, of which only the database knows the value
        return None


def _concrete(model: Model) -> "Options[Any]":
    concrete: Model = model._meta.concrete_model or model
    return concrete._meta


@dataclass(frozen=True, slots=True)
class Part:
    """One of the tables over which the rows of a model are spread (more than one with multi-table inheritance)."""

    model: Model
    table: Table
    names: dict[str, str]  # field by its name, and by its attribute; the key is not among them
    generated: frozenset[str]  # fields that the database makes of others


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a model lie in tables, its own first, then those of its parents."""

    parts: tuple[Part, ...]
    effects: tuple[Touch, ...]  # what the database itself does to other tables when rows here are deleted
    unseen: tuple[Any, ...]  # foreign keys to here that Django rewrites, when rows are deleted, seen by nobody

    @property
    def own(self) -> Part:
        """The model's own table."""
        return self.parts[0]


def layout(model: Model, excluded: Callable[[Model], bool]) -> Layout:
    """Return how the rows of ``model`` lie. Tables of models that are ``excluded`` are left out, except its own."""
    concrete: Model = model._meta.concrete_model or model
    parents = [parent for parent in concrete._meta.all_parents if not parent._meta.proxy and not excluded(parent)]
    parts = tuple(_part(each) for each in (concrete, *parents))
    return Layout(parts, tuple(_effects(concrete, excluded, set())), tuple(_unseen(concrete, excluded)))


def _part(model: Model) -> Part:
    own: list[Any] = [field for field in model._meta.local_concrete_fields if not field.primary_key]
    names = {field.name: field.name for field in own} | {field.attname: field.name for field in own}
    return Part(model, table_of(model), names, frozenset(field.name for field in own if field.generated))


def _effects(model: Model, excluded: Callable[[Model], bool], seen: set[Model]) -> Iterator[Touch]:
    """Yield what the database does by itself: the ``DB_*`` variants of ``on_delete``, of Django 6.1 on."""
    seen.add(model)
    candidates: Iterable[Any] = get_candidate_relations_to_delete(model._meta)
    for relation in candidates:
        child: Model = relation.related_model
        action = str(getattr(relation.field.remote_field.on_delete, "operation", ""))
        if not action or excluded(child):
            continue
        if action != "CASCADE":
            yield Touch(table_of(child), UPDATED, None, frozenset({relation.field.name}))
            continue
        yield Touch(table_of(child), DELETED)
        if child not in seen:
            yield from _effects(child, excluded, seen)


def _unseen(model: Model, excluded: Callable[[Model], bool]) -> Iterator[Any]:
    """Yield the foreign keys to ``model`` that a deletion rewrites in a way that nothing shows.

    Most of the time Django updates the rows as a queryset of their base manager. Where it has fetched them first, as it
    does for some kinds of ``on_delete``, it writes past every manager.
    """
    candidates: Iterable[Any] = get_candidate_relations_to_delete(model._meta)
    for relation in candidates:
        action = relation.field.remote_field.on_delete
        known = action in _NO_REWRITE or hasattr(action, "operation")
        if known or excluded(relation.related_model):
            continue
        if not getattr(action, "lazy_sub_objs", False):
            yield relation.field


_NO_REWRITE = {models.CASCADE, models.PROTECT, models.RESTRICT, models.DO_NOTHING}


@dataclass(frozen=True, slots=True)
class End:
    """One of the two models that a many-to-many field joins, and the name that the field has there."""

    table: Table
    name: str


@dataclass(frozen=True, slots=True)
class Join:
    """A many-to-many field: its two ends, each None where nobody sees the field, and the table between them."""

    declared: End | None
    target: End | None
    through: Table | None  # None if the rows in the middle are seen without the signal's help


def joined(
    join: Join, action: str, pks: tuple[Any, ...] | None, others: Collection[Any] | None, *, reverse: bool
) -> Iterator[Touch]:
    """Yield what a change of the many-to-many field means for the rows at both ends: they were updated.

    No column of theirs was written, only the table between them; ``fields`` names the many-to-many field, so that
    whoever cares for columns only can tell. ``others`` is None where Django does not say (``clear``).
    """
    if others is not None and not others:
        return
    if join.through and action == "post_add":
        yield Touch(join.through, CREATED)
    near, far = (join.target, join.declared) if reverse else (join.declared, join.target)
    if near:
        yield Touch(near.table, UPDATED, pks, frozenset({near.name}))
    if far:
        yield Touch(far.table, UPDATED, None if others is None else tuple(others), frozenset({far.name}))


def join_of(field: Any, excluded: Callable[[Model], bool], tracked: Callable[[Model], bool]) -> Join:
    """Return what joins the two models of the many-to-many ``field``.

    ``tracked`` tells of a model in the middle whether rows added to it in bulk are seen.
    """
    relation = field.remote_field
    declared = None if excluded(field.model) else End(table_of(field.model), field.name)
    target = None
    if getattr(relation, "symmetrical", False):
        target = declared
    elif not relation.hidden and not excluded(relation.model):
        target = End(table_of(relation.model), relation.get_accessor_name())
    unseen = not excluded(relation.through) and not tracked(relation.through)
    return Join(declared, target, table_of(relation.through) if unseen else None)
