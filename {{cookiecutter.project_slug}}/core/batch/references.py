"""References: ``{result=NAME:PATH}`` in texts and JSON values, and what is filled in for them.

``PATH`` is a JSONPath into the answer's body, or ``$headers.NAME`` for one of its headers. ``{{result=`` stands for a
literal ``{result=``. Pure: text in, values out. Described in ``docs/batch.md``.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from jsonpath_ng import JSONPath
from jsonpath_ng.ext.parser import parse as parse_jsonpath

MAX_PATH_LENGTH = 500
"""Characters of a JSONPath."""
MAX_DEPTH = 100
"""Levels of a body in which references are looked for."""

_START = re.compile(r"\{?\{result=")
_HEADER = re.compile(r"""\$headers(?:\.([\w-]+)|\[(["'])([\w-]+)\2\])\Z""")
# What a path may be made of. Missing, because their cost is not bounded by the size of the answer: arithmetic (a text
# times a number), regular expressions, `parent`, where and intersections.
_PARTS = frozenset(
    [
        "Root",
        "This",
        "Child",
        "Descendants",
        "Fields",
        "Wildcard",
        "Index",
        "Slice",
        "Filter",
        "Expression",
        "And",
        "Or",
        "_Union",
        "Len",
        "Keys",
        "SortedThis",
    ]
)
_SEVERAL = frozenset(["Descendants", "Wildcard", "Slice", "Filter", "_Union", "Keys"])


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
    path: str
    header: str | None
    expression: JSONPath | None
    several: bool

    def matches(self, result: Result) -> list[Any]:
        """Return everything in ``result`` that the path leads to. Raises ``UnresolvedError`` if that is nothing."""
        if self.header is not None:
            value = result.header(self.header)
            found = [] if value is None else [value]
        else:
            assert self.expression is not None  # noqa: S101 - for the type checker; one of the two is set
            document = result.json()
            try:
                found = [match.value for match in self.expression.find(document)]
            except Exception as error:  # whatever the library makes of values it did not expect
                raise UnresolvedError(f"{self} cannot be applied to the answer.") from error
        if not found:
            raise UnresolvedError(f"{self} matches nothing.")
        return found

    def value(self, result: Result) -> Any:
        """Return the one value of a definite path, a list for a path that may match several."""
        found = self.matches(result)
        return found if self.several or len(found) > 1 else found[0]

    def texts(self, result: Result) -> list[str]:
        """Return what stands in a longer text: a text per match, a list counting as its members."""
        found = self.matches(result)
        if not self.several and len(found) == 1 and isinstance(found[0], list):
            found = found[0]
        return [each if isinstance(each, str) else compact(each) for each in found]

    def __str__(self) -> str:
        return f"{{result={self.name}:{self.path}}}"


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
        return "".join(part if isinstance(part, str) else stand_in for part in self.parts)


def compact(value: Any) -> str:
    """Return ``value`` as JSON without blanks; characters beyond ASCII stay as they are."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def read_text(text: str) -> Text:
    """Find the references in ``text``. Raises ``BadReferenceError``."""
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
        return Reference(name, path, (header[1] or header[3]).lower(), None, several=False)
    expression, several = _expression(path)
    return Reference(name, path, None, expression, several)


@lru_cache(maxsize=1024)
def _expression(path: str) -> tuple[JSONPath, bool]:
    """Parse a JSONPath; tell too whether it may match several values. Raises ``BadReferenceError``."""
    if len(path) > MAX_PATH_LENGTH:
        raise BadReferenceError(f"A JSONPath has at most {MAX_PATH_LENGTH} characters.")
    try:
        expression = parse_jsonpath(path)
    except Exception as error:  # the parser has a dozen kinds
        raise BadReferenceError(f"{path!r} is not a JSONPath: {error}") from error
    parts = list(_walk(expression))
    for kind, inside in parts:
        if kind not in _PARTS or (inside and kind == "Root"):
            raise BadReferenceError(f"{path!r} has a part ({kind}) that is not allowed here.")
    kinds = [kind for kind, _ in parts]
    if kinds.count("Descendants") > 2:
        raise BadReferenceError(f"{path!r} descends ('..') more than twice.")
    several = any(kind in _SEVERAL for kind, inside in parts if not inside)
    return expression, several or _names_several(expression)


def _walk(node: Any, *, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield the kind of each part of a path, and whether it stands in a filter."""
    kind = type(node).__name__
    yield ("=~" if getattr(node, "op", None) == "=~" else kind), inside
    if isinstance(node, JSONPath):
        below = inside or kind == "Filter"
        children: list[Any] = [getattr(node, each, None) for each in ("left", "right", "target", "value")]
        children += getattr(node, "expressions", None) or []
        children += getattr(node, "operands", None) or []
        for child in children:
            if isinstance(child, JSONPath):
                yield from _walk(child, inside=below)


def _names_several(node: Any) -> bool:
    """Tell whether a path names several fields or indices at one place, or all of them."""
    fields = getattr(node, "fields", ())
    if len(fields) > 1 or "*" in fields or len(getattr(node, "indices", ())) > 1:
        return True
    return any(_names_several(child) for each in ("left", "right") if (child := getattr(node, each, None)) is not None)


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

    Every method raises ``UnresolvedError`` where nothing can be filled in.
    """

    def __init__(self, results: Mapping[str, Result], budget: int) -> None:
        self._results = results
        self._budget = budget

    def value(self, value: Any) -> Any:
        """Return a JSON value: a text that is one reference becomes what it refers to, any other is filled in."""
        if isinstance(value, Text):
            if (whole := value.whole) is None:
                return self.text(value)
            found = whole.value(self._results[whole.name])
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
        joined = ",".join(encode(each) for each in reference.texts(self._results[reference.name]))
        return self._spend(joined)

    def _as_json(self, reference: Reference) -> str:
        return self._spend(compact(reference.value(self._results[reference.name])))

    def _spend(self, text: str) -> str:
        self._budget -= len(text)
        if self._budget < 0:
            raise UnresolvedError("What the references lead to is too large.")
        return text
