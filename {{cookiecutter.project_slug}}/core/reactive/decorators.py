"""``observable``: what makes a view a live query."""

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, overload

from core.conf import core_settings
from core.reactive.options import Options
from core.reactive.protocol import OBSERVE
from core.reactive.watching import Watch

_View = TypeVar("_View", bound=Callable[..., Any])

MARK = "observable"
"""The attribute of an observable method that holds its ``Options``. Descriptions of the API look for it: such a method
takes ``?observe=<subscriber>`` and ``?since=<seq>``."""
METHODS = ("list", "retrieve")
"""What of a class is made observable; where it has neither, its ``get``."""


@overload
def observable(view: _View, /) -> _View: ...
@overload
def observable(
    *,
    primary_key: str | None = None,
    poll_interval: float | None = None,
    dependencies: Sequence[Any] = (),
    shared: bool = False,
) -> Callable[[_View], _View]: ...
def observable(
    view: Any = None,
    /,
    *,
    primary_key: str | None = None,
    poll_interval: float | None = None,
    dependencies: Sequence[Any] = (),
    shared: bool = False,
) -> Any:
    """Let clients observe a viewset, a generic view, or one method of it that answers GET: ``?observe=<subscriber>``.

    ``primary_key`` names the field that tells items apart, by default the model's key. ``poll_interval`` is in seconds:
    the view is asked again and again, for data whose changes nobody announces. ``dependencies`` names models, labels
    (``"polls.question"``) or tables whose every change concerns it, besides those it is seen to read.
    ``shared`` says that the answer is the same for all who may ask: it is then made once for all of them.

    With ``CORE["REACTIVE"]["ENABLED"]`` false it changes nothing. Raises ``TypeError`` for a class without a method
    that answers GET.
    """
    options = Options(primary_key, poll_interval, tuple(dependencies), shared)

    def decorate(decorated: Any) -> Any:
        return _class(decorated, options) if inspect.isclass(decorated) else _method(decorated, options)

    return decorate if view is None else decorate(view)


def _class(view: type[Any], options: Options) -> type[Any]:
    names = [name for name in METHODS if hasattr(view, name)] or [name for name in ("get",) if hasattr(view, name)]
    if not names:
        raise TypeError(f"{view.__name__} has no list, retrieve or get that could be observed.")
    for name in names:
        method = getattr(view, name)
        if not hasattr(method, MARK):  # one that says more by a decorator of its own keeps that
            setattr(view, name, _method(method, options))
    return view


def _method(method: Callable[..., Any], options: Options) -> Callable[..., Any]:
    @wraps(method)
    def observed(view: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        def run() -> Any:
            return method(view, request, *args, **kwargs)

        if (watch := Watch.of(request)) is not None:
            return watch.answer(view, options, run)
        if OBSERVE not in request.query_params or request.method != "GET" or not core_settings.REACTIVE.ENABLED:
            return run()
        from core.reactive.subscribing import subscribe  # needs the models

        return subscribe(request, options)

    setattr(observed, MARK, options)
    return observed
