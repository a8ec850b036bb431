"""Puts parents, links and binding into a viewset."""

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import Model, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.serializers import ModelSerializer

from core.conf import core_settings
from core.nesting.binding import CONTEXT, bind
from core.nesting.links import Link, linked, make_link, under
from core.nesting.parents import InFront, Parent, find_parents, has_own

if TYPE_CHECKING:
    from rest_framework.viewsets import GenericViewSet

    _ViewSet = GenericViewSet[Any]
else:
    _ViewSet = object


class UnderParents(InFront, _ViewSet):
    """Stands in front of a viewset that is registered under parents.

    The router derives a class from this and the viewset. Being first, it has the last word: no ``get_queryset``,
    ``get_object`` or ``get_serializer_class`` of the viewset, with or without ``super()``, can show or write rows of
    other parents.
    """

    nested_parents: ClassVar[tuple[Parent, ...]] = ()
    known_parents: tuple[Model, ...] = ()  # those that whoever asks has found already
    _parent_objects: tuple[Model, ...] | None = None
    _turned_away = False
    _model: type[Model] | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer 404 before any action runs, unless the caller may see every parent that the URL names."""
        self._turned_away = not core_settings.ROUTERS.ENABLED
        if self._turned_away:
            raise NotFound
        try:
            super().initial(request, *args, **kwargs)
            self.parent_objects  # noqa: B018 - finding them is the check
        except Exception:
            self._turned_away = True
            raise
        self._adapt_handler((request.method or "").lower())

    def check_permissions(self, request: Request) -> None:
        """Let nobody do anything who has been turned away: the page that says so shows no forms."""
        if self._turned_away:
            raise NotFound
        super().check_permissions(request)

    @property
    def parent_objects(self) -> tuple[Model, ...]:
        """The rows that the URL names, outermost first. Raises ``NotFound`` if the caller may not see one."""
        if self._parent_objects is None:
            levels = len(self.nested_parents)
            known = self.known_parents[:levels]
            self._parent_objects = known if len(known) == levels else self._found()
        return self._parent_objects

    def get_queryset(self) -> QuerySet[Any]:
        """Return the viewset's rows that hang on the parents."""
        queryset = super().get_queryset()
        self._model = queryset.model
        if self._has_no_parents:
            return queryset.none()
        return under(queryset, self._links(queryset.model))

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return what the viewset makes of ``queryset``. Even rows that it takes from elsewhere hang on the parents."""
        rows = super().filter_queryset(queryset)
        if self._has_no_parents or not has_own(type(self), "filter_queryset") or rows.query.is_sliced:
            return rows
        return under(rows, self._links(rows.model))

    def get_object(self) -> Any:
        """Return the viewset's object. Raises ``NotFound`` if it does not hang on the parents."""
        row = super().get_object()
        if has_own(type(self), "get_object") and isinstance(row, Model) and not linked(row, self._links(type(row))):
            raise NotFound
        return row

    def get_serializer_class(self) -> type[Any]:
        """Return the viewset's serializer, held to the parents."""
        serializer_class = super().get_serializer_class()
        if self._has_no_parents:
            return serializer_class
        model = self._rows_model()
        return bind(serializer_class, self._links(model)) if self._writes(serializer_class, model) else serializer_class

    def get_serializer_context(self) -> Mapping[str, Any]:
        """Add what the serializer is held to."""
        context = super().get_serializer_context()
        if self._has_no_parents:
            return context
        return {**context, CONTEXT: self._links(self._rows_model())}

    def reverse_action(self, url_name: str, args: Any = None, kwargs: Any = None, **options: Any) -> str:
        """Reverse a route of this viewset under the same parents."""
        above = {parent.kwarg: self.kwargs[parent.kwarg] for parent in self.nested_parents}
        if args:
            options["args"] = (*above.values(), *args)
        else:
            options["kwargs"] = {**above, **(kwargs or {})}
        return super().reverse_action(url_name, **options)

    @property
    def _has_no_parents(self) -> bool:
        """Whether nobody asks for rows: the view is only described, or renders why it has answered nothing."""
        return self._turned_away or getattr(self, "swagger_fake_view", False)

    def _rows_model(self) -> type[Model]:
        if self._model is None:
            self._model = self._created_model() or super().get_queryset().model
        return self._model

    def _created_model(self) -> type[Model] | None:
        """Return the serializer's model where the viewset only creates, and has no queryset."""
        if getattr(self, "queryset", None) is not None or has_own(type(self), "get_queryset"):
            return None
        meta: Any = getattr(super().get_serializer_class(), "Meta", None)
        return getattr(meta, "model", None)

    def _found(self) -> tuple[Model, ...]:
        action: Any = getattr(self, self.action or "", None)
        own = {self.lookup_url_kwarg or self.lookup_field, "format", *_arguments(getattr(action, "url_path", ""))}
        kwargs = {name: value for name, value in self.kwargs.items() if name not in own}
        return find_parents(self.request, kwargs, self.nested_parents)

    def _links(self, model: type[Model]) -> Sequence[Link]:
        parents = zip(self.nested_parents, self.parent_objects, strict=True)
        return [
            make_link(model, level.lookup, parent, self._name_of(level, parent), implied=self._implied(number))
            for number, (level, parent) in enumerate(parents)
        ]

    def _name_of(self, level: Parent, parent: Model) -> Any:
        return getattr(parent, level.viewset.lookup_field, self.kwargs[level.kwarg])

    def _implied(self, number: int) -> bool:
        """Tell whether being linked to a parent further in means being linked to this one.

        ``group__user`` is ``group`` and then the lookup by which that group hangs on the user.
        """
        lookup = self.nested_parents[number].lookup
        for inner in self.nested_parents[number + 1 :]:
            between: tuple[Parent, ...] = getattr(inner.viewset, "nested_parents", ())
            if lookup == f"{inner.lookup}__{between[number].lookup}":
                return True
        return False

    def _adapt_handler(self, method: str) -> None:
        """Let an action that was written for the flat route, ``vote(self, request, pk)``, run under parents.

        What decorators have wrapped decides: they pass on what they are given.
        """
        handler: Any = getattr(self, method, None)
        if handler is None:
            return
        taken = inspect.signature(inspect.unwrap(handler)).parameters
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in taken.values()):
            above = {parent.kwarg for parent in self.nested_parents} - set(taken)
            setattr(self, method, _without(handler, above))

    def _writes(self, serializer_class: type[Any], model: type[Model]) -> bool:
        """Tell whether the serializer writes the viewset's rows, and not something that an extra action takes."""
        if not issubclass(serializer_class, ModelSerializer):
            return self.action in {"create", "update", "partial_update"}
        meta: Any = serializer_class.Meta
        written = meta.model._meta.concrete_model
        return issubclass(written, model) or issubclass(model, written)


def _arguments(path: str) -> list[str]:
    """Return the names of the arguments in a part of a URL: ``by/(?P<letter>a|b)``, ``by/<int:number>``."""
    return re.findall(r"<(?:\w+:)?(\w+)>", path)


def _without(handler: Callable[..., Any], unwanted: Collection[str]) -> Callable[..., Any]:
    def handle(request: Request, *args: Any, **kwargs: Any) -> Any:
        return handler(request, *args, **{name: value for name, value in kwargs.items() if name not in unwanted})

    return handle
