"""Which URLs an item may have: paths of this site, with a query. Pure."""

import re
import string
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

# Everything that has a meaning in a URL stays; what remains to be encoded is what lies beyond ASCII.
_KEPT = string.punctuation
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL_OR_BLANK = re.compile(r"[\x00-\x20\x7f]")
# Nearly every URL: nothing in it has to be decoded or judged.
_PLAIN = re.compile(r"(?=/)(?:/[\w~-][\w.~-]*)*/?(?:\?[\w=&.,~*+-]*)?\Z", re.ASCII)
_OUT_OF_SEGMENT = re.compile(rb"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be called: its path, decoded, and its query, as it stands behind the question mark."""

    path: bytes
    query: str


def target(url: str) -> Target:
    """Take ``url`` apart. Raises ``ValueError``, with a sentence for the caller, for what is no path of this site."""
    if _PLAIN.match(url):
        path, _, query = url.partition("?")
        return Target(path.encode(), query)
    if not url.startswith("/") or url.startswith("//"):
        raise ValueError("A URL is a path of this site: it starts with one slash, without scheme and host.")
    if _CONTROL_OR_BLANK.search(url):
        raise ValueError("A URL has neither blanks nor control characters; encode a blank as %20.")
    if "#" in url:
        raise ValueError("A URL has no fragment; encode '#' as %23.")
    try:
        url = quote(url, safe=_KEPT)
    except UnicodeEncodeError as error:
        raise ValueError("The URL is not valid text.") from error
    path, _, query = url.partition("?")
    return Target(_path(path), query)


def _path(path: str) -> bytes:
    if _BAD_ESCAPE.search(path):
        raise ValueError("The path has a percent sign that starts no escape; encode it as %25.")
    segments = [unquote_to_bytes(segment) for segment in path.split("/")]
    for segment in segments:
        if b"/" in segment or _OUT_OF_SEGMENT.search(segment):
            raise ValueError("A part of the path holds a slash, a backslash or a control character.")
        if segment in {b".", b".."}:
            raise ValueError("The path has a dot segment.")
    return b"/".join(segments)
