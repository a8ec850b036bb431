"""Judges the conditions of a request: Django's own rules of RFC 9110, section 13.2.2, on what the tags come to."""

from types import SimpleNamespace
from typing import Any

from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import parse_http_date_safe

from core.etags.tags import Same, reduced

CONDITIONS = ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since")
_CURRENT = '"current"'


def is_conditional(request: Any) -> bool:
    """Tell whether ``request`` has a condition."""
    return any(name in request.headers for name in CONDITIONS)


def judged(request: Any, tag: str | None, matching: Same, response: Any = None) -> Any:
    """Return the answer that the conditions of ``request`` ask for: a 304, a 412, or ``response`` as it is.

    ``tag`` is that of the current representation, None if there is none. Dates are compared with the ``Last-Modified``
    of ``response``; without one they are ignored (sections 13.1.3 and 13.1.4).
    """
    modified = parse_http_date_safe(response["Last-Modified"]) if _has(response, "Last-Modified") else None
    asked: Any = SimpleNamespace(method=request.method, path=request.path)
    asked.META = {
        "HTTP_IF_MATCH": _reduced(request, "If-Match", tag, matching),
        "HTTP_IF_NONE_MATCH": _reduced(request, "If-None-Match", tag, matching),
    }
    if modified is not None:
        for name in ("If-Modified-Since", "If-Unmodified-Since"):
            asked.META[f"HTTP_{name.upper().replace('-', '_')}"] = request.headers.get(name, "")
    found = get_conditional_response(asked, None if tag is None else _CURRENT, modified, response)
    if tag is not None and found is not None and found.status_code == 304:
        found["ETag"] = tag
    return found


def _reduced(request: Any, name: str, tag: str | None, matching: Same) -> str:
    header = str(request.headers.get(name, ""))
    if not header or tag is None:
        return header
    return reduced(header, tag, matching, strong=name == "If-Match")


def _has(response: HttpResponse | None, name: str) -> bool:
    return response is not None and response.has_header(name)
