"""Why the server closed a socket, told by a code of its own (RFC 6455, section 7.4.2, leaves 4000 to 4999 to us).

| code | meaning | what a client does |
|---|---|---|
| 4012 | the server shuts down | connects again |
| 4401 | the credentials are not valid, or no longer | logs in |
| 4403 | a page of another site, or something that belongs to another caller | gives up |
| 4404 | no socket is served under this path | gives up |
| 4408 | the client does not read what it is sent | connects again, and takes up where it was |
| 4429 | the client sends too much | waits |
"""

from enum import IntEnum


class CloseCode(IntEnum):
    """Why the server closed a socket."""

    SHUTTING_DOWN = 4012
    NOT_AUTHENTICATED = 4401
    FORBIDDEN = 4403
    NOT_FOUND = 4404
    TOO_SLOW = 4408
    FLOODING = 4429
