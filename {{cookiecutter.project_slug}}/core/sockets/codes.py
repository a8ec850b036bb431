"""Why the server closed a socket, told by a code of its own (RFC 6455, section 7.4.2, leaves 4000 to 4999 to us).

| code | meaning | what a client does |
|---|---|---|
| 4012 | the server shuts down | connects again |
| 4401 | the credentials are not valid, or no longer | logs in |
| 4403 | a page of another site, or something that belongs to another caller | gives up |
| 4404 | no socket is served under this path | gives up |
| 4408 | the client does not read, or sees more rows than are remembered | connects again, takes up where it was |
| 4429 | the client sends too much | waits |
"""

from enum import IntEnum
from typing import Self


class CloseCode(IntEnum):
    """Why the server closed a socket. ``reason`` says it in words."""

    SHUTTING_DOWN = 4012, "The server shuts down. Connect again."
    NOT_AUTHENTICATED = 4401, "The credentials are not valid, or no longer. Log in."
    FORBIDDEN = 4403, "The page is another site's, or what was asked for is another caller's."
    NOT_FOUND = 4404, "No socket is served under this path."
    TOO_SLOW = (
        4408,
        "The client does not read, or its rows are too many to remember. Connect, subscribe and load again.",
    )
    FLOODING = 4429, "The client sent too much. Wait before connecting again."

    reason: str

    def __new__(cls, code: int, reason: str) -> Self:
        """Return the code as a number that has a reason."""
        member = int.__new__(cls, code)
        member._value_, member.reason = code, reason
        return member
