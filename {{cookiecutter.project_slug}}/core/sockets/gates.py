"""What every WebSocket passes before it reaches its consumer: where it comes from, and who opened it.

A refusal accepts the handshake and closes at once with a code of its own, because a browser shows the code of a
close and hides the status of a refused handshake.
"""

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.conf import settings
from django.http import parse_cookie
from django.http.request import split_domain_port, validate_host
from django.urls import URLPattern, URLResolver, re_path
from rest_framework.authentication import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from core.sockets.closing import goodbye
from core.sockets.codes import CloseCode
from core.supervisor import Application, Receive, Scope, Send

_WHAT_IT_TAKES: Final = 'The Authorization header is not "Token <key>" with the key of an active user.'


def websocket_application(routes: Iterable[URLPattern | URLResolver]) -> Application:
    """Return the ASGI application for the scope ``websocket``: ``routes`` behind both gates, and a catch-all."""
    catch_all: Any = refusal(CloseCode.NOT_FOUND)
    router = URLRouter([*routes, re_path("", catch_all)])
    return OriginGate(CredentialsGate(router, AuthMiddlewareStack(router)))


def refusal(code: CloseCode, reason: str = "") -> Application:
    """Return an application that accepts a socket and closes it with ``code``; ``reason`` says more than the code."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send(goodbye(scope, code, reason))

    return refuse


class OriginGate:
    """Refuses sockets opened by pages of other sites.

    A browser sends the session cookie along with a socket whatever page opens it, and no CSRF token stands in the
    way; what it cannot do is lie about ``Origin``. So an origin must be an allowed host. Programs send none: they
    pass, unless they bring a session cookie, which only browsers should.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the scope on, or refuse it."""
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        application = self.application
        if origin is None:
            if _has_session_cookie(headers.get(b"cookie", b"")):
                application = refusal(CloseCode.FORBIDDEN, "A session cookie came without an Origin header.")
        elif not is_allowed_origin(_text(origin), _text(headers.get(b"host", b""))):
            application = refusal(CloseCode.FORBIDDEN, "The Origin header names no host of this site (ALLOWED_HOSTS).")
        await application(scope, receive, send)


def is_allowed_origin(origin: str, host: str) -> bool:
    """Tell whether the page at ``origin`` may open a socket that was addressed to ``host``.

    ``ALLOWED_HOSTS`` decides as it does for requests, except for ``"*"``: a site that answers under any name still
    listens to its own pages only.
    """
    try:
        parts = urlsplit(origin)
        domain = (parts.hostname or "").lower()
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not domain:
        return False
    if ":" in domain:
        domain = f"[{domain}]"
    allowed = settings.ALLOWED_HOSTS
    if settings.DEBUG and not allowed:
        allowed = [".localhost", "127.0.0.1", "[::1]"]
    if validate_host(domain, [each for each in allowed if each != "*"]):
        return True
    return "*" in allowed and domain == split_domain_port(host)[0]


def _has_session_cookie(header: bytes) -> bool:
    return settings.SESSION_COOKIE_NAME in parse_cookie(_text(header))


class CredentialsGate:
    """Puts the caller into ``scope["user"]``: by ``Authorization: Token <key>`` if given, else by the session."""

    def __init__(self, application: Application, with_session: Application) -> None:
        self.application = application
        self.with_session = with_session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the scope on with its user, or refuse a token that is not valid."""
        authorization = dict(scope["headers"]).get(b"authorization")
        if authorization is None:
            await self.with_session(scope, receive, send)
            return
        user, token = await _user_of_token(_text(authorization))
        if user is None:
            await refusal(CloseCode.NOT_AUTHENTICATED, _WHAT_IT_TAKES)(scope, receive, send)
            return
        await self.application({**scope, "user": user, "token": token}, receive, send)


@database_sync_to_async
def _user_of_token(authorization: str) -> tuple[Any, str]:
    """Return the active user whose token this is, and its key; None for anything else."""
    scheme, _, key = authorization.strip().partition(" ")
    if scheme.lower() != TokenAuthentication.keyword.lower():
        return None, ""
    try:
        user, token = TokenAuthentication().authenticate_credentials(key.strip())
    except AuthenticationFailed:
        return None, ""
    return user, token.key


def _text(header: bytes) -> str:
    return header.decode("latin-1")
