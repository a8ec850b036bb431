"""JSONPath by ``jsonpath_ng``, all of it, with a limit on the work that a path may cause. Pure.

A few characters of JSONPath can ask for any amount of work: ``$.*.`parent`.*.`parent`.*`` visits a thousand rows a
thousand million times. So every part of a path counts what it does, in steps of about a microsecond, and stops when the
allowance of its batch is used up. Regular expressions are run by ``regex``, which can be stopped by the clock.
"""

import math
import operator
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import regex
from jsonpath_ng import Child, DatumInContext, Fields, Index, JSONPath, Root, This
from jsonpath_ng.ext import parser as grammar

MAX_LENGTH = 500
"""Characters of a path."""
MAX_TEXT = 100_000
"""Characters of a text that a regular expression is tried on."""
MAX_BITS = 10_000
"""Bits of an integer that arithmetic may give: fewer than Python refuses to write down."""

_SEVERAL = frozenset(["Descendants", "Wildcard", "Slice", "Filter", "_Union", "Keys", "Where", "WhereNot"])
_TEXT_PER_STEP = 100  # characters of a text that count as one step
_CHILDREN = ("left", "right", "target", "value")


class BadPathError(ValueError):
    """What is no path, or none that can be used here; the message says why."""


class PathFailedError(Exception):
    """A path that cannot be applied to a document, or not within the allowance; the message says why."""


@dataclass(slots=True)
class Allowance:
    """What the paths of a batch may still cost: steps, and seconds of regular expressions."""

    steps: int = 300_000
    seconds: float = 1.0

    def spend(self, steps: int) -> None:
        """Take ``steps`` off. Raises ``PathFailedError`` when nothing is left."""
        self.steps -= steps
        if self.steps < 0:
            raise PathFailedError("takes too long: with the other references of the batch it needs too many steps.")


@dataclass(slots=True)
class _Evaluation:
    document: Any
    allowance: Allowance


_evaluation: ContextVar[_Evaluation] = ContextVar("core.batch.jsonpath")


@dataclass(frozen=True, slots=True)
class Path:
    """A path that has been read."""

    text: str
    several: bool
    """Whether it may match several values."""
    _root: JSONPath = field(repr=False, compare=False)
    _steps: tuple[str | int, ...] | None
    """The names and places that it goes through one by one, if that is all."""

    def find(self, document: Any, allowance: Allowance) -> list[Any]:
        """Return what it matches in ``document``. Raises ``PathFailedError``."""
        if self._steps is not None:
            allowance.spend(len(self._steps) + 1)
            return _followed(self._steps, document)
        token = _evaluation.set(_Evaluation(document, allowance))
        try:
            return [match.value for match in self._root.find(document)]
        except PathFailedError:
            raise
        except Exception as error:  # whatever the library makes of values it did not expect
            raise PathFailedError("cannot be applied to the answer.") from error
        finally:
            _evaluation.reset(token)


@lru_cache(maxsize=1024)
def read(path: str) -> Path:
    """Read a path. Raises ``BadPathError``."""
    if len(path) > MAX_LENGTH:
        raise BadPathError(f"A JSONPath has at most {MAX_LENGTH} characters.")
    try:
        root = _Parser().parse(path)
        parts = list(_walk(root))
    except BadPathError:
        raise
    except Exception as error:  # the parser has a dozen kinds
        raise BadPathError(f"{path!r} is not a JSONPath: {error}") from error
    if any(part.kind == "_Intersect" for part in parts):
        raise BadPathError(f"{path!r} has a part, &, that the JSONPath library does not implement; write &&.")
    several = any(part.kind in _SEVERAL or part.width > 1 for part in parts if not part.inside)
    for part in parts:
        _limit(part)
    return Path(path, several, root, _steps(root))


class _Parser(grammar.ExtendedJsonPathParser):
    """The library's, but for `sub`, whose regular expressions nothing could stop."""

    def p_jsonpath_named_operator(self, p: Any) -> None:
        """jsonpath : NAMED_OPERATOR"""  # noqa: D400, D403, D415 - the grammar
        if str(p[1]).startswith("sub("):
            p[0] = _Substitution(p[1])
        else:
            super().p_jsonpath_named_operator(p)


class _Substitution(This):
    """`sub(/pattern/, replacement)`: matches the new text, and nothing where that is the old one."""

    def __init__(self, text: str) -> None:
        body = text.removeprefix("sub(/").removesuffix(")")
        pattern, comma, replacement = body.rpartition("/,")
        if not comma or not text.startswith("sub(/") or not text.endswith(")"):
            raise BadPathError(f"`{text[:80]}` is not of the form `sub(/pattern/, replacement)`.")
        self._pattern, self._replacement = _compiled(pattern.strip()), replacement.strip()

    def find(self, datum: Any) -> list[DatumInContext]:
        old = DatumInContext.wrap(datum).value
        if not isinstance(old, str):
            return []
        new = _timed(partial(self._pattern.sub, self._replacement), old)
        return [] if new == old else [DatumInContext.wrap(new)]


# --- The usual path ---


def _steps(node: Any) -> tuple[str | int, ...] | None:
    """Return the steps of a path such as ``$.results[0].id``; None for any other."""
    if isinstance(node, Root):
        return ()
    if not isinstance(node, Child) or (before := _steps(node.left)) is None:
        return None
    step = node.right
    names = step.fields if isinstance(step, Fields) else step.indices if isinstance(step, Index) else ()
    return (*before, names[0]) if len(names) == 1 else None


