"""Key bits: each takes one thing from a request, as plain data that JSON tells apart.

Declared in a ``KeyConstructor`` as fields are in a form. Described in ``docs/caching.md``.
"""

import hashlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

from django.core.exceptions import EmptyResultSet, ObjectDoesNotExist, ValidationError
from django.db.models import DateField, Model, QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone
from django.utils.translation import get_language
from rest_framework.exceptions import APIException

ALL = "*"
Params = Any
Request = Any  # of Django, or of DRF around it

_NO_ROWS = (
    *(Http404, APIException, ObjectDoesNotExist, EmptyResultSet),
    *(ValidationError, ValueError, TypeError, OverflowError, KeyError),
)
"""What an empty result or a lookup that no row can match raises: the view will answer it in its own words."""


class KeyBitBase:
    """One part of a key. ``params`` says which of many values it takes, ``"*"`` all of them."""

    params: Params = None
    takes_params: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Find out whether ``get_data`` wants to know the params: bits written for other work need not."""
        super().__init_subclass__(**kwargs)
        taken = inspect.signature(cls.get_data).parameters.values()
        cls.takes_params = any(each.name == "params" or each.kind is each.VAR_KEYWORD for each in taken)

    def __init__(self, params: Params = None) -> None:
        if params is not None:
            self.params = params

    def get_data(self, *args: Any, **kwargs: Any) -> Any:
        """Return the data of this bit: anything that JSON can carry.

        It is called with ``params``, ``view_instance``, ``view_method``, ``request``, ``args`` and ``kwargs``.
        """
        raise NotImplementedError(f"{type(self).__name__} has no get_data().")


class AllArgsMixin:
    """Takes everything unless told otherwise."""

    params: Params = ALL


class KeyBitDictBase(KeyBitBase):
    """A bit made of named values: those named in ``params``, or all."""

    def get_data(self, *, params: Params = None, **kwargs: Any) -> dict[str, Any]:
        """Return the values by name, without those that are missing."""
        source = self.get_source_dict(params=params, **kwargs)
        if params is None:
            return {}
        names = source if params == ALL else params
        found = {}
        for name in names:
            value = self.get_value(source, name)
            if value is not None:
                found[str(name)] = value
        return found

    def get_source_dict(self, *args: Any, **kwargs: Any) -> Mapping[Any, Any]:
        """Return what the values are taken from."""
        raise NotImplementedError(f"{type(self).__name__} has no get_source_dict().")

    def get_value(self, source: Mapping[Any, Any], name: Any) -> Any:
        """Return one value, or None if there is none."""
        value = source.get(name)
        return None if value is None else str(value)


# --- The request ---


class FormatKeyBit(KeyBitBase):
    """The format of the answer, such as ``"json"``; None outside of DRF."""

    def get_data(self, *, request: Request, **kwargs: Any) -> str | None:
        renderer = getattr(request, "accepted_renderer", None)
        return None if renderer is None else str(renderer.format)


class MediaTypeKeyBit(KeyBitBase):
    """The media type that was agreed on, with its parameters: ``"application/json; indent=4"``."""

    def get_data(self, *, request: Request, **kwargs: Any) -> str | None:
        return getattr(request, "accepted_media_type", None)


class LanguageKeyBit(KeyBitBase):
    """The language that is active."""

    def get_data(self, **kwargs: Any) -> str | None:
        return get_language()


class TimeZoneKeyBit(KeyBitBase):
    """The time zone that is active."""

    def get_data(self, **kwargs: Any) -> str:
        return timezone.get_current_timezone_name()


class VersionKeyBit(KeyBitBase):
    """The version of the API, where it is versioned."""

    def get_data(self, *, request: Request, **kwargs: Any) -> str | None:
        version = getattr(request, "version", None)
        return None if version is None else str(version)


class LocationKeyBit(KeyBitBase):
    """Scheme, host and path: what absolute links in the answer are made of."""

    def get_data(self, *, request: Request, **kwargs: Any) -> list[str]:
        plain: Any = getattr(request, "_request", request)  # past DRF's wrapper, which asks it for each attribute
        return [plain.scheme, plain.get_host(), plain.path]


class UserKeyBit(KeyBitBase):
    """The user's id, or ``"anonymous"``."""

    def get_data(self, *, request: Request, **kwargs: Any) -> str:
        user = getattr(request, "user", None)
        if user is None or not user.is_authenticated:
            return "anonymous"
        # A user may have any text for a key, this word too.
        return f"id {user.pk}" if user.pk == "anonymous" else str(user.pk)


