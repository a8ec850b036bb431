"""Permission classes of bindings: the documented ``has_permission(user, action, pk)``, and those of REST."""

from collections.abc import Iterable
from typing import Any

from rest_framework import permissions as rest


class BasePermission:
    """Who may do what on a stream."""

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        """Tell whether ``user`` may do ``action`` (``"create"``, ``"subscribe"``, a custom one) to the row ``pk``.

        ``pk`` is None where the action is about no single row. Each event of a subscription is asked for as
        ``"subscribe"``: with the key where the subscription is to one row, without one where it is to any.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define has_permission().")


class AllowAny(BasePermission):
    """Everybody may do everything."""

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        """Say yes."""
        return True


class IsAuthenticated(BasePermission):
    """Everybody who has logged in may do everything."""

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        """Tell whether the user has logged in."""
        return bool(user and user.is_authenticated)


class AsRest(rest.BasePermission):
    """Lets a documented permission be asked as one of REST, so that there is one way of asking."""

    def __init__(self, permission: Any) -> None:
        self._permission = permission

    def has_permission(self, request: Any, view: Any) -> bool:
        """Ask for the action of the view's binding."""
        binding = view.binding
        return bool(self._permission.has_permission(request.user, binding.action, binding.pk))


def instances(classes: Iterable[Any]) -> list[Any]:
    """Return permissions of ``classes`` that a view of REST can ask. Compositions (``A & B``) count as classes."""
    made = [each() for each in classes]
    return [each if hasattr(each, "has_object_permission") else AsRest(each) for each in made]


def judge_rows(permissions: Iterable[Any]) -> bool:
    """Tell whether any of ``permissions`` may say something else of one row than of another."""
    return any(_judges_rows(each) for each in permissions)


def _judges_rows(permission: Any) -> bool:
    if type(permission) in {rest.AND, rest.OR}:
        return _judges_rows(permission.op1) or _judges_rows(permission.op2)
    return type(permission).has_object_permission is not rest.BasePermission.has_object_permission
