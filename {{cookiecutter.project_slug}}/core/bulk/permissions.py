"""Finds out whether a view has something to say about single rows, and asks it."""

from collections.abc import Iterable
from typing import Any

from django.http import Http404
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import NOT, BasePermission
from rest_framework.views import APIView


def judges_rows(view: Any) -> bool:
    """Tell whether the view or one of its permissions decides row by row. If not, no row has to be fetched for it."""
    if type(view).check_object_permissions is not APIView.check_object_permissions:
        return True
    return any(_judges_rows(permission) for permission in view.get_permissions())


def _judges_rows(permission: Any) -> bool:
    if isinstance(permission, NOT):
        return True  # the opposite of "nothing to say" is no
    operands = [getattr(permission, name) for name in ("op1", "op2") if hasattr(permission, name)]
    if operands:
        return any(_judges_rows(operand) for operand in operands)
    method = getattr(type(permission), "has_object_permission", None)
    return method is not BasePermission.has_object_permission


def require_each(view: Any, rows: Iterable[Any]) -> None:
    """Raise ``PermissionDenied`` (or ``NotAuthenticated``) unless the caller may do this to each of ``rows``."""
    for row in rows:
        try:
            view.check_object_permissions(view.request, row)
        except Http404:
            # The list has shown the row already; what a single request hides, this one may name as a refusal.
            raise PermissionDenied from None
