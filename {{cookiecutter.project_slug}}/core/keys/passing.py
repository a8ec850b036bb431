"""Requests that pass by caches and tags, and what is to be done to a fresh answer before anybody stores it.

Features do not know one another; what they have to tell each other goes by way of the request.

**Live queries** have one switch here. A read with ``?observe=`` passes by caches and tags while
``CORE["REACTIVE"]["ENABLED"]``, without anybody's doing: nothing is looked up, nothing is kept, no tag is set and no
condition is judged. Whoever evaluates a query without that parameter calls ``pass_by(request)`` on the request it is
going to call the view with, Django's or DRF's around it, and the same holds. ``passes_by(request)`` is what every cache
asks. Writes are held to their conditions whatever their URL says.

**Early answers**: what is kept may be given out before DRF has begun. ``transparent`` marks overrides that this may
skip, ``Layer`` is what a decorator around a cached method does to such an answer.
"""

import copy
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request, clone_request

from core.conf import core_settings

OBSERVE = "observe"
"""The query parameter of a live query: its answer registers an observer, and is nobody else's."""
SAFE = frozenset({"GET", "HEAD"})
"""The methods that caches answer, and that live queries ask with."""
_PASSING = "_core_passing"
_FINISHERS = "_core_finishers"


Finisher = Callable[[Any], None]
_Method = TypeVar("_Method", bound=Callable[..., Any])


def passes_by(request: Any) -> bool:
    """Tell whether ``request``, of Django or DRF, is to be answered anew, without cache and tags."""
    plain = _plain(request)
    if _PASSING in request.__dict__ or _PASSING in plain.__dict__:
        return True
    # To read parameters that are not there would cost more than all the rest.
    has_parameters = "GET" in plain.__dict__ or plain.META.get("QUERY_STRING")
    return bool(has_parameters) and OBSERVE in plain.GET and request.method in SAFE and core_settings.REACTIVE.ENABLED


def pass_by(request: Any) -> None:
    """Have ``request``, of Django or DRF, pass by caches and tags: what evaluates a live query calls this."""
    setattr(request, _PASSING, True)


def as_get(view: Any, request: Request) -> Any:
    """Return a copy of ``view`` that answers GET for the same caller and URL, and passes by caches and tags."""
    twin = copy.copy(view)
    asked = clone_request(request, "GET")
    pass_by(asked)
    twin.request = asked
    actions = getattr(view, "action_map", None)
    twin.action = (actions or {}).get("get", "retrieve") if getattr(view, "action", None) is not None else None
    return twin


def add_finisher(request: Any, finisher: Finisher) -> None:
    """Have ``finisher`` called with the fresh answer to ``request`` before it is rendered and stored."""
    _plain(request).__dict__.setdefault(_FINISHERS, []).append(finisher)


def remove_finisher(request: Any, finisher: Finisher) -> None:
    """Undo ``add_finisher``."""
    _plain(request).__dict__[_FINISHERS].remove(finisher)


def has_finishers(request: Any) -> bool:
    """Tell whether the fresh answer to ``request`` will be changed: then it is kept apart from those that are not."""
    return bool(_plain(request).__dict__.get(_FINISHERS))


def finish(request: Any, response: Any) -> None:
    """Call the finishers of ``request``."""
    for finisher in _plain(request).__dict__.get(_FINISHERS, ()):
        finisher(response)


class Layer(Protocol):
    """What stands around a method whose answers are kept, and has to see them even when no view is made."""

    def is_early(self, view: type) -> bool:
        """Tell whether that can be done for the class ``view``."""

    def early(self, request: HttpRequest, response: HttpResponse) -> HttpResponse | None:
        """Return what is to be answered to ``request`` where ``response`` is what was kept.

        None if only the method itself can tell.
        """


# By function, not as attributes of functions: what a decorator wraps leaves its attributes on the wrapper.
_layers: WeakKeyDictionary[Callable[..., Any], Layer] = WeakKeyDictionary()
_transparent: WeakSet[Callable[..., Any]] = WeakSet()


def add_layer(method: Callable[..., Any], layer: Layer) -> None:
    """Say that ``method``, which wraps another by ``functools.wraps``, does to a kept answer what ``layer`` does."""
    _layers[method] = layer


def layer_of(method: Any) -> Layer | None:
    """Return the layer of ``method`` itself, not of what it wraps."""
    return _layers.get(method) if isinstance(method, FunctionType) else None


def transparent(method: _Method) -> _Method:
    """Mark a method that does for GET and HEAD nothing but call the one it overrides."""
    _transparent.add(method)
    return method


def is_transparent(method: Any) -> bool:
    """Tell whether ``method`` is marked so."""
    return isinstance(method, FunctionType) and method in _transparent


def _plain(request: Any) -> HttpRequest:
    plain: HttpRequest = getattr(request, "_request", request)
    return plain


def trimmer(method: Callable[..., Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what takes those keyword arguments away that name parents of a nested route and that ``method`` lacks.

    What decorates a method is given all of them, to tell one parent's answers from another's.
    """
    taken = inspect.signature(method).parameters
    if any(each.kind is each.VAR_KEYWORD for each in taken.values()):
        return lambda kwargs: kwargs

    def trimmed(kwargs: dict[str, Any]) -> dict[str, Any]:
        prefix = core_settings.ROUTERS.DEFAULT_PARENT_LOOKUP_KWARG_NAME_PREFIX
        return {name: value for name, value in kwargs.items() if name in taken or not name.startswith(prefix)}

    return trimmed
