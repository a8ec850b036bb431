"""How a row hangs on its parents, read from the models and never from a name.

A lookup such as ``group__user`` leads from the model of a nested viewset to one of its parents. Everything here is
about models: no request, no query.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRel
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.core.exceptions import ValidationError as InvalidValue
from django.db.models import ForeignKey, ManyToManyField, ManyToManyRel, Model, QuerySet
from django.db.models.constants import LOOKUP_SEP


@dataclass(frozen=True, slots=True)
class Path:
    """The fields and relations along a lookup, and what is left of it where they end (a transform)."""

    steps: tuple[Any, ...]
    rest: tuple[str, ...] = ()

    @property
    def many(self) -> bool:
        """Whether one row can meet the same parent twice on this path."""
        return any(step.one_to_many or step.many_to_many for step in self.steps if step.is_relation)


def follow(model: type[Model], lookup: str) -> Path:
    """Return the path of ``lookup`` from ``model``.

    Raises ``ImproperlyConfigured`` if it does not begin with a field of ``model``.
    """
    names = lookup.split(LOOKUP_SEP)
    steps: list[Any] = []
    current: Any = model
    while names and current is not None:
        field = _field(current, names[0])
        if field is None:
            break
        steps.append(field)
        names.pop(0)
        current = _related_model(field)
    if not steps:
        raise ImproperlyConfigured(
            f"parents_query_lookups names {lookup!r}, but {model._meta.label} has no field {names[0]!r}."
        )
    return Path(tuple(steps), tuple(names))


def columns_of(model: type[Model], lookup: str) -> set[str]:
    """Return the attributes by which a row of ``model`` names the parent of ``lookup``; none if others lead there."""
    path = follow(model, lookup)
    first = path.steps[0]
    direct = len(path.steps) == 1 or (len(path.steps) == 2 and not path.steps[1].is_relation)
    if path.rest or not direct or not getattr(first, "concrete", False):
        return set()
    generic = (each for each in model._meta.private_fields if isinstance(each, GenericForeignKey))
    kinds = {each.ct_field for each in generic if each.fk_field == first.name}
    return {first.name, first.attname} | kinds


def _field(model: type[Model], name: str) -> Any:
    try:
        return model._meta.pk if name == "pk" else model._meta.get_field(name)
    except FieldDoesNotExist:
        return None


def _related_model(step: Any) -> type[Model] | None:
    related = step.related_model if step.is_relation else None
    return related if isinstance(related, type) else None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the row that names a parent, and the value that names this one."""

    field: Any
    value: Any

    @property
    def names(self) -> frozenset[str]:
        """The attributes of a row under which the column is written: ``question`` and ``question_id``."""
        return frozenset({self.field.name, self.field.attname})

    @property
    def key(self) -> str:
        """The attribute that takes ``value``."""
        name: str = self.field.name if isinstance(self.value, Model) else self.field.attname
        return name

    @property
    def fillable(self) -> frozenset[str]:
        """The attributes under which a new row can be given the parent, as ``value`` or as ``stored``."""
        return frozenset({self.key, self.field.attname})

    @property
    def stored(self) -> Any:
        """The value as it stands in the column."""
        return self._stored(self.value)

    def agrees(self, value: Any) -> bool:
        """Tell whether ``value``, as a caller or a serializer gives it, names the same parent."""
        try:
            return bool(self.field.to_python(self._stored(value)) == self.field.to_python(self.stored))
        except (InvalidValue, TypeError, ValueError, AttributeError, OverflowError):
            return False

    def _stored(self, value: Any) -> Any:
        if isinstance(value, Model) and isinstance(self.field, ForeignKey):
            return getattr(value, self.field.target_field.attname)
        return value


@dataclass(frozen=True, slots=True)
class Link:
    """How the rows of one model hang on one parent.

    ``conditions`` select the rows. ``columns`` and ``accessor`` (a many-to-many manager) are how a new row is linked;
    a link with neither is ``indirect``: it leads over other rows, and can be looked up but not made.
    """

    lookup: str
    parent: Model
    path: Path
    conditions: dict[str, Any]
    columns: tuple[Column, ...] = ()
    accessor: str | None = None
    implied: bool = False
    named_by: Any = None

    @property
    def indirect(self) -> bool:
        """Whether only the database can tell if a row is linked."""
        return not (self.columns or self.accessor or self.implied)

    def met_by(self, row: Model) -> bool:
        """Tell whether the columns of ``row`` name the parent."""
        return all(column.agrees(getattr(row, column.field.attname, None)) for column in self.columns)

    @property
    def parent_name(self) -> str:
        """The parent in the words of an error message: as the URL names it."""
        return f"{self.parent._meta.verbose_name} {self.named_by}"


