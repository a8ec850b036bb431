"""How the server takes leave of a socket: the client is told why, and so is the log."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from core.sockets.codes import CloseCode
from core.sockets.credentials import credential_of

logger = logging.getLogger(__name__)

LONGEST_REASON: Final = 123
"""Bytes that fit into a close (RFC 6455, section 5.5, less two for the code)."""


def goodbye(scope: Mapping[str, Any], code: CloseCode, reason: str = "") -> dict[str, Any]:
    """Return the message that closes the socket of ``scope``, after a line in the log on who it was and why.

    ``reason`` says more than that of the code. daphne tells clients the code alone.
    """
    reason = reason or code.reason
    logger.info("The socket %r of %s was closed with %d: %s", _where(scope), _who(scope), code, reason)
    return {"type": "websocket.close", "code": int(code), "reason": _shortened(reason)}


def _where(scope: Mapping[str, Any]) -> str:
    """Return the path up to its first name: what follows may be the id that lets whoever knows it listen."""
    path = scope.get("path", "")
    first, slash, rest = path[1:].partition("/")
    return f"{path[:1]}{first}{slash}{'…' if rest else ''}"


def _shortened(reason: str) -> str:
    return reason.encode()[:LONGEST_REASON].decode(errors="ignore")


def _who(scope: Mapping[str, Any]) -> str:
    """Return who is behind a socket, by nothing that would let a reader of the log be them."""
    credential = credential_of(scope)
    address, *_ = scope.get("client") or ("an unknown address",)
    if credential is None:
        return f"an anonymous caller at {address}"
    return f"user {credential.user_pk} (by {credential.kind}) at {address}"
