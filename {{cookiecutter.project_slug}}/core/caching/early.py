"""Hits that are answered before DRF's dispatch, where that changes nothing.

Half of what a hit costs is DRF making a view and a request around an answer that is there already. A route is spared
that if nothing on the way could answer otherwise: every method that DRF calls before the action is DRF's own, whoever
asks is let in without limit (``AllowAny``, no throttles), and the caller is nobody, by DRF's own authentication.

Nothing is decided a second time here. The first request takes the whole way; what it was found to ask for is a lesson
for all requests that are equal in everything such a route looks at.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from inspect import getattr_static
from operator import attrgetter
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from rest_framework import authentication, versioning
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.settings import api_settings

from core.caching import entry as entries
from core.caching.answers import find
from core.caching.plans import Call, Options, Place, Plan
from core.conf import core_settings
from core.keys.functions import Setting
from core.keys.passing import SAFE, Layer, is_transparent, layer_of, passes_by
from core.keys.remembering import Remembering, asked, texts

LESSONS = 4096
"""Kinds of requests that a process remembers; then it begins anew."""

_METHODS = (
    *(
        "__init__",
        "setup",
        "dispatch",
        "initialize_request",
        "initial",
        "finalize_response",
        "check_object_permissions",
    ),
    *("perform_authentication", "check_permissions", "check_throttles", "perform_content_negotiation"),
    *("get_authenticators", "get_permissions", "get_throttles", "get_content_negotiator", "determine_version"),
    *("get_renderers", "get_parsers", "get_format_suffix", "get_parser_context"),
    *("default_response_headers", "allowed_methods", "_allowed_methods"),
)
"""What DRF calls for a GET besides the action."""
_FRAMEWORK = ("rest_framework.", "django.views.")
_POLICIES = (
    *("authentication_classes", "permission_classes", "throttle_classes"),
    *("content_negotiation_class", "versioning_class", "renderer_classes"),
)
_policies = attrgetter(*_POLICIES)
_BY_HEADER = (authentication.TokenAuthentication, authentication.BasicAuthentication)
_BY_SESSION = authentication.SessionAuthentication
_VERSIONING = (
    *(versioning.AcceptHeaderVersioning, versioning.HostNameVersioning),
    *(versioning.QueryParameterVersioning, versioning.URLPathVersioning),
)
_NOTE = "_core_early"


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the first of equal requests was found to ask for. ``headers`` are those that DRF adds to every answer."""

    place: Place
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """A method whose answers are kept, as the decorator has made it; and what stands around it, innermost first."""

    method: Callable[..., Any]
    options: Options
    layers: Sequence[Layer]


_lessons: dict[Hashable, Lesson] = {}
_options: WeakKeyDictionary[Callable[..., Any], Options] = WeakKeyDictionary()


def mark(method: Callable[..., Any], options: Options) -> None:
    """Say of a decorated method that its answers are kept, as ``options`` say."""
    _options[method] = options


