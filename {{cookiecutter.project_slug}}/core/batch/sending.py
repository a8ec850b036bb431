"""Makes a request of a call, sends it through the project's handler and takes in what it answers."""

import asyncio
import contextlib
import contextvars
import io
import time
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core import mail
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix, set_urlconf
from django.utils import timezone, translation

from core.batch import headers, workers
from core.batch.answers import Answer, own_answer
from core.batch.calls import Call
from core.batch.handler import ItemRequest, Route, item_handler, route_of
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
        self._routes: dict[bytes, Route] = {}
        self._contexts: dict[object, contextvars.Context] = {}
        self._environ = headers.inherited(request.META, inherited_names())
        self._environ["SCRIPT_NAME"] = self._script_name
        self._environ["wsgi.url_scheme"] = request._get_scheme()  # type: ignore[attr-defined]  # noqa: SLF001
        self._environ.setdefault("SERVER_PROTOCOL", "HTTP/1.1")

    def excluded(self, path: bytes) -> str | None:
        """Return why a path may not be batched, or None."""
        path_info = self._path_info(path)
        if path_info is None:
            return f"The URL is not a path of this site, which begins at {self._script_name}/."
        if (route := self._routes.get(path_info)) is None:
            route = self._routes[path_info] = route_of(path_info.decode(errors="replace"))
        return route.reason

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
        answer = self._beginning().run(self._send, call)
        answer.seconds = time.perf_counter() - began
        return answer

    def _beginning(self) -> contextvars.Context:
        """Return a context as it is at the beginning of any request."""
        here = workers.helper.get()
        if (context := self._contexts.get(here)) is None:
            context = self._contexts[here] = contextvars.copy_context()
            context.run(self._begin)
        return context.copy()

    def _begin(self) -> None:
        # What the batch's own request has activated is not the item's.
        translation.deactivate()
        timezone.deactivate()
        set_urlconf(None)
        set_script_prefix(self._script_name)

    def _send(self, call: Call) -> Answer:
        if call.url_was_open and (reason := self.excluded(call.target.path)):
            return own_answer(400, reason)
        request = self._item_request(call)
        response = item_handler().respond(request)
        try:
            return _taken_in(request, response)
        finally:
            _close(response)

    def _item_request(self, call: Call) -> ItemRequest:
        path_info = self._path_info(call.target.path) or b"/"
        environ: dict[str, Any] = {
            **self._environ,
            "REQUEST_METHOD": call.method,
            "PATH_INFO": path_info.decode("latin-1"),  # as WSGI wants it
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
        request = ItemRequest(environ, self._routes.get(path_info))
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
    if request.method == "HEAD" or response.status_code in _BODILESS:
        content = b""
    elif response.streaming:
        try:
            content = _Collected().all(response)
        except _EndlessError as error:
            return own_answer(500, f"The answer is streamed, and {error}: too much for a batch.")
    else:
        content = response.content  # type: ignore[attr-defined]
    return Answer(
        response.status_code,
        response.reason_phrase,
        list(response.items()),
        content,
        list(response.cookies.values()),
        core_settings.BATCH.MAX_RESULT_SIZE,
    )


class _EndlessError(Exception):
    """A stream that goes on for too long; the message says what is too much of it."""


class _Collected:
    """The parts of a streamed answer."""

    def __init__(self) -> None:
        self._content = bytearray()
        self._size = core_settings.BATCH.MAX_STREAM_SIZE
        self._seconds = core_settings.BATCH.MAX_STREAM_SECONDS
        self._end = time.monotonic() + self._seconds

    def all(self, response: Any) -> bytes:
        """Return the whole answer. Raises ``_EndlessError``."""
        if response.is_async:
            async_to_sync(self._add_all)(response.streaming_content)
        else:
            # A part that takes its time cannot be interrupted, any more than a view can.
            for chunk in response.streaming_content:
                self._add(chunk)
        return bytes(self._content)

    async def _add_all(self, parts: AsyncIterator[bytes]) -> None:
        limit = asyncio.timeout(self._end - time.monotonic())
        try:
            async with limit:
                async for chunk in parts:
                    self._add(chunk)
        except TimeoutError as error:
            raise (self._late() if limit.expired() else error) from error

    def _add(self, chunk: bytes) -> None:
        self._content += chunk
        if len(self._content) > self._size:
            raise _EndlessError(f"has more than {self._size} bytes")
        if time.monotonic() > self._end:
            raise self._late()

    def _late(self) -> _EndlessError:
        return _EndlessError(f"takes more than {self._seconds:g} seconds")


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
