"""The project's middleware and views, called with the request of an item as a server calls them with any other.

The chain is loaded once per process. In front of every view stands a guard: whatever way led there, what is excluded
from batches is refused.
"""

import threading
from collections.abc import Callable
from typing import Any

from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIRequest
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, resolve

from core.conf import core_settings


class ItemRequest(WSGIRequest):
    """The request of an item."""


class ItemHandler(BaseHandler):
    """Django's handler, with the guard."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Load the chain, and put the guard first."""
        super().load_middleware(is_async)
        django: Any = self
        django._view_middleware.insert(0, _guard)  # noqa: SLF001 - there is no public way to come first

    def respond(self, request: ItemRequest) -> HttpResponseBase:
        """Return the answer to ``request``; exceptions of views have become answers."""
        return self.get_response(request)


def _guard(request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any) -> HttpResponse | None:  # noqa: ARG001
    match = request.resolver_match
    reason = _reason(match, request.path_info) if match else None
    return JsonResponse({"detail": reason}, status=400) if reason else None


def excluded(path_info: str) -> str | None:
    """Return why a path may not be batched, or None if it may."""
    try:
        match = resolve(path_info)
    except Resolver404:
        match = None  # whoever answers it, as 404 or otherwise, is asked as if it were alone
    return _reason(match, path_info)


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
