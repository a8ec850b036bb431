"""``detail_action`` and ``list_action``: methods of a binding that clients can call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

_Method = TypeVar("_Method", bound=Callable[..., Any])

MARK: Final = "_binding_action"


@dataclass(frozen=True, slots=True)
class Marked:
    """What a decorator has said of a method."""

    name: str
    detail: bool
    permission_classes: Sequence[Any] | None


def detail_action(
    *, name: str | None = None, permission_classes: Sequence[Any] | None = None
) -> Callable[[_Method], _Method]:
    """Make a method an action on one row: ``def publish(self, pk, data=None, **kwargs)``, sync or async.

    It returns data, or data and a status. ``name`` is what clients call it (the method's own by default),
    ``permission_classes`` are asked instead of the binding's.
    """
    return _marker(name, permission_classes, detail=True)


def list_action(
    *, name: str | None = None, permission_classes: Sequence[Any] | None = None
) -> Callable[[_Method], _Method]:
    """Make a method an action on no row in particular: ``def totals(self, data=None, **kwargs)``, sync or async.

    The rest is as with ``detail_action``.
    """
    return _marker(name, permission_classes, detail=False)


def _marker(
    name: str | None, permission_classes: Sequence[Any] | None, *, detail: bool
) -> Callable[[_Method], _Method]:
    def mark(method: _Method) -> _Method:
        setattr(method, MARK, Marked(name or method.__name__, detail, permission_classes))
        return method

    return mark
