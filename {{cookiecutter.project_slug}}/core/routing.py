"""WebSocket routes and worker channels of ``core``: those of the enabled features."""

from collections.abc import Mapping
from typing import Any

from django.urls import URLPattern, URLResolver, path

from core.bindings.streams import demultiplexer
from core.conf import core_settings
from core.reactive import (
    CHANNEL_POLL_OBSERVER,
    CHANNEL_WORKER_NOTIFY,
    ClientConsumer,
    PollObserversConsumer,
    WorkerConsumer,
)


def websocket_urlpatterns() -> list[URLPattern | URLResolver]:
    """Return the socket routes of the features that are on now."""
    routes: list[URLPattern | URLResolver] = []
    if core_settings.BINDINGS.ENABLED:
        routes.append(path("ws/", demultiplexer().as_asgi()))
    if core_settings.REACTIVE.ENABLED:
        client: Any = ClientConsumer.as_asgi()
        routes.append(path("ws/<str:subscriber_id>", client))
    return routes


def worker_channels() -> Mapping[str, Any]:
    """Return the consumers that ``manage.py runworker`` can run, by the name of their channel."""
    if not core_settings.REACTIVE.ENABLED:
        return {}
    return {
        CHANNEL_WORKER_NOTIFY: WorkerConsumer.as_asgi(),
        CHANNEL_POLL_OBSERVER: PollObserversConsumer.as_asgi(),
    }
