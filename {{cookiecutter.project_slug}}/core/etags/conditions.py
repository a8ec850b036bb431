"""Judges the conditions of a request: Django's own rules of RFC 9110, section 13.2.2, on what the tags come to."""

from types import SimpleNamespace
from typing import Any

from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import parse_http_date_safe

from core.etags.tags import ANY, Same, reduced
from core.keys.passing import SAFE

CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE")
_OTHERS = ("HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE")
_CURRENT = '"current"'
_OF_304 = frozenset({"cache-control", "content-location", "date", "etag", "expires", "last-modified", "vary"})
"""Headers of the 200 that a 304 has too (RFC 9110, section 15.4.5)."""


def is_conditional(request: Any) -> bool:
    """Tell whether ``request``, of Django or DRF, has a condition."""
    return not request.META.keys().isdisjoint(CONDITIONS)


def judged(request: Any, tag: str | None, matching: Same, response: Any = None, *, modified: str | None = None) -> Any:
    """Return the answer that the conditions of ``request`` ask for: a 304, a 412, or ``response`` as it is.

    ``tag`` is that of the current representation, None if there is none. Dates are compared with the ``Last-Modified``
    of ``response``, or with ``modified`` where that is not at hand; without one they are ignored (sections 13.1.3 and
    13.1.4).
    """
    meta = request.META
    header = meta.get("HTTP_IF_NONE_MATCH")
    if (
        header
        and tag is not None
        and response is not None
        and request.method in SAFE
        and meta.keys().isdisjoint(_OTHERS)
    ):
        # By far the most frequent: a reader asks whether what it has is current. ``If-Modified-Since`` does not count.
        found = reduced(str(header), tag, matching, strong=False)
        if found:
            return _unchanged(response) if found in {ANY, _CURRENT} else response
    return _by_django(request, tag, matching, response, modified)


def _unchanged(response: HttpResponse) -> HttpResponse:
    """Return a 304 instead of ``response``, which stays as it is."""
    unchanged = HttpResponse(status=304, content_type="")
    # Past the setter, which would judge every header again.
    store = response.headers._store  # noqa: SLF001
    unchanged.headers._store = {name: store[name] for name in store if name in _OF_304}  # noqa: SLF001
    unchanged.cookies = response.cookies
    return unchanged


def _by_django(request: Any, tag: str | None, matching: Same, response: Any, modified: str | None = None) -> Any:
    if response is not None:
        modified = response.get("Last-Modified")
    date = parse_http_date_safe(modified) if modified else None
    asked: Any = SimpleNamespace(method=request.method, path=request.path)
    asked.META = {
        "HTTP_IF_MATCH": _reduced(request, "HTTP_IF_MATCH", tag, matching),
        "HTTP_IF_NONE_MATCH": _reduced(request, "HTTP_IF_NONE_MATCH", tag, matching),
    }
    if date is not None:
        for name in ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE"):
            asked.META[name] = request.META.get(name, "")
    found = get_conditional_response(asked, None if tag is None else _CURRENT, date, response)
    if tag is not None and found is not None and found.status_code == 304:
        found["ETag"] = tag
    return found


def _reduced(request: Any, name: str, tag: str | None, matching: Same) -> str:
    header = str(request.META.get(name, ""))
    if not header or tag is None:
        return header
    return reduced(header, tag, matching, strong=name == "HTTP_IF_MATCH")