class CallerKeyBit(UserKeyBit):
    """The user, with all that this request has loaded of them: the row, and the permissions if they were asked for.

    A view may show to staff what it hides from others, and it learns who is staff before any cache is asked. Taking the
    loaded values makes an answer for the user as they were unfindable for the user as they are.

    ``request.auth`` counts too: of two tokens of one user, or of nobody, one may open what the other does not.

    Outside of DRF nobody has judged the header ``Authorization``: whoever it names is another caller.
    """

    ROLES: ClassVar[tuple[str, ...]] = ("is_active", "is_staff", "is_superuser")
    IGNORED: ClassVar[frozenset[str]] = frozenset({"last_login", "password"})
    PERMISSIONS: ClassVar[tuple[str, ...]] = ("_perm_cache", "_user_perm_cache", "_group_perm_cache")

    def get_data(self, *, request: Request, **kwargs: Any) -> Any:
        who = super().get_data(request=request, **kwargs)
        if isinstance(request, HttpRequest) and (credentials := request.META.get("HTTP_AUTHORIZATION")):
            return [who, _digest(credentials)]
        # Where DRF puts it when it has found the user. To ask DRF's own request would have it look again.
        auth = getattr(getattr(request, "_request", request), "auth", None)
        means = [] if auth is None else [{"auth": _means(auth, request)}]
        if who == "anonymous":
            return [who, *means] if means else who
        user = request.user
        if not isinstance(user, Model):
            return [who, [getattr(user, role, None) for role in self.ROLES], *means]
        loaded = vars(user) if "_state" in vars(user) else vars(user._wrapped)  # type: ignore[attr-defined]  # noqa: SLF001
        row = _loaded(loaded, _columns(user.__class__, self.IGNORED))
        return [who, row, *(sorted(loaded[name]) for name in self.PERMISSIONS if name in loaded), *means]


def _means(auth: Any, request: Request) -> Any:
    """Return what tells ``request.auth`` apart from others: its row, its value, or what it was made of."""
    if isinstance(auth, Model):
        return [auth._meta.label, _digest(str(_loaded(vars(auth), _columns_but_dates(auth.__class__))))]
    if isinstance(auth, str | bytes | int | Mapping):
        return _digest(repr(auth))
    return _digest(repr([request.META.get(name) for name in ("HTTP_AUTHORIZATION", "HTTP_COOKIE")]))


def _digest(text: str) -> str:
    # Credentials: a process remembers keys by what they are made of.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _loaded(values: Mapping[str, Any], columns: Iterable[str]) -> list[Any]:
    return [_plain(values[name]) if name in values else [] for name in columns]


@cache
def _columns_but_dates(model: type[Model]) -> tuple[str, ...]:
    # They say when it was used last, or how long it may be: not what it opens.
    return _columns(model, frozenset(each.name for each in model._meta.concrete_fields if isinstance(each, DateField)))


@cache
def _columns(model: type[Model], ignored: frozenset[str]) -> tuple[str, ...]:
    return tuple(field.attname for field in model._meta.concrete_fields if field.name not in ignored)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float) else str(value)


class RequestMetaKeyBit(KeyBitDictBase):
    """Values of ``request.META``: ``RequestMetaKeyBit(["REMOTE_ADDR"])``, or all by ``"*"``."""

    def get_source_dict(self, *, request: Request, **kwargs: Any) -> Mapping[str, Any]:
        meta: Mapping[str, Any] = request.META
        return meta


class HeadersKeyBit(KeyBitDictBase):
    """Values of headers by their names: ``HeadersKeyBit(["user-agent"])``, or all by ``"*"``."""

    def get_source_dict(self, *, request: Request, **kwargs: Any) -> Mapping[str, Any]:
        headers: Mapping[str, Any] = request.headers
        return headers


class QueryParamsKeyBit(AllArgsMixin, KeyBitDictBase):
    """Query parameters, each with all its values: those named, or all, which is the default."""

    def get_source_dict(self, *, request: Request, **kwargs: Any) -> Mapping[str, Any]:
        plain: Any = getattr(request, "_request", request)
        query: Mapping[str, Any] = plain.GET
        return query

    def get_value(self, source: Any, name: str) -> list[str] | None:
        return source.getlist(name) or None


