"""The body of an item: how it is read from the batch, and which bytes it becomes. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import quote_plus, urlencode

from core.batch.references import BadReferenceError, Reference, Resolver, Text, compact, read_text, read_value
from core.batch.references import references as references_in

JSON = "application/json"
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


# Made once: `json.dumps` would make an encoder for each body.
_json = json.JSONEncoder(separators=(",", ":")).encode


class Form(Enum):
    """How a body is written."""

    JSON = "a JSON value"
    JSON_TEXT = "a text that becomes JSON when its references are filled in"
    TEXT = "any other text"
    FIELDS = "the fields of a form"


@dataclass(frozen=True, slots=True)
class Body:
    """A body, read but with its references open."""

    form: Form
    value: Any
    media_type: str

    @property
    def references(self) -> Iterator[Reference]:
        """The references in it."""
        return references_in(self.value)


def read_body(raw: Any, content_type: str | None, *, has_files: bool) -> Body | None:
    """Return the body of an item, or None if it has none.

    ``content_type`` is the item's own header, if it has one; ``has_files`` tells whether files go with the body.
    Raises ``BadReferenceError``, and ``ValueError`` for a body that does not fit its type.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if has_files and media_type not in {"", MULTIPART}:
        raise ValueError(f"Attached files are sent as {MULTIPART}: leave the Content-Type out.")
    if has_files or media_type == MULTIPART:
        return _read_fields(raw, MULTIPART)
    if raw is None:
        return None
    if not isinstance(raw, str):
        if media_type == URLENCODED:
            return _read_fields(raw, URLENCODED)
        return Body(Form.JSON, read_value(raw), media_type or JSON)
    return _read_string(raw, media_type or JSON)


def _read_fields(raw: Any, media_type: str) -> Body:
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            raw = ""
    raw = {} if raw is None else raw
    if not isinstance(raw, dict):
        raise ValueError(f"The body of {media_type} is an object: a value for each field.")  # noqa: TRY004 - input
    return Body(Form.FIELDS, read_value(raw), media_type)


def _read_string(raw: str, media_type: str) -> Body:
    raw.encode()  # UnicodeEncodeError, which is a ValueError, for half a character
    is_json = media_type == JSON or media_type.endswith("+json")
    if "{result=" not in raw:
        return Body(Form.TEXT, Text((raw,)), media_type)
    if not is_json:
        return Body(Form.TEXT, read_text(raw), media_type)
    try:
        return Body(Form.JSON, read_value(json.loads(raw)), media_type)
    except BadReferenceError:
        raise
    except (ValueError, RecursionError):
        text = read_text(raw)
    return Body(Form.JSON if text.whole else Form.JSON_TEXT, text, media_type)


def encode_body(body: Body, resolver: Resolver) -> bytes:
    """Return the bytes of a body that is not multipart. Raises ``UnresolvedError``."""
    if body.form is Form.FIELDS:
        return urlencode(fields(resolver.value(body.value))).encode()
    if body.form is Form.JSON:
        # Escapes, because half a character has no encoding of its own.
        return _json(resolver.value(body.value)).encode()
    if body.form is Form.JSON_TEXT:
        return resolver.json_text(body.value).encode(errors="replace")
    encode = quote_plus if body.media_type == URLENCODED else str
    return resolver.text(body.value, encode).encode(errors="replace")


def fields(value: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the fields of a form as names and texts.

    A list is a field that repeats; null is an empty text; numbers, booleans and objects are written as JSON.
    """
    found: list[tuple[str, str]] = []
    for name, each in value.items():
        members = each if isinstance(each, list) else [each]
        found += [(name, _field(member)) for member in members]
    return found


def _field(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else compact(value)
