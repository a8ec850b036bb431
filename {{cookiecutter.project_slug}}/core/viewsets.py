"""Viewsets: nested under others, with a serializer of their own for details, with a paginator of their own.

Described in ``docs/routers.md``.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer

from core.conf import core_settings
from core.keys.passing import transparent
from core.nesting import Parent

if TYPE_CHECKING:
    from rest_framework.viewsets import GenericViewSet

    _ViewSet = GenericViewSet[Any]
else:
    _ViewSet = object

_View = TypeVar("_View", bound=type[Any])


class NestedViewSetMixin(_ViewSet):
    """Lets a viewset be registered under others; put it in front of the viewset's base class.

    Under a parent it lists, finds and writes the rows of that parent only. Registered by itself it changes nothing.
    """

    nested_parents: ClassVar[tuple[Parent, ...]] = ()

    @transparent  # but for a URL that is refused
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a URL that names parents without having been registered under any: it would show all rows."""
        prefix = core_settings.ROUTERS.DEFAULT_PARENT_LOOKUP_KWARG_NAME_PREFIX
        strays = [name for name in self.kwargs if prefix and name.startswith(prefix)]
        if strays and not self.nested_parents:
            if not core_settings.ROUTERS.ENABLED:
                raise NotFound
            raise ImproperlyConfigured(
                f"The URL of {type(self).__name__} has the argument {strays[0]!r}, but no parent stands behind it. "
                "Register the viewset under its parent with an extended router."
            )
        super().initial(request, *args, **kwargs)

    @property
    def parent_objects(self) -> tuple[Model, ...]:
        """The rows that the URL names, outermost first; none where the viewset is not nested."""
        return ()

    def get_parents_query_dict(self) -> dict[str, Any]:
        """Return the lookups of the parents with the values that the URL has for them."""
        return {parent.lookup: self.kwargs[parent.kwarg] for parent in self.nested_parents}


class DetailSerializerMixin(_ViewSet):
    """Gives the routes of one object a serializer and a queryset of their own.

    Without ``serializer_detail_class`` the ``serializer_class`` is used, without ``queryset_detail`` the ``queryset``.
    """

    serializer_detail_class: type[BaseSerializer[Any]] | None = None
    queryset_detail: QuerySet[Any] | None = None

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """Return the serializer for one object or for the list."""
        if self.serializer_detail_class is not None and self._is_detail():
            return self.serializer_detail_class
        return super().get_serializer_class()

    def get_queryset(self) -> QuerySet[Any]:
        """Return the queryset for one object or for the list."""
        if self.queryset_detail is not None and self._is_detail():
            return self.queryset_detail.all()  # a copy: the attribute would keep the rows it has fetched
        return super().get_queryset()

    def _is_detail(self) -> bool:
        detail: bool | None = getattr(self, "detail", None)
        # Generic views know no such thing; there the argument of the URL tells.
        return (self.lookup_url_kwarg or self.lookup_field) in self.kwargs if detail is None else detail


def paginate(pagination_class: type[BasePagination] | None = None, **attributes: Any) -> Callable[[_View], _View]:
    """Give a viewset a paginator of ``pagination_class`` with these attributes: ``page_size=50``, ``ordering="-id"``.

    A class decorator. Without ``pagination_class`` the viewset's own is taken. The class that is given stays as it
    is. Raises ``ImproperlyConfigured`` if there is no class to take, or if it has no such attribute.
    """

    def decorate(view: _View) -> _View:
        base = pagination_class or getattr(view, "pagination_class", None)
        if base is None:
            raise ImproperlyConfigured(f"{view.__name__} has no pagination class: name one in paginate().")
        if unknown := [name for name in attributes if not hasattr(base, name)]:
            raise ImproperlyConfigured(f"paginate() of {view.__name__}: {base.__name__} has no {unknown[0]!r}.")
        view.pagination_class = type(base.__name__, (base,), attributes)
        return view

    return decorate
