"""Object permissions of a cached view: noticed when its answer is made, asked each time it is given out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.permissions import AND, NOT, OR, BasePermission
from rest_framework.views import APIView

from core.nesting.parents import has_own


def asks_objects(view: Any) -> bool:
    """Tell whether a permission of ``view`` decides by the object, and not by the request alone."""
    if type(view).check_object_permissions is not APIView.check_object_permissions:
        return True
    return any(_asks(permission) for permission in view.get_permissions())


def _asks(permission: Any) -> bool:
    if isinstance(permission, AND | OR | NOT):
        return any(_asks(operand) for operand in vars(permission).values())
    own = getattr(type(permission), "has_object_permission", None)
    return own is not BasePermission.has_object_permission


def ask(view: Any) -> None:
    """Find the object of ``view`` by one query for its row, and check the permissions on it.

    Raises ``Http404`` if the caller does not see it, ``PermissionDenied`` or ``NotAuthenticated`` if they may not.
    """
    if has_own(type(view), "get_object"):
        view.get_object()  # which asks
        return
    rows = view.filter_queryset(view.get_queryset()).prefetch_related(None)
    name = view.lookup_url_kwarg or view.lookup_field
    row = get_object_or_404(rows, **{view.lookup_field: view.kwargs[name]})
    view.check_object_permissions(view.request, row)


def is_own(view: Any, obj: Any) -> bool:
    """Tell whether ``obj`` is what ``ask`` will find for the generic ``view``: the row that the URL names."""
    name = view.lookup_url_kwarg or view.lookup_field
    if name not in view.kwargs:
        return False
    rows = view.get_queryset() if view.queryset is None else view.queryset
    if not isinstance(obj, rows.model):
        return False
    if has_own(type(view), "get_object"):
        return True
    value: Any = obj
    for part in view.lookup_field.split("__"):
        value = getattr(value, part, None)
    return str(value) == str(view.kwargs[name])


class Asked:
    """Notices of which objects a view asks whether the caller may see them."""

    def __init__(self, view: Any) -> None:
        self._view = view
        self._objects: list[Any] = []

    @property
    def any(self) -> bool:
        """Whether an object permission was asked."""
        return bool(self._objects)

    @property
    def repeatable(self) -> bool:
        """Whether the same can be asked again without running the view."""
        if not self._objects or not asks_objects(self._view):
            return True
        return (
            len(self._objects) == 1 and isinstance(self._view, GenericAPIView) and is_own(self._view, self._objects[0])
        )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count while the view runs."""
        view = self._view
        if view is None or not hasattr(view, "check_object_permissions"):
            yield
            return
        standing = view.check_object_permissions

        def check(request: Any, obj: Any) -> None:
            self._objects.append(obj)
            standing(request, obj)

        view.check_object_permissions = check
        try:
            yield
        finally:
            del view.check_object_permissions
