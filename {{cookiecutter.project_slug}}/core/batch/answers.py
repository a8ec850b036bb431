"""What an item answered, and how the batch tells of it. Pure."""

import base64
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any

from core.batch.items import Item
from core.batch.references import UnresolvedError

FAILED_FROM = 400
"""An answer with this status or a higher one is a failure."""

_TEXTUAL = re.compile(
    r"text/.*|application/(.*\+)?(json|xml)|image/svg\+xml|application/(javascript|x-www-form-urlencoded|yaml)\Z"
)
_CHARSET = re.compile(r"""charset=["']?([\w.:-]+)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Failure:
    """The item because of which others were not done."""

    index: int
    name: str | None
    code: int

    def __str__(self) -> str:
        return f"item {self.index}" if self.name is None else f'item {self.index} ("{self.name}")'


@dataclass(eq=False)
class Answer:
    """An answer, complete. ``headers`` are without cookies, which belong to the browser."""

    code: int
    reason: str
    headers: Sequence[tuple[str, str]]
    content: bytes
    cookies: Sequence[Any] = ()
    max_result_size: int = 2**20
    seconds: float = 0.0
    failure: Failure | None = field(default=None)
    """Set if it is an answer for an item that was not done, because of another."""

    @property
    def failed(self) -> bool:
        """Whether this is a failure."""
        return self.code >= FAILED_FROM

    def header(self, name: str) -> str | None:
        """Return the value of a header, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self) -> Any:
        """Return the body. Raises ``UnresolvedError`` if it is not JSON or too large."""
        if len(self.content) > self.max_result_size:
            raise UnresolvedError(f"The answer has more than {self.max_result_size} bytes: too many to refer to.")
        try:
            return self._document
        except (ValueError, RecursionError) as error:
            raise UnresolvedError("The answer referred to is not JSON.") from error

    @cached_property
    def _document(self) -> Any:
        return json.loads(self.content)


def own_answer(code: int, detail: str, failure: Failure | None = None) -> Answer:
    """Return an answer that the batch itself gives for an item; ``failure`` is the item to blame, if it is another."""
    body: dict[str, Any] = {"detail": detail}
    if failure:
        body["failed"] = {"index": failure.index, "name": failure.name, "code": failure.code}
    content = json.dumps(body, separators=(",", ":")).encode()
    return Answer(code, HTTPStatus(code).phrase, [("Content-Type", "application/json")], content, failure=failure)


def not_done(failure: Failure, *, undone: bool = False) -> Answer:
    """Return the 424 of an item that did not run, or was rolled back, because of another."""
    what = "Rolled back" if undone else "Not run"
    return own_answer(HTTPStatus.FAILED_DEPENDENCY, f"{what}: {failure} failed with {failure.code}.", failure)


def blame(item: Item, answer: Answer) -> Failure:
    """Return who is to blame for a failed answer: the item itself, or the one because of which it was not done."""
    return answer.failure or Failure(item.index, item.name, answer.code)


def told(item: Item, answer: Answer) -> dict[str, Any]:
    """Return the entry of ``item`` in the answer of the batch."""
    entry: dict[str, Any] = {
        "name": item.name,
        "code": answer.code,
        "code_text": answer.reason,
        "headers": [{"key": key, "value": value} for key, value in answer.headers],
    }
    if item.omit and not answer.failed:
        return {**entry, "body": None}
    text = _text(answer)
    if text is None:
        return {**entry, "body": base64.b64encode(answer.content).decode("ascii"), "encoding": "base64"}
    return {**entry, "body": text}


def _text(answer: Answer) -> str | None:
    """Return the body as text if it is one."""
    if not answer.content:
        return ""
    content_type = answer.header("Content-Type") or ""
    encoded = (answer.header("Content-Encoding") or "identity").lower() != "identity"
    if encoded or not _TEXTUAL.match(content_type.partition(";")[0].strip().lower()):
        return None
    charset = _CHARSET.search(content_type)
    try:
        return answer.content.decode(charset[1] if charset else "utf-8")
    except (LookupError, UnicodeDecodeError):
        return None


def server_timing(items: Iterable[Item], answers: Iterable[Answer]) -> str:
    """Return the value of ``Server-Timing``: the milliseconds that each item took, in the order of the batch."""
    return ", ".join(
        f"item-{item.index}{_description(item.name)};dur={1000 * answer.seconds:.1f}"
        for item, answer in zip(items, answers, strict=True)
    )


def _description(name: str | None) -> str:
    if name is None or not name.isascii():
        return ""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f';desc="{escaped}"'
