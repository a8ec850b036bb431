"""What is kept of an answer, whether it may be kept, and how it comes back. Pure: no cache and no database in sight.

An entry in the cache is one string of bytes: a line of JSON, then the body as it was rendered. Nothing of it is ever
unpickled on the shared cache.
"""

import hashlib
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from django.http import HttpResponse
from django.http.response import ResponseHeaders
from django.utils.cache import patch_vary_headers

NEVER = frozenset({206, 304, 401, 412, 416, 428, 429})
"""Statuses that answer a single request, not all that have the same key (RFC 9111, section 3)."""
_LEFT_OUT = frozenset({"set-cookie", "age", "date", "content-length"})


@dataclass(frozen=True, slots=True)
class Head:
    """All of an answer but its body. ``versions`` are the tokens of the tables it was read from, by their keys.

    ``made`` is when, in seconds since 1970. ``asks`` tells that its view asked an object permission. ``vary`` holds
    digests of the values, in the request it answered, of the headers that it varies on and the key does not tell apart.
    """

    status: int
    headers: Mapping[str, str]
    versions: Mapping[str, str]
    made: float = 0.0
    asks: bool = False
    vary: Mapping[str, str | None] = field(default_factory=dict)
    ready: dict[str, tuple[str, str]] = field(init=False, repr=False, compare=False)
    """The headers as Django keeps them, judged once for all answers that are made of this."""

    def __post_init__(self) -> None:
        """Raise ``BadHeaderError`` for a header that would end before it ends."""
        object.__setattr__(self, "ready", ResponseHeaders(self.headers)._store)  # noqa: SLF001


class Entry(NamedTuple):
    """An answer."""

    head: Head
    body: bytes


def encode(entry: Entry) -> bytes:
    """Return ``entry`` as the cache keeps it."""
    head = entry.head
    parts = [head.status, dict(head.headers), dict(head.versions), head.made, head.asks, dict(head.vary)]
    return json.dumps(parts, separators=(",", ":")).encode() + b"\n" + entry.body


def decode(data: object) -> Entry | None:
    """Return the entry that ``encode`` made ``data`` of; None if it is anything else."""
    if not isinstance(data, bytes):
        return None
    end = data.find(b"\n")
    head = _head(data[:end]) if end >= 0 else None
    return None if head is None else Entry(head, data[end + 1 :])


@lru_cache(maxsize=1024)
def _head(text: bytes) -> Head | None:
    """Read a head. Those of answers that are asked for again and again are remembered."""
    try:
        status, headers, versions, made, asks, vary = json.loads(text)
        if not (isinstance(status, int) and isinstance(headers, dict) and isinstance(versions, dict)):
            return None
        return Head(status, headers, versions, made, asks, vary)
    except (ValueError, TypeError):
        return None


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


def varying(names: Collection[str], headers: Mapping[str, str]) -> dict[str, str | None]:
    """Return digests of the values in ``headers`` of the ``names``, which may be those of credentials."""
    return {name: _digest(headers.get(name)) for name in names}


def answers(head: Head, headers: Mapping[str, str]) -> bool:
    """Tell whether an entry with this ``head`` answers a request with these ``headers`` (RFC 9111, section 4.1)."""
    return all(_digest(headers.get(name)) == value for name, value in head.vary.items())


def _digest(value: str | None) -> str | None:
    return None if value is None else hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


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
    return Entry(Head(response.status_code, headers, versions, time.time(), asks, vary), bytes(response.content))


def give(entry: Entry, *, kept: bool) -> HttpResponse:
    """Make a response of ``entry``; ``kept`` tells that it comes from the cache, and then it tells its age."""
    head = entry.head
    response = HttpResponse(entry.body, status=head.status, content_type="")
    store = dict(head.ready)
    if kept:
        store["age"] = ("Age", str(max(0, int(time.time() - head.made))))
    # Past the setter, which would judge every header again.
    response.headers._store = store  # noqa: SLF001
    return response


def remember(known: frozenset[str], used: Collection[str], limit: int = 64) -> frozenset[str]:
    """Return the tables that a view's action reads, as far as was seen: those of this answer, and of earlier ones."""
    return known if known.issuperset(used) else frozenset(used) | known if len(known) < limit else frozenset(used)
