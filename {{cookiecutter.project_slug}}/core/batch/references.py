"""References: ``{result=NAME:PATH}`` in texts and JSON values, and what is filled in for them.

``PATH`` is a JSONPath into the answer's body, or ``$headers.NAME`` for one of its headers. ``{{result=`` stands for a
literal ``{result=``. Pure: text in, values out. Described in ``docs/batch.md``.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from core.batch import jsonpath

MAX_DEPTH = 100
"""Levels of a body in which references are looked for."""

_START = re.compile(r"\{?\{result=")
_HEADER = re.compile(r"""\$headers(?:\.([\w-]+)|\[(["'])([\w-]+)\2\])\Z""")


class BadReferenceError(ValueError):
    """A reference that cannot be read; the message says why."""


class UnresolvedError(Exception):
    """A reference for which nothing can be filled in; the message says why."""


class Result(Protocol):
    """What a reference needs to know of an answer."""

    def json(self) -> Any:
        """Return the body. Raises ``UnresolvedError`` if it is not JSON or too large."""
        ...

    def header(self, name: str) -> str | None:
        """Return the value of a header, whatever the case of its name."""
        ...


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference: the item that it names, and what it wants of the answer."""

    name: str
    text: str
    header: str | None = None
    path: jsonpath.Path | None = None

    @property
    def several(self) -> bool:
        """Whether it may match several values."""
        return self.path is not None and self.path.several

    def matches(self, result: Result, allowance: jsonpath.Allowance) -> list[Any]:
        """Return everything in ``result`` that it leads to. Raises ``UnresolvedError`` if that is nothing."""
        found: list[Any] = []
        if self.path is not None:
            document = result.json()
            try:
                found = self.path.find(document, allowance)
            except jsonpath.PathFailedError as error:
                raise UnresolvedError(f"{self} {error}") from error
        elif (value := result.header(self.header or "")) is not None:
            found = [value]
        if not found:
            raise UnresolvedError(f"{self} matches nothing.")
        return found

    def value(self, result: Result, allowance: jsonpath.Allowance) -> Any:
        """Return the one value of a definite path, a list for a path that may match several."""
        found = self.matches(result, allowance)
        return found if self.several or len(found) > 1 else found[0]

    def texts(self, result: Result, allowance: jsonpath.Allowance) -> list[str]:
        """Return what stands in a longer text: a text per match, a list counting as its members."""
        found = self.matches(result, allowance)
        if not self.several and len(found) == 1 and isinstance(found[0], list):
            found = found[0]
        return [each if isinstance(each, str) else compact(each) for each in found]

    def __str__(self) -> str:
        return f"{{result={self.name}:{self.text}}}"


@dataclass(frozen=True, slots=True)
class Text:
    """A text with references in it."""

    parts: tuple[str | Reference, ...]

    @property
    def references(self) -> Iterator[Reference]:
        """The references, as they stand."""
        return (part for part in self.parts if isinstance(part, Reference))

    @property
    def whole(self) -> Reference | None:
        """The reference, if the text is nothing but one."""
        return self.parts[0] if len(self.parts) == 1 and isinstance(self.parts[0], Reference) else None

    def plain(self, stand_in: str = "") -> str:
        """Return the text with ``stand_in`` for each reference."""
        if len(self.parts) == 1 and isinstance(self.parts[0], str):
            return self.parts[0]
        return "".join(part if isinstance(part, str) else stand_in for part in self.parts)


# Made once: `json.dumps` would make an encoder for each value.
_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def compact(value: Any) -> str:
    """Return ``value`` as JSON without blanks; characters beyond ASCII stay as they are."""
    return _json(value)


def read_text(text: str) -> Text:
    """Find the references in ``text``. Raises ``BadReferenceError``."""
    if "{result=" not in text:
        return Text((text,))
    parts: list[str | Reference] = []
    plain, position = "", 0
    while found := _START.search(text, position):
        plain += text[position : found.start()]
        if found[0] == "{{result=":
            plain, position = plain + "{result=", found.end()
            continue
        end = _end(text, found.end())
        if plain:
            parts.append(plain)
        parts.append(_reference(text[found.end() : end]))
        plain, position = "", end + 1
    plain += text[position:]
    if plain or not parts:
        parts.append(plain)
    return Text(tuple(parts))


def _end(text: str, start: int) -> int:
    """Return the place of the brace that closes a reference; braces between quotes belong to the path."""
    quote = ""
    for place in range(start, len(text)):
        character = text[place]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"`":
            quote = character
        elif character == "}":
            return place
    raise BadReferenceError(f"The reference {text[start - 8 : start + 40]!r} is not closed by a brace.")


def _reference(inner: str) -> Reference:
    name, colon, path = inner.partition(":")
    if not colon or not name or not path:
        raise BadReferenceError(f"{{result={inner[:80]}}} is not of the form {{result=NAME:JSONPATH}}.")
    if header := _HEADER.match(path):
        return Reference(name, path, header=(header[1] or header[3]).lower())
    try:
        return Reference(name, path, path=jsonpath.read(path))
    except jsonpath.BadPathError as error:
        raise BadReferenceError(str(error)) from error


def read_value(value: Any, depth: int = 0) -> Any:
    """Return ``value``, any JSON, with a ``Text`` for each string and key that has references.

    Raises ``BadReferenceError``, also for what is nested too deeply.
    """
    if depth > MAX_DEPTH:
        raise BadReferenceError(f"It is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, str):
        return _read_string(value)
    if isinstance(value, list):
        return [read_value(each, depth + 1) for each in value]
    if isinstance(value, dict):
        return {_read_string(key): read_value(each, depth + 1) for key, each in value.items()}
    return value


def _read_string(value: str) -> str | Text:
    if "{result=" not in value:
        return value
    text = read_text(value)
    return text if any(text.references) else text.plain()


def count_references(raw: Any) -> int:
    """Return how often a reference begins in the strings of ``raw``, any JSON."""
    count, left = 0, [raw]
    while left:
        each = left.pop()
        if isinstance(each, str):
            count += each.count("{result=")
        elif isinstance(each, list):
            left += each
        elif isinstance(each, dict):
            left += each
            left += each.values()
    return count


def references(value: Any) -> Iterator[Reference]:
    """Yield the references in what ``read_value`` has returned."""
    if isinstance(value, Text):
        yield from value.references
    elif isinstance(value, list):
        for each in value:
            yield from references(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from references(key)
            yield from references(each)


class Resolver:
    """Fills references in, from ``results`` by name, until ``budget`` characters have been inserted.

    ``allowance`` is what their paths may cost. Every method raises ``UnresolvedError`` where nothing can be filled in.
    """

    def __init__(self, results: Mapping[str, Result], budget: int, allowance: jsonpath.Allowance) -> None:
        self._results = results
        self._budget = budget
        self._allowance = allowance

    def value(self, value: Any) -> Any:
        """Return a JSON value: a text that is one reference becomes what it refers to, any other is filled in."""
        if isinstance(value, Text):
            if (whole := value.whole) is None:
                return self.text(value)
            found = whole.value(self._results[whole.name], self._allowance)
            self._spend(compact(found))
            return found
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if isinstance(value, dict):
            return {self.text(key) if isinstance(key, Text) else key: self.value(each) for key, each in value.items()}
        return value

    def text(self, text: Text, encode: Callable[[str], str] = str) -> str:
        """Return a text with the matches of each reference, joined by commas, each passed through ``encode``."""
        return "".join(part if isinstance(part, str) else self._joined(part, encode) for part in text.parts)

    def json_text(self, text: Text) -> str:
        """Return a text with each reference as JSON."""
        return "".join(part if isinstance(part, str) else self._as_json(part) for part in text.parts)

    def _joined(self, reference: Reference, encode: Callable[[str], str]) -> str:
        joined = ",".join(encode(each) for each in reference.texts(self._results[reference.name], self._allowance))
        return self._spend(joined)

    def _as_json(self, reference: Reference) -> str:
        return self._spend(compact(reference.value(self._results[reference.name], self._allowance)))

    def _spend(self, text: str) -> str:
        self._budget -= len(text)
        if self._budget < 0:
            raise UnresolvedError("What the references lead to is too large.")
        return text
