"""The project's middleware and views, called with the request of an item as a server calls them with any other.

The chain is loaded once per process. In front of every view stands a guard: whatever way led there, what is excluded
from batches is refused.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIRequest
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, resolve
from django.utils.translation import get_language

from core.conf import core_settings


@dataclass(frozen=True, slots=True)
class Route:
    """Where a path leads, found out when the batch was judged, and why it may not be batched, or None if it may."""

    match: ResolverMatch | None
    reason: str | None
    language: str | None

    def again(self) -> ResolverMatch | None:
        """Return what resolving the path would give now; None if that is not known."""
        match: Any = self.match
        if match is None or self.language != get_language():  # by which a path may be prefixed
            return None
        if not all(isinstance(value, _PLAIN) for value in match.kwargs.values()):
            return None  # a converter's own, which may have looked something up
        more = (match.app_names, match.namespaces, match.route, match.tried, match.captured_kwargs, match.extra_kwargs)
        kwargs = {**match.kwargs}  # middleware may change them
        return ResolverMatch(match.func, match.args, kwargs, match.url_name, *more)


_PLAIN = (str, int, UUID)


def route_of(path_info: str) -> Route:
    """Return where a path of this site leads."""
    try:
        match = resolve(path_info)
    except Resolver404:
        match = None  # whoever answers it, as 404 or otherwise, is asked as if it were alone
    return Route(match, _reason(match, path_info), get_language())


class ItemRequest(WSGIRequest):
    """The request of an item. ``route`` is where its path was found to lead, if that is known."""

    def __init__(self, environ: dict[str, Any], route: Route | None = None) -> None:
        super().__init__(environ)
        self.judged_path = self.path_info
        self.route = route


class ItemHandler(BaseHandler):
    """Django's handler, with the guard."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Load the chain, and put the guard first."""
        super().load_middleware(is_async)
        django: Any = self
        django._view_middleware.insert(0, _guard)  # noqa: SLF001 - there is no public way to come first

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """Return where the path leads, looked up anew only if something has changed since the batch was judged."""
        if isinstance(request, ItemRequest) and request.route and request.path_info == request.judged_path:
            known = None if hasattr(request, "urlconf") else request.route.again()
            if known is not None:
                request.resolver_match = known
                return known
        match: ResolverMatch = super().resolve_request(request)
        return match

    def respond(self, request: ItemRequest) -> HttpResponseBase:
        """Return the answer to ``request``; exceptions of views have become answers."""
        return self.get_response(request)


def _guard(request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any) -> HttpResponse | None:  # noqa: ARG001
    match = request.resolver_match
    reason = _reason(match, request.path_info) if match else None
    return JsonResponse({"detail": reason}, status=400) if reason else None


def _reason(match: ResolverMatch | None, path_info: str) -> str | None:
    view = getattr(match.func, "cls", None) if match else None
    if getattr(view, "runs_batches", False):
        return "A batch cannot hold a batch."
    for entry in core_settings.BATCH.EXCLUDE:
        if path_info.startswith(entry) if entry.startswith("/") else match is not None and match.view_name == entry:
            return f"{path_info} cannot be batched; call it by itself."
    return None


_lock = threading.Lock()
_handler: ItemHandler | None = None


def item_handler() -> ItemHandler:
    """Return the handler of this process, loaded when it is first asked for."""
    global _handler  # noqa: PLW0603 - one per process
    if (handler := _handler) is None:
        with _lock:
            if (handler := _handler) is None:
                handler = ItemHandler()
                handler.load_middleware()
                _handler = handler
    return handler


def _forget(**_: object) -> None:
    """Load anew after ``override_settings``: middleware reads settings when it is made."""
    global _handler  # noqa: PLW0603
    _handler = None


setting_changed.connect(_forget, dispatch_uid="core.batch.handler")
