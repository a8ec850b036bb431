"""What a kind of caller can see: the questions that subscriptions ask of a view of REST."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db import models, router
from django.http import Http404
from rest_framework import exceptions

from core.bindings.actions import LOOKING, SUBSCRIBE
from core.bindings.asking import Origin, Question, asked, key_of
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

    If the caller may not look any more, that is none. They are read where they are written, since a copy of the
    database may not have heard of a commit yet.
    """

    def __init__(self, interest: Interest, user: Any) -> None:
        self._interest, self._user = interest, user
        self._binding: ResourceBinding | None = None
        self._queryset: Any = None
        if not interest.detail:
            self._binding = self._asked(None)

    def _asked(self, name: Any) -> ResourceBinding | None:
        """Return a binding that was asked for the row that clients call ``name``, or for all; None if it refuses."""
        interest = self._interest
        question = Question(LOOKING[interest.detail], SUBSCRIBE, name, query=interest.query, counted=False)
        try:
            binding = asked(interest.binding, interest.caller, self._user, NOWHERE, question)
            queryset = binding.filter_queryset(binding.get_queryset())
        except _REFUSALS:
            return None
        self._queryset = queryset.using(queryset._db or router.db_for_write(queryset.model))  # noqa: SLF001
        return binding

    @property
    def _view(self) -> Any:
        return self._binding.view if self._binding is not None else None

    def databases(self) -> frozenset[str]:
        """Return the databases whose commits may change what is in sight: where rows are read, and are written."""
        written = router.db_for_write(self._interest.model)
        return frozenset({written} if self._queryset is None else {written, self._queryset.db})

    def judges_rows(self) -> bool:
        """Tell whether permissions are asked of each row, so that only a row itself tells whether it is in sight."""
        return self._binding is not None and judge_rows(self._view.get_permissions())

    def keys(self, most: int) -> dict[Any, Any] | None:
        """Return all keys in sight, each with what clients call the row; None if more than ``most`` may be."""
        candidates = self.candidates(most + 1)
        if len(candidates) > most:
            return None
        if not self.judges_rows():
            return candidates
        return {row.pk: self.shown(row) for block in blocks(candidates) for row in self.rows(block)}

    def candidates(self, most: int | None = None) -> dict[Any, Any]:
        """Return the keys, or ``most`` of them, that are in sight as far as permissions for rows let them be."""
        if self._binding is None:
            return {}
        field = self._view.lookup_field
        if not _can_be_filtered(self._queryset):
            return {row.pk: shown(row, field) for row in self._queryset}
        keys = self._queryset.order_by().distinct()  # a join may bring a row twice
        if field == "pk":
            pks = keys.values_list("pk", flat=True)[:most]
            return dict(zip(pks, pks, strict=True))
        return dict(keys.values_list("pk", field)[:most])

    def rows(self, pks: Collection[Any]) -> list[Any]:
        """Return those rows of ``pks``, at most ``BLOCK`` of them, that are in sight."""
        bindings = self._bindings(pks)
        if not bindings:
            return []
        if _can_be_filtered(self._queryset):
            found = list(self._queryset.order_by().filter(pk__in=list(bindings)))
        else:
            found = [row for row in self._queryset if row.pk in bindings]
        if self.judges_rows():
            found = [row for row in found if _permitted(bindings[row.pk].view, row)]
        return list({row.pk: row for row in found}.values())  # a join may bring a row twice

    def _bindings(self, pks: Collection[Any]) -> dict[Any, ResourceBinding]:
        """Return by whom each of ``pks`` may be looked at: single rows are asked for one by one, by their names."""
        if not self._interest.detail:
            return {} if self._binding is None else dict.fromkeys(pks, self._binding)
        found = ((pk, self._asked(name)) for pk, name in self._names(pks).items())
        bindings = {pk: binding for pk, binding in found if binding is not None}
        self._binding = next(iter(bindings.values()), None)
        return bindings

    def _names(self, pks: Collection[Any]) -> dict[Any, Any]:
        """Return ``pks``, each with what a client calls the row in a request."""
        model, field = self._interest.model, self._interest.binding.view_class().lookup_field
        if field in {"pk", model._meta.pk.name}:
            return {pk: key_of(list(pk) if isinstance(pk, tuple) else str(pk)) for pk in pks}
        rows = model._base_manager.using(router.db_for_write(model)).filter(pk__in=list(pks))
        return {pk: str(value) for pk, value in rows.values_list("pk", field)}

    def shown(self, row: Any) -> Any:
        """Return what clients call ``row``."""
        return shown(row, self._view.lookup_field)

    def rendered(self, rows: list[Any]) -> Mapping[Any, Any]:
        """Return each row as the caller is shown it, by key."""
        data = self._binding.get_serializer(rows, many=True).data if self._binding is not None and rows else ()
        return dict(zip((row.pk for row in rows), data, strict=True))


def _permitted(view: Any, row: Any) -> bool:
    try:
        view.check_object_permissions(view.request, row)
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
