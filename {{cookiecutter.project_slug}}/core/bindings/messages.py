"""The messages of the resource socket, as plain data.

A client sends ``{"stream": s, "payload": {"action", "pk"?, "data"?, "request_id"?}}`` and gets
``{"stream": s, "payload": {"action", "data", "errors", "response_status", "request_id"}}``. An event is
``{"stream": s, "payload": {"action", "pk", "model", "data"}}``. Nothing here knows a socket or a database.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn
from urllib.parse import urlencode

from rest_framework.utils.encoders import JSONEncoder

OK: Final = 200
BAD_REQUEST: Final = 400
NOT_FOUND: Final = 404
METHOD_NOT_ALLOWED: Final = 405
TOO_MANY: Final = 429
SERVER_ERROR: Final = 500

EXAMPLE: Final = '{"stream": "questions", "payload": {"action": "list"}}'


@dataclass(frozen=True, slots=True)
class Request:
    """One message of a client that could be read. Of the ``payload`` only ``action`` has been judged."""

    stream: str
    payload: dict[str, Any]

    @property
    def action(self) -> str:
        """What the client wants to be done."""
        action: str = self.payload["action"]
        return action

    @property
    def pk(self) -> Any:
        """The key of the row that it is to be done to; None if it names none."""
        return self.payload.get("pk")

    @property
    def data(self) -> Any:
        """What comes with it: an empty object where nothing does."""
        data = self.payload.get("data")
        return {} if data is None else data


@dataclass(frozen=True, slots=True)
class UnreadableMessageError(Exception):
    """A message that is no request; what could be read of it goes into the reply."""

    sentence: str
    stream: str | None = None
    payload: dict[str, Any] | None = None


def parse(text: str) -> Request:
    """Read a message. Raises ``UnreadableMessageError`` with a sentence for the client."""
    try:
        message = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise UnreadableMessageError("The message is not JSON.") from None
    if not isinstance(message, dict):
        raise UnreadableMessageError(f"Send an object such as {EXAMPLE}.")
    stream, payload = message.get("stream"), message.get("payload")
    readable = payload if isinstance(payload, dict) else None
    if not isinstance(stream, str):
        raise UnreadableMessageError('"stream" is missing or not a string.', None, readable)
    if readable is None:
        raise UnreadableMessageError('"payload" is missing or not an object.', stream)
    if not isinstance(readable.get("action"), str):
        raise UnreadableMessageError('"action" is missing in the payload, or not a string.', stream, readable)
    return Request(stream, readable)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")  # Python's own reader takes NaN and Infinity


def encode(message: Mapping[str, Any]) -> str:
    """Return ``message`` as JSON, with dates, decimals and the like written as REST writes them.

    Half of a surrogate pair, which no text that is sent may hold, is written as an escape. Raises ``TypeError``,
    ``ValueError`` or ``RecursionError`` for what JSON cannot say.
    """
    text = _json(message, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return _json(message, ensure_ascii=True)
    return text


def _json(message: Mapping[str, Any], *, ensure_ascii: bool) -> str:
    return json.dumps(message, cls=JSONEncoder, ensure_ascii=ensure_ascii, allow_nan=False, separators=(",", ":"))


def reply(request: Request, data: Any, status: int) -> dict[str, Any]:
    """Return the reply to a request that was fulfilled."""
    return {
        "stream": request.stream,
        "payload": {
            "action": request.action,
            "data": data,
            "errors": [],
            "response_status": status,
            "request_id": request.payload.get("request_id"),
        },
    }


def error_reply(stream: str | None, payload: Mapping[str, Any] | None, status: int, *errors: Any) -> dict[str, Any]:
    """Return the reply to a message that failed; ``payload`` is what could be read of the message's own."""
    payload = payload or {}
    return {
        "stream": stream,
        "payload": {
            "action": payload.get("action"),
            "data": {},
            "errors": list(errors),
            "response_status": status,
            "request_id": payload.get("request_id"),
        },
    }


def refusal(stream: str | None, payload: Mapping[str, Any] | None, status: int, *errors: Any) -> str:
    """Return the same as text; without what is the client's own if that can be read but not be written."""
    try:
        return encode(error_reply(stream, payload, status, *errors))
    except (ValueError, RecursionError):  # such as a request_id nested so deeply that it could just be read
        return encode(error_reply(None, None, status, *errors))


def event(stream: str, action: str, pk: Any, model: str, data: Any) -> dict[str, Any]:
    """Return what subscribers are told of one row: ``action`` is ``create``, ``update`` or ``delete``."""
    return {"stream": stream, "payload": {"action": action, "pk": pk, "model": model, "data": data}}


def query_of(values: Any) -> str:
    """Return an object of parameters as a query string, the form in which filters and pages of views read them.

    Raises ``ValueError`` with a sentence for what is no such object.
    """
    if not isinstance(values, dict):
        raise ValueError('Send the parameters as an object such as {"page": 2}.')  # noqa: TRY004 - the client's mistake
    pairs = [
        (name, _parameter(name, each))
        for name, value in values.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    return urlencode(pairs)


def _parameter(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(f'"{name}" is neither a text, a number, true or false, nor a list of such.')
