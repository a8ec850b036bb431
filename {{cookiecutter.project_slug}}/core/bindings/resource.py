"""``ResourceBinding``: a resource of the REST API as a stream of the socket.

An instance answers one request, or looks for whom an event is. Described in ``docs/bindings.md``.
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.db import models
from rest_framework.response import Response

from core.bindings import views
from core.bindings.actions import Action
from core.callers import Caller

BUILT_IN = frozenset({"create", "retrieve", "list", "update", "patch", "delete"})
READING = frozenset({"retrieve", "list"})


class ResourceBinding:
    """A model with its rules, behind one stream.

    Either ``viewset_class`` names a viewset, whose queryset, serializers, filters, permissions, throttles, pages and
    extra actions are then those of the stream; or ``queryset`` (or ``model``) and ``serializer_class`` are given, and
    what a generic view would have besides. ``permission_classes`` are asked as well as a viewset's own.

    The methods of actions may be overridden; they return data, or data and a status, or a ``Response``.
    """

    stream: ClassVar[str | None] = None
    model: ClassVar[type[models.Model] | None] = None
    queryset: ClassVar[Any] = None
    serializer_class: ClassVar[Any] = None
    lookup_field: ClassVar[str | None] = None
    permission_classes: ClassVar[Sequence[Any] | None] = None
    viewset_class: ClassVar[Any] = None

    actions: ClassVar[Collection[str]] = BUILT_IN
    """The built-in actions that clients may call, as far as the viewset has them."""
    read_only: ClassVar[bool] = False

    # What a request brings along.
    caller: Caller
    user: Any
    view: views.BoundView
    request: Any
    """The request of REST that the view sees."""
    asked: Action | None = None
    action: str = ""
    """The name of the action."""
    pk: Any = None
    """The key that the client has named; None if none."""

    @classmethod
    def view_class(cls) -> type[views.BoundView]:
        """Return the class of the view behind this binding."""
        key: Any = cls
        return _view_class(key)

    @classmethod
    def get_model(cls) -> type[models.Model]:
        """Return the model whose rows this is about. Raises ``ImproperlyConfigured`` if nothing tells."""
        if (model := cls.find_model()) is None:
            raise ImproperlyConfigured(f"{cls.__name__} needs a model, a queryset, or a viewset that has one.")
        return model

    @classmethod
    def find_model(cls) -> type[models.Model] | None:
        """Return the model whose rows this is about; None if nothing tells."""
        if cls.model is not None:
            return cls.model
        view = cls.view_class()
        model = getattr(getattr(view, "queryset", None), "model", None)
        return model or getattr(getattr(getattr(view, "serializer_class", None), "Meta", None), "model", None)

    @classmethod
    def overrides(cls, name: str) -> bool:
        """Tell whether this binding has a hook ``name`` of its own."""
        return getattr(cls, name) is not getattr(ResourceBinding, name)

    # --- Actions ---

    def create(self, data: Any = None, **kwargs: Any) -> Any:
        """Make a row."""
        return self.answer()

    def retrieve(self, pk: Any, **kwargs: Any) -> Any:
        """Show a row."""
        return self.answer()

    def list(self, data: Any = None, **kwargs: Any) -> Any:
        """Show a page of rows."""
        return self.answer()

    def update(self, pk: Any, data: Any = None, **kwargs: Any) -> Any:
        """Write every field of a row."""
        return self.answer()

    def patch(self, pk: Any, data: Any = None, **kwargs: Any) -> Any:
        """Write some fields of a row."""
        return self.answer()

    def delete(self, pk: Any, **kwargs: Any) -> Any:
        """Delete a row."""
        return self.answer()

    def answer(self) -> Response:
        """Return what the view behind the binding answers to what was asked."""
        if self.asked is None:
            raise TypeError("There is no request to answer.")
        method = getattr(self.view, self.asked.view_action)
        response: Response = method(self.request, **self.view.kwargs)
        return response

    # --- Hooks ---

    def get_queryset(self) -> Any:
        """Return the rows that the caller may see."""
        return self.view.own_get_queryset()

    def filter_queryset(self, queryset: Any) -> Any:
        """Return those of ``queryset`` that the parameters ask for."""
        return self.view.own_filter_queryset(queryset)

    def get_serializer_class(self) -> Any:
        """Return the class of the serializer for this action."""
        return self.view.own_get_serializer_class()

    def get_serializer_context(self) -> dict[str, Any]:
        """Return what serializers are told besides."""
        return self.view.own_get_serializer_context()

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """Return a serializer."""
        return self.view.get_serializer(*args, **kwargs)

    def get_object(self) -> Any:
        """Return the row that the client has named, if the caller may see it. Raises ``Http404`` and refusals."""
        return self.view.get_object()

    def perform_create(self, serializer: Any) -> None:
        """Save a new row."""
        self.view.own_perform_create(serializer)

    def perform_update(self, serializer: Any) -> None:
        """Save all of a row."""
        self.view.own_perform_update(serializer)

    def perform_patch(self, serializer: Any) -> None:
        """Save some fields of a row."""
        self.view.own_perform_update(serializer)

    def perform_delete(self, instance: Any) -> None:
        """Delete a row."""
        self.view.own_perform_destroy(instance)


class ReadOnlyResourceBinding(ResourceBinding):
    """A binding that shows and tells, and writes nothing."""

    actions = READING
    read_only = True


@cache
def _view_class(binding: Any) -> type[views.BoundView]:
    return views.view_class_of(binding)
