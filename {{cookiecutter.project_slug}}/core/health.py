"""``/healthz`` (the process is alive) and ``/readyz`` (it reaches what it stands on).

A middleware, and the first one, because probes address a container by its IP and without TLS: the check of
``ALLOWED_HOSTS`` and the redirect to HTTPS would both refuse them.
"""

import asyncio
import logging
from collections.abc import Callable

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import get_random_string

logger = logging.getLogger(__name__)

CHANNEL_LAYER_TIMEOUT = 2.0
"""Seconds that a message may take through the channel layer and back."""


class HealthMiddleware:
    """Answers the two probes before any other middleware sees them.

    ``/readyz`` answers 200 if every part works, else 503; its body names each part and says ``ok`` or ``failed``,
    the reasons go to the log.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a probe, pass on everything else."""
        if request.path_info == "/healthz":
            return self._answer(request, {})
        if request.path_info == "/readyz":
            return self._answer(request, {name: _works(name, check) for name, check in CHECKS.items()})
        return self.get_response(request)

    def _answer(self, request: HttpRequest, parts: dict[str, bool]) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        ok = all(parts.values())
        body = {name: "ok" if works else "failed" for name, works in parts.items()}
        return JsonResponse(
            {"status": "ok" if ok else "failed", **body},
            status=200 if ok else 503,
            headers={"Cache-Control": "no-store"},
        )


def _works(name: str, check: Callable[[], None]) -> bool:
    try:
        check()
    except Exception:
        logger.exception("Not ready: the %s does not answer as it should.", name.replace("_", " "))
        return False
    return True


def _check_databases() -> None:
    for alias in connections:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")


def _check_cache() -> None:
    key, value = f"readyz:{get_random_string(12)}", get_random_string(12)
    cache.set(key, value, timeout=10)
    found = cache.get(key)
    cache.delete(key)
    if found != value:
        raise RuntimeError(f"wrote {value!r} to the cache and read {found!r}")


def _check_channel_layer() -> None:
    if not settings.CHANNEL_LAYERS:
        return
    async_to_sync(_send_to_oneself)()


async def _send_to_oneself() -> None:
    layer = get_channel_layer()
    # Of the layer's usual kind: a Redis layer reads for one kind only, that of whoever waits already.
    channel = await layer.new_channel()
    sent = {"type": "readyz"}
    async with asyncio.timeout(CHANNEL_LAYER_TIMEOUT):
        await layer.send(channel, sent)
        received = await layer.receive(channel)
    if received["type"] != sent["type"]:
        raise RuntimeError(f"sent {sent!r} to the channel layer and received {received!r}")


CHECKS: dict[str, Callable[[], None]] = {
    "database": _check_databases,
    "cache": _check_cache,
    "channel_layer": _check_channel_layer,
}
"""What ``/readyz`` looks at, by the name it has in the answer."""
