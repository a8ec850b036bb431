"""Makes a request of a call, sends it through the project's handler and takes in what it answers."""

import contextlib
import contextvars
import io
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core import mail
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix, set_urlconf
from django.utils import timezone, translation

from core.batch import headers
from core.batch.answers import Answer, own_answer
from core.batch.calls import Call
from core.batch.handler import ItemRequest, excluded, item_handler
from core.batch.uploads import MultipartStream, Upload
from core.conf import core_settings

_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


def inherited_names() -> frozenset[str]:
    """Return the headers that items have from the batch in this project besides the usual ones, in lower case."""
    named = {settings.CSRF_HEADER_NAME, *(settings.SECURE_PROXY_SSL_HEADER or ())[:1]}
    names = {name.removeprefix("HTTP_").replace("_", "-") for name in named} | {*core_settings.BATCH.INHERIT_HEADERS}
    return frozenset(name.lower() for name in names)


class Sender:
    """Sends the items of one batch, for the caller of that batch."""

    def __init__(self, request: HttpRequest, uploads: Mapping[str, list[Upload]]) -> None:
        self._request = request
        self._uploads = uploads
        self._script_name: str = request.META.get("SCRIPT_NAME") or ""
        self._environ = headers.inherited(request.META, inherited_names())
        self._environ["SCRIPT_NAME"] = self._script_name
        self._environ["wsgi.url_scheme"] = request._get_scheme()  # type: ignore[attr-defined]  # noqa: SLF001
        self._environ.setdefault("SERVER_PROTOCOL", "HTTP/1.1")

    def excluded(self, path: bytes) -> str | None:
        """Return why a path may not be batched, or None."""
        path_info = self._path_info(path)
        if path_info is None:
            return f"The URL is not a path of this site, which begins at {self._script_name}/."
        return excluded(path_info.decode(errors="replace"))

    def _path_info(self, path: bytes) -> bytes | None:
        """Return the path below the place where the site is mounted, or None if it is not there."""
        prefix = self._script_name.rstrip("/").encode()
        if path.startswith(prefix + b"/"):
            return path[len(prefix) :]
        return None

    def send(self, call: Call) -> Answer:
        """Return the answer to ``call``, as it would have been answered alone.

        What the item sets for its own duration (language, time zone, context variables) ends with it.
        """
        began = time.perf_counter()
        answer = contextvars.copy_context().run(self._send, call)
        answer.seconds = time.perf_counter() - began
        return answer

    def _send(self, call: Call) -> Answer:
        # As at the beginning of any request: what the batch's own request has activated is not the item's.
        translation.deactivate()
        timezone.deactivate()
        set_urlconf(None)
        set_script_prefix(self._script_name)
        if call.url_was_open and (reason := self.excluded(call.target.path)):
            return own_answer(400, reason)
        request = self._item_request(call)
        response = item_handler().respond(request)
        try:
            return _taken_in(request, response)
        finally:
            _close(response)

    def _item_request(self, call: Call) -> ItemRequest:
        environ: dict[str, Any] = {
            **self._environ,
            "REQUEST_METHOD": call.method,
            "PATH_INFO": (self._path_info(call.target.path) or b"/").decode("latin-1"),  # as WSGI wants it
            "QUERY_STRING": call.target.query,
        }
        for name, value in call.headers:
            environ[headers.variable(name)] = value
        if call.fields is None:
            stream, length, content_type = io.BytesIO(call.content), len(call.content), call.content_type
        else:
            form = MultipartStream(call.fields, call.files, self._uploads)
            stream, length, content_type = io.BufferedReader(form), form.content_length, form.content_type  # type: ignore[assignment]
        environ["wsgi.input"] = stream
        if length:
            environ["CONTENT_LENGTH"] = str(length)
        if content_type is not None:
            environ["CONTENT_TYPE"] = content_type
        request = ItemRequest(environ)
        self._carry_over(request, call)
        return request

    def _carry_over(self, request: ItemRequest, call: Call) -> None:
        """Give the item what the batch's request has besides its variables."""
        scope: dict[str, Any] | None = getattr(self._request, "scope", None)
        if scope is not None:
            path = call.target.path.decode(errors="replace")
            request.scope = {  # type: ignore[attr-defined]
                **scope,
                "method": call.method,
                "path": path,
                "raw_path": path.encode(),
                "query_string": call.target.query.encode(),
                "headers": [
                    (name.lower().encode(), value.encode("latin-1")) for name, value in request.headers.items()
                ],
            }
        if hasattr(mail, "outbox"):  # only while tests run: what test clients have in place of credentials
            for name in ("_dont_enforce_csrf_checks", "_force_auth_user", "_force_auth_token"):
                if hasattr(self._request, name):
                    setattr(request, name, getattr(self._request, name))


def _taken_in(request: ItemRequest, response: HttpResponseBase) -> Answer:
    limit = core_settings.BATCH.MAX_STREAM_SIZE
    if request.method == "HEAD" or response.status_code in _BODILESS:
        content: bytes | None = b""
    elif response.streaming:
        content = _streamed(response, limit)
    else:
        content = response.content  # type: ignore[attr-defined]
    if content is None:
        return own_answer(500, f"The answer is streamed, and has more than {limit} bytes: too many for a batch.")
    return Answer(
        response.status_code,
        response.reason_phrase,
        list(response.items()),
        content,
        list(response.cookies.values()),
        core_settings.BATCH.MAX_RESULT_SIZE,
    )


def _streamed(response: Any, limit: int) -> bytes | None:
    """Return the whole of a streamed answer, or None if it is longer than ``limit`` bytes."""
    if response.is_async:
        found: bytes | None = async_to_sync(_streamed_async)(response, limit)
        return found
    collected = bytearray()
    for chunk in response.streaming_content:
        collected += chunk
        if len(collected) > limit:
            return None
    return bytes(collected)


async def _streamed_async(response: Any, limit: int) -> bytes | None:
    collected = bytearray()
    async for chunk in response.streaming_content:
        collected += chunk
        if len(collected) > limit:
            return None
    return bytes(collected)


def _close(response: HttpResponseBase) -> None:
    """Free what the answer holds.

    Not by ``close()``, which also tells Django that the request has ended: the batch's own has not, and its
    connections are still needed.
    """
    for closer in response._resource_closers:  # type: ignore[attr-defined]  # noqa: SLF001
        with contextlib.suppress(Exception):  # as Django does
            closer()
    response._resource_closers.clear()  # type: ignore[attr-defined]  # noqa: SLF001
    response.closed = True
