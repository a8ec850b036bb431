"""Who asks, and how, as plain data: enough to ask the same again later, without a cookie or a token.

Views and permissions of Django REST framework want a request. Sockets have none, and a live query is evaluated long
after its request has ended; both make one from a ``Caller``, for the user as the database has them at that moment.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from io import BytesIO
from typing import Any, Self

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, QueryDict, parse_cookie
from django.utils import translation

User = AbstractBaseUser | AnonymousUser


class CallerGoneError(Exception):
    """The user who called has been deleted or deactivated."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What tells one kind of caller from another: equal callers get equal answers to equal questions.

    ``user_pk`` is the user's key as text, None for anybody who has not logged in. ``host`` (with its port) and
    ``scheme`` are what absolute addresses in an answer begin with; ``language`` is a code such as ``"en-us"``.
    """

    user_pk: str | None
    host: str
    scheme: str
    language: str

    @classmethod
    def of_request(cls, request: Any) -> Self:
        """Return who sent ``request``, one of Django's or of Django REST framework's.

        Raises ``DisallowedHost`` where Django would, for a host that is not this site's.
        """
        return cls(_key(request.user), request.get_host(), request.scheme, translation.get_language() or "")

    @classmethod
    def of_scope(cls, scope: Mapping[str, Any]) -> Self:
        """Return who opened the socket of an ASGI ``scope`` that has passed the gates of ``core.sockets``.

        Raises ``DisallowedHost`` for a host that is not this site's.
        """
        request = HttpRequest()
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        request.META = {
            "HTTP_HOST": headers.get("host") or _own_host(),
            "HTTP_ACCEPT_LANGUAGE": headers.get("accept-language", ""),
        }
        for name in ("x-forwarded-host", "x-forwarded-proto"):
            if name in headers:
                request.META[f"HTTP_{name.upper().replace('-', '_')}"] = headers[name]
        request.COOKIES = parse_cookie(headers.get("cookie", ""))
        secure = scope.get("scheme") in {"wss", "https"} or request.scheme == "https"
        return cls(_key(scope.get("user")), request.get_host(), "https" if secure else "http", _language(request))

    def as_data(self) -> dict[str, str | None]:
        """Return what JSON can hold; ``from_data`` reads it."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the caller that ``as_data`` has written down."""
        return cls(**data)

    def user(self) -> User:
        """Return the user as the database has them now: one query, none for an anonymous caller.

        Raises ``CallerGoneError`` if there is no such user any more, or an inactive one.
        """
        if self.user_pk is None:
            return AnonymousUser()
        found: AbstractBaseUser | None = get_user_model()._default_manager.filter(pk=self.user_pk).first()
        if found is None or not found.is_active:
            raise CallerGoneError(f"User {self.user_pk} is not there, or not active.")
        return found

    def request(  # noqa: PLR0913 - what a request is made of
        self,
        method: str = "GET",
        path: str = "/",
        query: str = "",
        *,
        user: User,
        body: bytes = b"",
        content_type: str = "application/json",
        address: str = "",
        **headers: str,
    ) -> HttpRequest:
        """Return a request of this caller that views take as authenticated. It carries no cookie and no token.

        ``user`` is what ``user()`` has returned. ``query`` is the query string, encoded. ``address`` is the client's
        (throttles count by it). ``headers`` are named as in ``META``: ``HTTP_X_FORWARDED_FOR="..."``.
        """
        made = PlainRequest(self.scheme)
        made.method, made.path, made.path_info = method, path, path
        name, _, port = self.host.rpartition(":") if self.host[-1:].isdigit() else (self.host, "", "")
        made.META = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": query,
            "SERVER_NAME": name or self.host,
            "SERVER_PORT": port or ("443" if self.scheme == "https" else "80"),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": address,
            "HTTP_HOST": self.host,
            "HTTP_ACCEPT_LANGUAGE": self.language,
            **headers,
        }
        if body:
            made.META |= {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(body))}
            made.content_type, made.content_params = content_type, {}
        made.GET = QueryDict(query, mutable=False)
        made.LANGUAGE_CODE = self.language
        made.give(user, body)
        return made


class PlainRequest(HttpRequest):
    """A request that came over no connection."""

    LANGUAGE_CODE: str

    def __init__(self, scheme: str) -> None:
        super().__init__()
        self._plain_scheme = scheme

    def _get_scheme(self) -> str:
        return self._plain_scheme

    def give(self, user: User, body: bytes) -> None:
        """Put in what middleware and a server would have: the user, an empty session, the body."""
        self.user: Any = user
        # How Django REST framework's own test client says who is calling: authentication classes are not asked.
        self._force_auth_user = user
        self._dont_enforce_csrf_checks = True
        if "django.contrib.sessions" in settings.INSTALLED_APPS:
            self.session: Any = import_module(settings.SESSION_ENGINE).SessionStore()
        self._stream = BytesIO(body)
        self._read_started = False


def _key(user: Any) -> str | None:
    return str(user.pk) if user is not None and user.is_authenticated else None


def _language(request: HttpRequest) -> str:
    if "django.middleware.locale.LocaleMiddleware" in settings.MIDDLEWARE:
        return translation.get_language_from_request(request)
    return settings.LANGUAGE_CODE


def _own_host() -> str:
    """Return a name of this site, for a client that has named none."""
    return next((host for host in settings.ALLOWED_HOSTS if host.strip("*.") == host), "localhost")
