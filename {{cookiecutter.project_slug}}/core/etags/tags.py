"""Entity tags: what they are made of, how they are written, and when two are the same. Pure (RFC 9110, section 8.8.3).

Our own tags are ``"<digest>-<format>"``. On a write the digest alone counts: who read JSON may write and accept XML.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ANY = "*"
_ITEM = re.compile(r'(?P<weak>W/)?"(?P<quoted>[^"]*)"|(?P<bare>[^\s,"]+)')
_WRITTEN = re.compile(r'(W/)?"[\x20\x21\x23-\x7e]*"')
_PLAIN = re.compile(r"[\x20\x21\x23-\x7e]+")
_COMPRESSED = (";gzip", "-gzip")
"""What proxies, and Django before 1.11, append to the tag of an answer that they compress."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One entity tag: its value without quotes, and whether it is weak."""

    value: str
    weak: bool = False


def parse(header: str) -> list[Tag] | str:
    """Return the tags in the value of ``If-Match`` or ``If-None-Match``, or ``ANY``. Quotes may be missing."""
    if header.strip() == ANY:
        return ANY
    found = _ITEM.finditer(header)
    return [
        Tag(match["quoted"] if match["quoted"] is not None else match["bare"].removeprefix("W/"), _is_weak(match))
        for match in found
    ]


def _is_weak(match: "re.Match[str]") -> bool:
    return bool(match["weak"]) or (match["bare"] or "").startswith("W/")


def written(value: object) -> str:
    """Return ``value`` as it stands in ``ETag``: in quotes, unless it is; digested, if it has characters of its own."""
    text = str(value)
    if _WRITTEN.fullmatch(text):
        return text
    if not _PLAIN.fullmatch(text):
        text = hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    return f'"{text}"'


def suffix(request: Any) -> str:
    """Return what the format adds to a tag: its name, and a digest of the media type's parameters, if it has any."""
    renderer = getattr(request, "accepted_renderer", None)
    if renderer is None:
        return ""
    _, _, parameters = str(getattr(request, "accepted_media_type", None) or "").partition(";")
    if not parameters:
        return f"-{renderer.format}"
    return f"-{renderer.format}.{hashlib.md5(parameters.encode(), usedforsecurity=False).hexdigest()[:8]}"


def state_of(value: str) -> str:
    """Return the part of a tag of ours that does not depend on the format."""
    return value.partition("-")[0]


Same = Callable[[str, str], bool]


def same(one: str, other: str) -> bool:
    """Tell whether two values are the same, whatever compressed the answer in between."""
    return one == other or any(one.removesuffix(each) == other for each in _COMPRESSED)


def same_state(one: str, other: str) -> bool:
    """Tell whether two values of ours stand for the same state, in whichever formats."""
    return state_of(one) == state_of(other)


def reduced(header: str, current: str, matching: Same, *, strong: bool) -> str:
    """Return what ``header`` comes to when compared with ``current``: ``"*"``, ``'"current"'`` or ``'"other"'``.

    Django's rules of precedence are then applied to that. ``strong`` is the comparison that ``If-Match`` asks for; it
    takes the weak form of a strong tag too, because behind gzip no client ever sees another.
    """
    if header == current and not (strong and current.startswith("W/")):
        return '"current"'
    tags = parse(header)
    if isinstance(tags, str) or not tags:
        return ANY if tags == ANY else ""
    mine = parse(current)[0]
    if not isinstance(mine, Tag) or (strong and mine.weak):
        return '"other"'
    return '"current"' if any(matching(tag.value, mine.value) for tag in tags) else '"other"'
