"""What is kept of an answer, whether it may be kept, and how it comes back. Pure: no cache and no database in sight.

An entry in the cache is one string of bytes: a line of JSON, then the body as it was rendered. Nothing of it is ever
unpickled on the shared cache.
"""

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpResponse
from django.utils.cache import patch_vary_headers

KEPT_IN_KEY = frozenset({"accept", "accept-language", "host"})
"""Headers that every default key tells apart."""
OF_CALLERS = frozenset({"authorization", "cookie"})
"""Headers that name the caller."""
NEVER = frozenset({206, 304, 401, 412, 416, 428, 429})
"""Statuses that answer a single request, not all that have the same key (RFC 9111, section 3)."""
_LEFT_OUT = frozenset({"set-cookie", "age", "date", "content-length"})


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer. ``versions`` are the tokens of the tables it was read from, by their keys in the cache.

    ``made`` is when, in seconds since 1970. ``asks`` tells that its view asked an object permission. ``vary`` holds the
    values, in the request it answered, of the headers that its ``Vary`` names and the key does not tell apart.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    versions: Mapping[str, str]
    made: float = 0.0
    asks: bool = False
    vary: Mapping[str, str | None] = field(default_factory=dict)


def encode(entry: Entry) -> bytes:
    """Return ``entry`` as the cache keeps it."""
    head = [entry.status, dict(entry.headers), dict(entry.versions), entry.made, entry.asks, dict(entry.vary)]
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + entry.body


def decode(data: object) -> Entry | None:
    """Return the entry that ``encode`` made ``data`` of; None if it is anything else."""
    if not isinstance(data, bytes):
        return None
    head, newline, body = data.partition(b"\n")
    try:
        status, headers, versions, made, asks, vary = json.loads(head)
        if not (newline and isinstance(status, int) and isinstance(headers, dict) and isinstance(versions, dict)):
            return None
    except (ValueError, TypeError):
        return None
    return Entry(status, headers, body, versions, made, asks, vary)


def directives(response: Any) -> dict[str, str]:
    """Return the directives of a response's ``Cache-Control``, lower case, each with its value."""
    parts = (part.strip().lower().partition("=") for part in response.get("Cache-Control", "").split(","))
    return {name: value.strip('"') for name, _, value in parts if name}


def refusal(response: Any, *, errors: bool, shared: bool) -> str | None:
    """Return why ``response`` may not be kept; None if it may.

    ``errors`` allows statuses of 400 and above; ``shared`` tells that several callers would be given it.
    """
    told = directives(response)
    if getattr(response, "streaming", False):
        return "it is streamed"
    if response.status_code in NEVER or (response.status_code >= 400 and not errors):
        return f"its status is {response.status_code}"
    if response.cookies or response.has_header("Set-Cookie"):
        return "it sets cookies"
    if "no-store" in told:
        return "its Cache-Control says no-store"
    if shared and "private" in told:
        return "its Cache-Control says private"
    if "*" in vary_names(response):
        return "it varies on everything"
    return None


def lifetime(response: Any, timeout: int | None) -> int | None:
    """Return for how many seconds to keep ``response``: as long as its own ``max-age`` says, if that is shorter."""
    own = directives(response).get("max-age", "")
    if not own.isdigit() or own == "0":
        return timeout
    return int(own) if timeout is None else min(timeout, int(own))


def vary_names(response: Any) -> list[str]:
    """Return the names in a response's ``Vary``, lower case."""
    return [name.strip().lower() for name in response.get("Vary", "").split(",") if name.strip()]


def varying(response: Any, headers: Mapping[str, str], *, shared: bool) -> dict[str, str | None]:
    """Return the values in ``headers`` of what ``response`` varies on, as far as the key does not tell it apart."""
    known = KEPT_IN_KEY if shared else KEPT_IN_KEY | OF_CALLERS
    return {name: headers.get(name) for name in vary_names(response) if name not in known}


def answers(entry: Entry, headers: Mapping[str, str]) -> bool:
    """Tell whether ``entry`` answers a request with these ``headers`` (RFC 9111, section 4.1)."""
    return all(headers.get(name) == value for name, value in entry.vary.items())


def describe(response: Any, *, shared: bool) -> None:
    """Say in the headers of ``response`` what proxies may do with it, unless the view has said so itself.

    ``no-cache`` lets them keep it but not use it without asking: only here is known whether it is still true.
    """
    if not response.has_header("Cache-Control"):
        response["Cache-Control"] = "public, no-cache" if shared else "private, no-cache"
    if not shared:
        patch_vary_headers(response, ("Authorization", "Cookie"))


def keep(response: Any, versions: Mapping[str, str], *, asks: bool, vary: Mapping[str, str | None]) -> Entry:
    """Make an entry of a rendered ``response``."""
    headers = {name: value for name, value in response.items() if name.lower() not in _LEFT_OUT}
    return Entry(response.status_code, headers, bytes(response.content), versions, time.time(), asks, vary)


def give(entry: Entry, *, kept: bool) -> HttpResponse:
    """Make a response of ``entry``; ``kept`` tells that it comes from the cache, and then it tells its age."""
    response = HttpResponse(entry.body, status=entry.status, headers=dict(entry.headers))
    if "Content-Type" not in entry.headers:
        del response.headers["Content-Type"]
    if kept:
        response.headers["Age"] = str(max(0, int(time.time() - entry.made)))
    return response


def remember(known: frozenset[str], used: Collection[str], limit: int = 64) -> frozenset[str]:
    """Return the tables that a view's action reads, as far as was seen: those of this answer, and of earlier ones."""
    return known if known.issuperset(used) else frozenset(used) | known if len(known) < limit else frozenset(used)
