"""The view of REST that stands behind a binding.

A binding is asked by the rules of a viewset: its own ``viewset_class``, or one made of the binding's attributes. The
class that is really used stands in front of that viewset and gives the binding's hooks the last word; their defaults
lead back to the viewset.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from rest_framework.generics import GenericAPIView
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.viewsets import ModelViewSet

from core.bindings.actions import Action
from core.bindings.pages import Pages
from core.bindings.permissions import instances
from core.keys.passing import pass_by

if TYPE_CHECKING:
    from core.bindings.resource import ResourceBinding

    _Viewset = ModelViewSet[Any]
else:
    _Viewset = object

TAKEN: Final = (
    "queryset",
    "serializer_class",
    "lookup_field",
    "lookup_url_kwarg",
    "throttle_classes",
    "throttle_scope",
    "filter_backends",
    "filterset_class",
    "filterset_fields",
    "search_fields",
    "ordering_fields",
    "ordering",
    "pagination_class",
)
"""Attributes of a binding that its view has, too."""


class BoundView(_Viewset):
    """Stands in front of a viewset. ``own_`` is what the viewset itself would do."""

    binding: "ResourceBinding"
    counted: bool
    """Whether the request counts for throttles."""

    @property
    def paginator(self) -> BasePagination:
        """Pages as a socket has them."""
        if not hasattr(self, "_pages"):
            self._pages = Pages(super().paginator)
        return self._pages

    def get_permissions(self) -> Any:
        """Return the permissions of the viewset and of the binding; those of an action that has its own alone."""
        action = self.binding.asked
        if action is not None and action.permission_classes is not None:
            return instances(action.permission_classes)
        binding = self.binding
        if binding.permission_classes is None:
            return super().get_permissions()
        own = super().get_permissions() if binding.viewset_class is not None else []
        return [*own, *instances(binding.permission_classes)]

    def check_throttles(self, request: Request) -> None:
        """Count the request, if it is one."""
        if self.counted:
            super().check_throttles(request)

    def get_queryset(self) -> Any:
        return self.binding.get_queryset()

    def own_get_queryset(self) -> Any:
        return super().get_queryset()

    def filter_queryset(self, queryset: Any) -> Any:
        return self.binding.filter_queryset(queryset)

    def own_filter_queryset(self, queryset: Any) -> Any:
        return super().filter_queryset(queryset)

    def filters_by_itself(self) -> bool:
        """Tell whether the viewset or the binding has a ``filter_queryset`` of its own making."""
        own = getattr(super(), "filter_queryset")  # noqa: B009 - the viewset's, whichever class has it
        return type(self.binding).overrides("filter_queryset") or own.__func__ is not GenericAPIView.filter_queryset

    def get_serializer_class(self) -> Any:
        return self.binding.get_serializer_class()

    def own_get_serializer_class(self) -> Any:
        return super().get_serializer_class()

    def get_serializer_context(self) -> dict[str, Any]:
        return self.binding.get_serializer_context()

    def own_get_serializer_context(self) -> dict[str, Any]:
        return dict(super().get_serializer_context())

    def perform_create(self, serializer: Any) -> None:
        self.binding.perform_create(serializer)

    def own_perform_create(self, serializer: Any) -> None:
        super().perform_create(serializer)

    def perform_update(self, serializer: Any) -> None:
        if getattr(serializer, "partial", False):
            self.binding.perform_patch(serializer)
        else:
            self.binding.perform_update(serializer)

    def own_perform_update(self, serializer: Any) -> None:
        super().perform_update(serializer)

    def perform_destroy(self, instance: Any) -> None:
        self.binding.perform_delete(instance)

    def own_perform_destroy(self, instance: Any) -> None:
        super().perform_destroy(instance)


def view_class_of(binding: "type[ResourceBinding]") -> type[BoundView]:
    """Return the class of the views behind ``binding``."""
    viewset: Any = binding.viewset_class
    attributes: dict[str, Any] = {}
    if viewset is None:
        viewset = ModelViewSet
        attributes = {"pagination_class": None}
        if binding.model is not None:
            attributes["queryset"] = binding.model._default_manager.all()
    for name in TAKEN:
        if (value := getattr(binding, name, None)) is not None:
            attributes[name] = value
    attributes["__module__"], attributes["__doc__"] = viewset.__module__, viewset.__doc__
    made: type[BoundView] = type(viewset.__name__, (BoundView, viewset), attributes)
    return made


def begin(view: BoundView, request: HttpRequest, action: Action, kwargs: Mapping[str, Any], data: Any) -> Request:
    """Do what REST does before it runs ``action``: all its checks. Raises what they raise; returns REST's request."""
    pass_by(request)  # what is kept for HTTP, by its addresses, is of no use here
    view.action_map = {action.method.lower(): action.view_action}
    view.args, view.kwargs = (), dict(kwargs)
    view.headers = {}
    made: Any = view.initialize_request(request, **kwargs)
    # As if a parser had read it: it has been read already.
    made._data = made._full_data = data  # noqa: SLF001
    made._files = MultiValueDict()  # noqa: SLF001
    view.request = made
    view.initial(made, **kwargs)
    return view.request
