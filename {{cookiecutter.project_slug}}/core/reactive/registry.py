"""The observer sockets that are open in this process, and what each of them has been sent. Lives on the event loop.

For each socket and observer the last ``seq`` that was sent is remembered. The next difference goes out if its number is
the next one; if numbers are missing in between, the journal in the database is asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from core.sockets.credentials import Credential


class Socket(Protocol):
    """What the registry needs of a socket."""

    subscriber: str
    credential: Credential | None

    def offer(self, text: str) -> None:
        """Send ``text`` after all that was offered before."""

    def bar(self) -> None:
        """Send nothing from now on, and close: its caller has lost the right to be here."""


class Line:
    """One open socket."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.sent: dict[str, int] = {}
        """By observer: the ``seq`` up to which everything has been sent, or was in the answer over HTTP."""
        self._ended: dict[str, str] = {}

    def admits(self, user: str | None) -> bool:
        """Tell whether what ``user`` has subscribed to may be sent here; bar the socket if not.

        A socket keeps the rights it was opened with. The page behind it may have logged in since, and out again.
        """
        credential = self.socket.credential
        if user is None or (credential is not None and credential.user_pk == user):
            return True
        self.socket.bar()
        return False

    def begin(self, observer: str, seq: int | None) -> None:
        """Take note that the client was given the answer ``seq`` of ``observer``; None: not yet."""
        if seq is not None:
            self._ended.pop(observer, None)
            self.sent[observer] = max(seq, self.sent.get(observer, seq))

    def send(self, observer: str, seq: int, messages: Sequence[str]) -> bool:
        """Send the difference ``seq`` if it is its turn, or ignore it if it was sent; return False for a gap."""
        sent = self.sent.get(observer)
        if sent is None or seq <= sent:
            return True
        if seq > sent + 1:
            return False
        self.sent[observer] = seq
        for text in messages:
            self.socket.offer(text)
        return True

    def end(self, observer: str, message: str) -> None:
        """Say once that no more differences of ``observer`` come."""
        self.sent.pop(observer, None)
        if self._ended.get(observer) != message:
            self._ended[observer] = message
            self.socket.offer(message)


class Registry:
    """The open sockets by the id of their subscriber."""

    def __init__(self) -> None:
        self._lines: dict[str, list[Line]] = {}

    def add(self, socket: Socket) -> Line:
        """Take in a socket."""
        line = Line(socket)
        self._lines.setdefault(socket.subscriber, []).append(line)
        return line

    def discard(self, line: Line) -> bool:
        """Let a socket go; return whether it was the last one of its subscriber here."""
        lines = self._lines.get(line.socket.subscriber, [])
        if line in lines:
            lines.remove(line)
        if lines:
            return False
        self._lines.pop(line.socket.subscriber, None)
        return True

    def subscribers(self) -> list[str]:
        """Return the ids of all subscribers that are connected here."""
        return list(self._lines)

    def lines(self, subscribers: Iterable[str]) -> list[Line]:
        """Return the sockets of ``subscribers``."""
        return [line for each in subscribers for line in self._lines.get(each, ())]

    def deliver(self, observer: str, seq: int, messages: Sequence[str], subscribers: Mapping[str, Any]) -> list[str]:
        """Send a difference to those of ``subscribers`` who are here; return those who have missed one before.

        With each goes the ``seq`` of the answer it was given, and its user.
        """
        behind = []
        for subscriber in subscribers.keys() & self._lines.keys():
            given, user = subscribers[subscriber]
            for line in self._lines[subscriber]:
                if not line.admits(user):
                    continue
                line.begin(observer, given)
                if not line.send(observer, seq, messages):
                    behind.append(subscriber)
        return behind

    def end(self, observer: str, message: str, subscribers: Mapping[str, str | None]) -> None:
        """Tell those of ``subscribers``, given with their users, who are here that no more differences come."""
        for subscriber in subscribers.keys() & self._lines.keys():
            for line in self._lines[subscriber]:
                if line.admits(subscribers[subscriber]):
                    line.end(observer, message)
