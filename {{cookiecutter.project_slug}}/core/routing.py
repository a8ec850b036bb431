"""WebSocket routes and worker channels of ``core``: those of the enabled features."""

from collections.abc import Mapping
from typing import Any

from django.urls import URLPattern, URLResolver, path

from core.bindings.streams import demultiplexer
from core.conf import core_settings


def websocket_urlpatterns() -> list[URLPattern | URLResolver]:
    """Return the socket routes of the features that are on now."""
    routes: list[URLPattern | URLResolver] = []
    if core_settings.BINDINGS.ENABLED:
        routes.append(path("ws/", demultiplexer().as_asgi()))
    return routes


def worker_channels() -> Mapping[str, Any]:
    """Return the consumers that ``manage.py runworker`` can run, by the name of their channel."""
    return {}
