"""What a kind of caller can see: the questions that subscriptions ask of a view of REST."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404
from rest_framework import exceptions

from core.bindings.actions import LOOKING, SUBSCRIBE
from core.bindings.asking import Origin, Question, asked
from core.bindings.permissions import judge_rows
from core.bindings.resource import ResourceBinding
from core.callers import Caller

BLOCK: Final = 500
"""Rows that are looked at in one query."""
NOWHERE: Final = Origin("/ws/", "", {})
_REFUSALS = (exceptions.APIException, PermissionDenied, Http404)


@dataclass(frozen=True, slots=True)
class Interest:
    """Who wants to hear of what: a kind of caller, a stream, a filter (as a query string), single rows or any.

    Equal interests are told the same.
    """

    binding: type[ResourceBinding]
    stream: str
    caller: Caller
    query: str
    detail: bool

    @property
    def model(self) -> type[models.Model]:
        """The model whose rows it is about."""
        return self.binding.get_model()


@cache
def labels_of(model: type[models.Model]) -> dict[str, bool]:
    """Return the models, by label, in whose tables rows of ``model`` lie; each with whether its keys are the same."""
    concrete: type[models.Model] = model._meta.concrete_model or model
    current: Any
    same, current = {concrete._meta.label_lower}, concrete
    while (link := current._meta.pk.remote_field) is not None and getattr(link, "parent_link", False):
        current = link.model._meta.concrete_model
        same.add(current._meta.label_lower)
    every = [concrete, *(parent for parent in concrete._meta.all_parents if not parent._meta.proxy)]
    return {each._meta.label_lower: each._meta.label_lower in same for each in every}


class Sight:
    """The rows that an interest has in sight now, for ``user``.

    If the caller may not look any more, that is none.
    """

    def __init__(self, interest: Interest, user: Any) -> None:
        self._binding: ResourceBinding | None = None
        question = Question(LOOKING[interest.detail], SUBSCRIBE, query=interest.query, counted=False)
        try:
            self._binding = asked(interest.binding, interest.caller, user, NOWHERE, question)
            self._queryset = self._binding.filter_queryset(self._binding.get_queryset())
        except _REFUSALS:
            self._binding = None

    @property
    def _view(self) -> Any:
        return self._binding.view if self._binding is not None else None

    def judges_rows(self) -> bool:
        """Tell whether permissions are asked of each row, so that only a row itself tells whether it is in sight."""
        return self._binding is not None and judge_rows(self._view.get_permissions())

    def keys(self, most: int | None = None) -> dict[Any, Any]:
        """Return all keys in sight, or the first ``most``, each with what clients call the row."""
        if self._binding is None:
            return {}
        field = self._view.lookup_field
        if not _can_be_filtered(self._queryset):
            return {row.pk: shown(row, field) for row in self._queryset}
        if field == "pk":
            pks = self._queryset.order_by().values_list("pk", flat=True)[:most]
            return dict(zip(pks, pks, strict=True))
        return dict(self._queryset.order_by().values_list("pk", field)[:most])

    def rows(self, pks: Collection[Any]) -> list[Any]:
        """Return those rows of ``pks``, at most ``BLOCK`` of them, that are in sight."""
        if self._binding is None or not pks:
            return []
        if _can_be_filtered(self._queryset):
            found = list(self._queryset.order_by().filter(pk__in=list(pks)))
        else:
            wanted = set(pks)
            found = [row for row in self._queryset if row.pk in wanted]
        if self.judges_rows():
            found = [row for row in found if self._permitted(row)]
        return list({row.pk: row for row in found}.values())  # a join may bring a row twice

    def shown(self, row: Any) -> Any:
        """Return what clients call ``row``."""
        return shown(row, self._view.lookup_field)

    def rendered(self, rows: list[Any]) -> Mapping[Any, Any]:
        """Return each row as the caller is shown it, by key."""
        data = self._binding.get_serializer(rows, many=True).data if self._binding is not None and rows else ()
        return dict(zip((row.pk for row in rows), data, strict=True))

    def _permitted(self, row: Any) -> bool:
        try:
            self._view.check_object_permissions(self._view.request, row)
        except _REFUSALS:
            return False
        return True


def shown(row: Any, field: str) -> Any:
    """Return what clients call ``row`` where ``field``, perhaps of another row (``owner__name``), names it."""
    value = row
    for name in field.split("__"):
        value = getattr(value, name)
    return value


def _can_be_filtered(queryset: Any) -> bool:
    query = queryset.query
    return not (query.is_sliced or query.combinator or query.distinct_fields)


def blocks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield ``values`` in lists of at most ``BLOCK``."""
    remaining = iter(values)
    while block := list(islice(remaining, BLOCK)):
        yield block
