"""To whom a subscriber id belongs: the caller who used it first.

With a session that is whoever holds a value kept in it, which survives a login; with a user, that user too. An id
first used by a caller with neither is owned by knowing it, but never by who is logged in: a link could have them ask
with an id that somebody else knows and listens to.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.crypto import constant_time_compare, salted_hmac

SESSION_KEY: Final = "core_reactive_owner"


@dataclass(frozen=True, slots=True)
class Owner:
    """What tells an owner: a value of their session, and their key, as text; each empty where there is none."""

    session: str = ""
    user: str = ""

    def owns(self, session: str, user: str) -> bool:
        """Tell whether an id that is noted with ``session`` and ``user`` belongs to this caller."""
        if not session and not user:
            return not self.user
        if session and self.session and constant_time_compare(session, self.session):
            return True
        return bool(user) and user == self.user


def owner_of_request(request: Any) -> Owner:
    """Return the owner that the caller of ``request`` is, and keep the value in their session if they have one."""
    session = getattr(getattr(request, "_request", request), "session", None)
    value = _value(session)
    if session is not None and value and SESSION_KEY not in session:
        session[SESSION_KEY] = value
    return Owner(value, _user(request.user))


def owner_of_scope(scope: Mapping[str, Any]) -> Owner:
    """Return the owner that the caller of a socket is. Reads the session: not for an event loop."""
    return Owner(_value(scope.get("session")), _user(scope.get("user")))


def _value(session: Any) -> str:
    if session is None:
        return ""
    kept: str | None = session.get(SESSION_KEY)
    if kept:
        return kept
    # The same for requests that come at the same time, of which only one will save the session.
    return _digest(session.session_key) if session.session_key else ""


def _digest(key: str) -> str:
    return salted_hmac("core.reactive.owner", key, algorithm="sha256").hexdigest()


def _user(user: Any) -> str:
    return str(user.pk) if user is not None and user.is_authenticated else ""
