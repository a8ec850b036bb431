"""The messages of the resource socket, as plain data.

A client sends ``{"stream": s, "payload": {"action", "pk"?, "data"?, "request_id"?}}`` and gets
``{"stream": s, "payload": {"action", "data", "errors", "response_status", "request_id"}}``. Nothing here knows a
socket or a database.
"""

import json
from dataclasses import dataclass
from typing import Any

BAD_REQUEST = 400
NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Request:
    """One message of a client that could be read. ``payload`` is a dictionary; nothing in it has been judged."""

    stream: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class UnreadableMessageError(Exception):
    """A message that is no request; what could be read of it goes into the reply."""

    sentence: str
    stream: str | None = None
    payload: dict[str, Any] | None = None


def parse(text: str | None) -> Request:
    """Read a message. Raises ``UnreadableMessageError`` with a sentence for the client."""
    if text is None:
        raise UnreadableMessageError("Send text: binary messages are not understood.")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableMessageError("The message is not JSON.") from None
    if not isinstance(message, dict):
        raise UnreadableMessageError('Send an object such as {"stream": "questions", "payload": {"action": "list"}}.')
    stream, payload = message.get("stream"), message.get("payload")
    readable = payload if isinstance(payload, dict) else None
    if not isinstance(stream, str):
        raise UnreadableMessageError('"stream" is missing or not a string.', None, readable)
    if readable is None:
        raise UnreadableMessageError('"payload" is missing or not an object.', stream)
    return Request(stream, readable)


def error_reply(stream: str | None, payload: dict[str, Any] | None, status: int, *errors: Any) -> dict[str, Any]:
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