def make_link(model: type[Model], lookup: str, parent: Model, named_by: Any, *, implied: bool = False) -> Link:
    """Return how rows of ``model`` hang on ``parent`` by ``lookup``.

    ``named_by`` is the value by which the URL names the parent; a column that is no relation holds that value.
    ``implied`` says that the links to the other parents already include this one.
    """
    path = follow(model, lookup)
    steps = path.steps
    if not path.rest and _leads_to(steps[-1], parent):
        columns, accessor = _direct(steps, parent)
        return Link(lookup, parent, path, {lookup: parent}, columns, accessor, implied, named_by)
    if not path.rest and len(steps) > 1 and _leads_to(steps[-2], parent) and steps[-1].concrete:
        # question__slug: the relation makes the link, a field of the parent is what the lookup compares.
        columns, accessor = _direct(steps[:-1], parent)
        return Link(
            lookup, parent, path, {lookup: getattr(parent, steps[-1].attname)}, columns, accessor, implied, named_by
        )
    columns = () if path.rest or len(steps) > 1 else _plain(model, steps[0], parent, named_by)
    conditions = {column.field.name: column.stored for column in columns} or {lookup: named_by}
    return Link(lookup, parent, path, conditions, columns, None, implied, named_by)


def _leads_to(step: Any, parent: Model) -> bool:
    related = _related_model(step)
    return related is not None and isinstance(parent, related._meta.concrete_model or related)


def _direct(steps: Sequence[Any], parent: Model) -> tuple[tuple[Column, ...], str | None]:
    if len(steps) > 1:
        return (), None
    step = steps[0]
    if isinstance(step, ManyToManyField):
        return (), step.name
    if isinstance(step, ManyToManyRel):
        return (), step.get_accessor_name()
    if isinstance(step, GenericRel):
        return _generic(step.field, parent), None
    return ((Column(step, parent),), None) if step.concrete else ((), None)


def _generic(relation: Any, parent: Model) -> tuple[Column, ...]:
    options = relation.related_model._meta
    content_type = ContentType.objects.get_for_model(parent, for_concrete_model=relation.for_concrete_model)
    return (
        Column(options.get_field(relation.object_id_field_name), parent.pk),
        Column(options.get_field(relation.content_type_field_name), content_type),
    )


def _plain(model: type[Model], field: Any, parent: Model, named_by: Any) -> tuple[Column, ...]:
    """Return the columns for a lookup that ends at a column of the row itself.

    The identifier of a generic foreign key means nothing without the type that stands next to it.
    """
    if not field.concrete or field.many_to_many:
        return ()
    for generic in model._meta.private_fields:
        if isinstance(generic, GenericForeignKey) and generic.fk_field == field.name:
            kind = ContentType.objects.get_for_model(parent, for_concrete_model=generic.for_concrete_model)
            return Column(field, parent.pk), Column(model._meta.get_field(generic.ct_field), kind)
    return (Column(field, named_by),)


def under(queryset: QuerySet[Any], links: Sequence[Link]) -> QuerySet[Any]:
    """Return the rows of ``queryset`` that hang on the parents of all ``links``.

    Where a path can meet a parent twice the links stand in a subquery: a join would give rows twice and falsify the
    aggregates of ``queryset``. All conditions stand in one ``filter()``, so that ``group__user`` and ``group`` speak
    of the same group.
    """
    conditions = {name: value for link in links for name, value in link.conditions.items()}
    if not any(link.path.many for link in links):
        return queryset.filter(**conditions)
    linked = queryset.model._base_manager.using(queryset.db).filter(**conditions)
    return queryset.filter(pk__in=linked.values("pk"))


def linked(row: Model, links: Sequence[Link]) -> bool:
    """Tell whether ``row`` hangs on the parents of all ``links``, by its columns and else by asking the database."""
    if not all(link.met_by(row) for link in links):
        return False
    return all(link.columns or link.implied for link in links) or under(_itself(row), links).exists()


def _itself(row: Model) -> QuerySet[Any]:
    return type(row)._base_manager.using(row._state.db).filter(pk=row.pk)