def _followed(steps: tuple[str | int, ...], document: Any) -> list[Any]:
    found = document
    try:
        for step in steps:
            container: Any = dict if isinstance(step, str) else list
            if not isinstance(found, container):
                return []
            found = found[step]
    except LookupError:
        return []
    return [found]


# --- Parts ---


@dataclass(frozen=True, slots=True)
class _Part:
    node: Any
    inside: bool  # of a filter
    weighed: bool  # whether what it finds is compared, so that its size counts

    @property
    def kind(self) -> str:
        return type(self.node).__name__

    @property
    def width(self) -> int:
        """How many names or indices stand at one place."""
        return len(getattr(self.node, "fields", ())) + len(getattr(self.node, "indices", ()))


def _walk(node: JSONPath, *, inside: bool = False, weighed: bool = False) -> Iterator[_Part]:
    kind = type(node).__name__
    yield _Part(node, inside, weighed or kind == "SortedThis")
    below = inside or kind in {"Filter", "SortedThis"}
    for name in _CHILDREN:
        if isinstance(child := getattr(node, name, None), JSONPath):
            # A condition does not add matches, nor does what is compared with.
            aside = kind in {"Where", "WhereNot"} and name == "right"
            compared = kind == "Expression" and isinstance(getattr(node, "value", None), JSONPath)
            yield from _walk(child, inside=below or aside, weighed=compared)
    for child in [*(getattr(node, "expressions", None) or ()), *(getattr(node, "operands", None) or ())]:
        if isinstance(child, tuple):  # of a sort: a path and a direction
            yield from _walk(child[0], inside=True, weighed=True)
        else:
            yield from _walk(child, inside=below)


def _limit(part: _Part) -> None:
    """Have a part count its steps, and replace what cannot be stopped."""
    node: Any = part.node
    match part.kind:
        case "Root":
            node.find = _root  # the library climbs to it, level by level
        case "Operation":
            node.op = _OPERATORS[node.op_symbol]
        case "Expression" if node.op == "=~":
            node.find = partial(_matching, node, _compiled(str(node.value)))
    node.find = partial(_counted, node.find, max(part.width, 1), part.weighed)


def _counted(find: Callable[[Any], Any], width: int, weighed: bool, datum: Any) -> list[DatumInContext]:
    allowance = _evaluation.get().allowance
    allowance.spend(width)
    found = find(datum)
    if not isinstance(found, list):
        found = [found]  # some parts return what they were given as it is
    allowance.spend(sum(_weight(match.value, weighed=weighed) for match in found))
    return found


def _weight(value: Any, *, weighed: bool) -> int:
    if isinstance(value, str):
        return 1 + len(value) // _TEXT_PER_STEP
    return _extent(value) if weighed and isinstance(value, list | dict) else 1


def _extent(value: Any) -> int:
    """Return how many values are in ``value``, as far as there are steps for them."""
    most, count, left = _evaluation.get().allowance.steps, 0, [value]
    while left and count <= most:
        each = left.pop()
        count += 1
        if isinstance(each, dict):
            left.extend(each.values())
        elif isinstance(each, list):
            left.extend(each)
        elif isinstance(each, str):
            count += len(each) // _TEXT_PER_STEP
    return count


def _root(_datum: Any) -> list[DatumInContext]:
    return [DatumInContext(_evaluation.get().document)]


# --- Regular expressions ---


def _compiled(pattern: str) -> "regex.Pattern[str]":
    try:
        return regex.compile(pattern)
    except Exception as error:
        raise BadPathError(f"{pattern!r} is not a regular expression: {error}") from error


def _matching(node: Any, pattern: "regex.Pattern[str]", datum: Any) -> list[DatumInContext]:
    found = node.target.find(DatumInContext.wrap(datum))
    return [match for match in found if isinstance(match.value, str) and _timed(pattern.search, match.value)]


def _timed(apply: Callable[..., Any], text: str) -> Any:
    """Apply a regular expression to ``text``. Raises ``PathFailedError`` if it takes too long."""
    if len(text) > MAX_TEXT:
        raise PathFailedError(f"applies a regular expression to a text of more than {MAX_TEXT} characters.")
    allowance = _evaluation.get().allowance
    began = time.perf_counter()
    try:
        return apply(text, timeout=max(allowance.seconds, 0.001))
    except TimeoutError as error:
        raise PathFailedError("takes too long: its regular expression needs too many steps.") from error
    finally:
        allowance.seconds -= time.perf_counter() - began


# --- Arithmetic ---


def _calculated(calculate: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    result = calculate(left, right)
    if isinstance(result, list):
        _evaluation.get().allowance.spend(len(result))
    elif isinstance(result, int) and result.bit_length() > MAX_BITS:
        raise PathFailedError(f"gives a number of more than {MAX_BITS} bits.")
    elif isinstance(result, float) and not math.isfinite(result):
        raise PathFailedError("gives a number that JSON cannot hold.")
    return result


def _product(left: Any, right: Any) -> Any:
    if isinstance(left, str | list) or isinstance(right, str | list):
        raise PathFailedError("multiplies a text or a list; only numbers are multiplied.")
    return left * right


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": partial(_calculated, operator.add),
    "-": partial(_calculated, operator.sub),
    "*": partial(_calculated, _product),
    "/": partial(_calculated, operator.truediv),
}