class PaginationKeyBit(QueryParamsKeyBit):
    """The query parameters of the view's paginator, whichever kind it is."""

    NAMES: ClassVar[tuple[str, ...]] = (
        *("page_query_param", "page_size_query_param"),
        *("limit_query_param", "offset_query_param", "cursor_query_param"),
    )

    def get_data(self, *, params: Params = None, **kwargs: Any) -> dict[str, Any]:
        paginator = getattr(kwargs["view_instance"], "paginator", None)
        names = [getattr(paginator, name, None) for name in self.NAMES]
        return super().get_data(params=[name for name in names if name], **kwargs)


# --- The URL ---


class ArgsKeyBit(AllArgsMixin, KeyBitBase):
    """Positional arguments of the view: those at the places in ``params``, or all, which is the default."""

    def get_data(self, *, params: Params = ALL, args: Sequence[Any] = (), **kwargs: Any) -> list[Any]:
        if params == ALL:
            return [str(value) for value in args]
        return [str(args[place]) if place < len(args) else None for place in params or ()]


class KwargsKeyBit(AllArgsMixin, KeyBitDictBase):
    """Keyword arguments of the view: those named, or all, which is the default."""

    def get_source_dict(self, *, kwargs: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        return kwargs


# --- The view ---


class UniqueViewIdKeyBit(KeyBitBase):
    """Module and class of the view; of a function, its module and name."""

    def get_data(self, *, view_instance: Any, view_method: Any, **kwargs: Any) -> str:
        if view_instance is None:
            return f"{view_method.__module__}.{view_method.__qualname__}"
        return f"{type(view_instance).__module__}.{type(view_instance).__name__}"


class UniqueMethodIdKeyBit(UniqueViewIdKeyBit):
    """Module, class and method of the view."""

    def get_data(self, *, view_instance: Any, view_method: Any, **kwargs: Any) -> str:
        view = super().get_data(view_instance=view_instance, view_method=view_method)
        return view if view_instance is None else f"{view}.{view_method.__name__}"


# --- The rows ---


class SqlQueryKeyBitBase(KeyBitBase):
    """The SQL of a queryset, with its parameters; None where no row can match."""

    def get_data(self, **kwargs: Any) -> Any:
        try:
            queryset = self.get_queryset(**kwargs)
            sql, params = queryset.query.sql_with_params()
        except _NO_ROWS:
            return None
        return [sql, [[type(each).__name__, str(each)] for each in params]]

    def get_queryset(self, *args: Any, **kwargs: Any) -> "QuerySet[Any]":
        """Return the queryset in question."""
        raise NotImplementedError(f"{type(self).__name__} has no get_queryset().")


def filtered(view: Any) -> "QuerySet[Any]":
    """Return the view's rows as its filters leave them."""
    rows: QuerySet[Any] = view.filter_queryset(view.get_queryset())
    return rows


class ListSqlQueryKeyBit(SqlQueryKeyBitBase):
    """The SQL of ``view.filter_queryset(view.get_queryset())``."""

    def get_queryset(self, *, view_instance: Any, **kwargs: Any) -> "QuerySet[Any]":
        return filtered(view_instance)


class RetrieveSqlQueryKeyBit(SqlQueryKeyBitBase):
    """The SQL that finds the view's one object."""

    def get_queryset(self, *, view_instance: Any, **kwargs: Any) -> "QuerySet[Any]":
        name = view_instance.lookup_url_kwarg or view_instance.lookup_field
        value = view_instance.kwargs[name]
        return filtered(view_instance).filter(**{view_instance.lookup_field: value})


class RetrieveModelKeyBit(KeyBitBase):
    """The values stored for the row that ``view.get_object()`` finds; None if it finds none."""

    def get_data(self, *, view_instance: Any, **kwargs: Any) -> Any:
        try:
            row = view_instance.get_object()
        except _NO_ROWS:
            return None
        return stored_values(row)


class ListModelKeyBit(KeyBitBase):
    """The values stored for every row of ``view.filter_queryset(view.get_queryset())``, in their order."""

    def get_data(self, *, view_instance: Any, **kwargs: Any) -> Any:
        try:
            return [stored_values(row) for row in filtered(view_instance).prefetch_related(None)]
        except _NO_ROWS:
            return None


def stored_values(row: Any) -> list[Any]:
    """Return what the database holds for ``row``: a model's columns, or a row of ``values()``."""
    if isinstance(row, Model):
        named: Iterable[tuple[str, Any]] = ((name, getattr(row, name)) for name in _columns(type(row), frozenset()))
    elif isinstance(row, Mapping):
        named = row.items()
    else:
        named = enumerate(row if isinstance(row, Sequence) and not isinstance(row, str) else [row])  # type: ignore[assignment]
    return [[name, type(value).__name__, None if value is None else str(value)] for name, value in named]