def in_front(view: Any, cls: type) -> Any:
    """Return ``view``, which ``cls.as_view()`` has made, with early answers in front of it."""
    route = Route(cls, getattr(view, "actions", None), view.initkwargs)

    @wraps(view)
    def early(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = None if route.is_closed else route.answer(request, args, kwargs)
        return view(request, *args, **kwargs) if response is None else response

    return early


def learn(call: Call, plan: Plan) -> None:
    """Take the lesson of a request that has come the whole way, if it is one."""
    plain = getattr(call.request, "_request", None)
    note = None if plain is None else vars(plain).get(_NOTE)
    if note is None:
        return
    route, source = note
    if isinstance(plan.func, Remembering) and plan.func.is_untouched and route.leads_to(call):
        if len(_lessons) >= LESSONS:
            _lessons.clear()
        _lessons[source] = Lesson(plan.place, dict(call.view.headers))


class Route:
    """A route of a view: which class answers, and with which of its methods."""

    def __init__(self, cls: Any, actions: Mapping[str, str] | None, initkwargs: Mapping[str, Any]) -> None:
        self._cls = cls
        self._actions = actions
        self._initkwargs = initkwargs
        self._judged: Any = None  # the policies with which the route was found open
        self.is_closed = False
        """Whether the class was found to decide more than the action does: then nothing is asked any more."""
        self._kept: dict[str, Kept | None] = {}
        _routes.add(self)

    def answer(self, request: HttpRequest, args: Any, kwargs: Mapping[str, Any]) -> HttpResponse | None:
        """Return what is kept for ``request``, as the view would answer it; None if the view has to."""
        method = request.method or ""
        if method not in SAFE or not core_settings.CACHING.ENABLED or not self._is_open():
            return None
        kept = self.kept(method)
        if kept is None:
            return None
        source = (
            *(self, method, request.META.get("HTTP_ACCEPT")),
            *(texts(enumerate(args)), texts(kwargs.items()), *asked(request)),
        )
        lesson = _lessons.get(source)
        if lesson is None:
            vars(request)[_NOTE] = (self, source)
            return None
        # Not before: the session is to be looked at only by those whom DRF would have look at it.
        if not self._is_nobody(request) or passes_by(request) or (entry := find(lesson.place, request).entry) is None:
            return None
        response = entries.give(entry, kept=True)
        for layer in kept.layers:
            seen = layer.early(request, response)
            if seen is None:
                return None
            response = seen
        return _finalized(request, response, lesson.headers)

    def kept(self, method: str) -> Kept | None:
        """Return what answers ``method``; None if its answers are not kept, or something unknown is around it."""
        if method not in self._kept:
            self._kept[method] = self._found(method.lower())
        return self._kept[method]

    def leads_to(self, call: Call) -> bool:
        """Tell whether ``call`` is what this route was asked for, by nobody."""
        kept, user = self.kept(call.request.method), call.request.user
        return (
            kept is not None
            and type(call.view) is self._cls
            and call.method is kept.method.__wrapped__  # type: ignore[attr-defined]
            and (user is None or not user.is_authenticated)
        )

    def forget(self) -> None:
        """Judge the class anew when next asked."""
        self._judged, self.is_closed = None, False
        self._kept.clear()

    # --- The class ---

    def _is_open(self) -> bool:
        """Tell whether nothing but the action decides about the answer."""
        policies = _policies(self._cls)
        if self._judged != policies:
            self._judged, self.is_closed = policies, not self._judge()
        return not self.is_closed

    def _judge(self) -> bool:
        cls, given = self._cls, self._initkwargs
        authenticators, permissions, throttles, negotiation, version, _ = (
            given.get(name, getattr(cls, name)) for name in _POLICIES
        )
        return (
            _are_only(authenticators, *_BY_HEADER, _BY_SESSION)
            and _are_only(permissions, AllowAny)
            and _are_only(throttles)
            and negotiation is DefaultContentNegotiation
            and _are_only([version], None, *_VERSIONING)
            and all(_is_frameworks(cls, name) for name in _METHODS)
        )

    def _found(self, method: str) -> Kept | None:
        name: str | None = method
        if self._actions is not None:
            name = self._actions.get(method) or (self._actions.get("get") if method == "head" else None)
        elif method == "head" and not hasattr(self._cls, "head"):
            name = "get"
        kept = None if name is None else _walk(self._cls, name)
        if kept is None or not self._is_constant(kept.options):
            return None
        return kept if all(layer.is_early(self._cls) for layer in kept.layers) else None

    def _is_constant(self, options: Options) -> bool:
        """Tell whether the same is kept under the same keys at every request, and not as a property decides."""
        shared, func = (
            getattr_static(self._cls, each) if isinstance(each, str) else each
            for each in (options.shared, options.key_func)
        )
        return isinstance(shared, bool) and (func is None or isinstance(func, Setting | Remembering))

    # --- The caller ---

    def _is_nobody(self, request: HttpRequest) -> bool:
        """Tell whether DRF would find that nobody has logged in. Looks at the session where DRF would."""
        known = vars(request)
        if known.get("_force_auth_user") is not None or known.get("_force_auth_token") is not None:
            return False
        authenticators: Any = self._initkwargs.get("authentication_classes", self._cls.authentication_classes)
        if not authenticators:
            return True
        if "HTTP_AUTHORIZATION" in request.META:
            return False
        user = getattr(request, "user", None) if _BY_SESSION in authenticators else None
        return not user or not user.is_active


_routes: WeakSet[Route] = WeakSet()


def _are_only(classes: Any, *allowed: Any) -> bool:
    """Tell whether ``classes`` holds nothing but what is ``allowed``. It may be anything, such as a property."""
    return isinstance(classes, list | tuple) and all(any(each is one for one in allowed) for each in classes)


def _is_frameworks(cls: type, name: str) -> bool:
    """Tell whether the method ``name`` of ``cls`` is that of DRF or Django, apart from transparent ones."""
    for each in cls.__mro__:
        if name in vars(each) and not is_transparent(vars(each)[name]):
            return each is object or each.__module__.startswith(_FRAMEWORK)
    return True


def _walk(cls: type, name: str) -> Kept | None:
    """Go from a method inwards to the one that keeps answers; None if there is anything unknown in between."""
    layers: list[Layer] = []
    for method in (vars(each)[name] for each in cls.__mro__ if name in vars(each)):
        while (layer := layer_of(method)) is not None:
            layers.append(layer)
            method = method.__wrapped__  # noqa: PLW2901 - inwards
        if isinstance(method, FunctionType) and method in _options:
            return Kept(method, _options[method], layers[::-1])
        if not is_transparent(method):
            return None
    return None


def _finalized(request: HttpRequest, response: HttpResponse, headers: Mapping[str, str]) -> HttpResponse:
    """Do what DRF does at the end of authentication and of dispatch."""
    user: Any = api_settings.UNAUTHENTICATED_USER
    auth: Any = api_settings.UNAUTHENTICATED_TOKEN
    request.user = user() if user else None  # type: ignore[assignment]
    request.auth = auth() if auth else None  # type: ignore[attr-defined]
    if vary := headers.get("Vary"):
        patch_vary_headers(response, [each.strip() for each in vary.split(",") if each.strip()])
    for name, value in headers.items():
        if name != "Vary":
            response[name] = value
    return response


def _forget(**_: object) -> None:
    _lessons.clear()
    for route in _routes:
        route.forget()


setting_changed.connect(_forget, dispatch_uid="core.caching.early")
