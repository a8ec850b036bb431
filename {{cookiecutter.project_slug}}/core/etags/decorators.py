"""``etag`` and ``api_etag``: tags and conditional requests for methods of views.

A read is answered and then compared, unless the tag comes from a function of somebody's own; a write is compared and
made in one transaction, with the row locked in between.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from core.conf import core_settings
from core.etags.calls import Call
from core.etags.conditions import is_conditional, judged
from core.etags.exceptions import PreconditionRequiredException
from core.etags.locks import database_of, lock
from core.etags.primary import reading_from_primary
from core.etags.tags import ANY, same
from core.keys.constructors import forget_keys
from core.keys.functions import Representation, Setting, resolved
from core.keys.passing import SAFE, add_finisher, add_layer, passes_by, remove_finisher, trimmer

PAGES = frozenset({"api", "admin", "html"})
"""Formats whose answers depend on more than the data."""
REQUIRED: Mapping[str, Sequence[str]] = {"PUT": ["If-Match"], "PATCH": ["If-Match"], "DELETE": ["If-Match"]}
"""The headers that ``api_etag`` asks for, by method."""

_View = TypeVar("_View", bound=Callable[..., Any])


class ETAGProcessor:
    """Gives a method tags and holds requests to their conditions.

    ``etag_func`` is a function, a constructor or the name of a method of the view; without one, the tag is the digest
    of what GET answers (``CORE["ETAGS"]["DEFAULT_ETAG_FUNC"]``). ``rebuild_after_method_evaluation`` gives the answer
    to a write the tag of what it has made. ``precondition_map`` names, by method, the headers without which a request
    is refused with 428.
    """

    required: Mapping[str, Sequence[str]] = {}

    def __init__(
        self,
        etag_func: Callable[..., str] | str | None = None,
        rebuild_after_method_evaluation: bool = False,
        precondition_map: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.etag_func: Any = Setting("DEFAULT_ETAG_FUNC") if etag_func is None else etag_func
        self.rebuild = rebuild_after_method_evaluation
        self.precondition_map = self.required if precondition_map is None else precondition_map

    def __call__(self, method: _View) -> _View:
        """Decorate a method of a view."""
        trimmed = trimmer(method)

        @wraps(method)
        def conditional(view: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            own = trimmed(kwargs)
            if not core_settings.ETAGS.ENABLED or passes_by(request):
                return method(view, request, *args, **own)
            self.require(request)
            call = Call(view, method, request, args, kwargs, own, resolved(self.etag_func, view))
            return self._read(call) if request.method in SAFE else self._write(call)

        add_layer(conditional, self)
        conditional.etags = self  # type: ignore[attr-defined]  # by which descriptions of the API know it
        return conditional  # type: ignore[return-value]

    def is_early(self, view: type) -> bool:
        """Tell whether a kept answer of the class ``view`` has all that conditions are judged by."""
        func = getattr(view, self.etag_func) if isinstance(self.etag_func, str) else self.etag_func
        func = func.target if isinstance(func, Setting) else func
        return isinstance(func, Representation) and SAFE.isdisjoint(self.precondition_map)

    def early(self, request: HttpRequest, response: HttpResponse) -> HttpResponse | None:
        """Return the 304 that ``request`` asks for, or ``response`` as it was kept; None where that is not enough."""
        if not core_settings.ETAGS.ENABLED or not 200 <= response.status_code < 300:
            return response
        tag = response.get("ETag")
        # Refusals are answered in DRF's words.
        if tag is None or not request.META.keys().isdisjoint(("HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE")):
            return None
        return judged(request, tag, same, response) if is_conditional(request) else response

    def require(self, request: Any) -> None:
        """Raise ``PreconditionRequiredException`` if ``request`` lacks a header that its method has to have."""
        missing = [name for name in self.precondition_map.get(request.method, ()) if not request.headers.get(name)]
        if missing:
            raise PreconditionRequiredException(
                f"A {request.method} here has to be conditional. Send {' and '.join(missing)}."
            )

    # --- Reading ---

    def _read(self, call: Call) -> Any:
        if getattr(getattr(call.request, "accepted_renderer", None), "format", None) in PAGES:
            return call.run()
        if isinstance(call.func, Representation):
            return self._read_and_compare(call)
        # Before the rows are read: a tag may be older than them, never younger.
        tag = call.tag()
        if tag is None:
            return call.run()
        settled = judged(call.request, tag, call.matching)
        if settled is not None and settled.status_code == 304 and call.request.headers.get("If-None-Match") != ANY:
            return settled
        # Conditions do not matter where the answer would be an error without them (section 13.2.1).
        response = call.run()
        if not 200 <= response.status_code < 300:
            return response
        response["ETag"] = tag
        return call.settled(tag, response)

    def _read_and_compare(self, call: Call) -> Any:
        finisher = call.tag_response
        # The cache, if there is one inside, keeps the tag with the answer.
        add_finisher(call.request, finisher)
        try:
            response = call.run()
        finally:
            remove_finisher(call.request, finisher)
        if not 200 <= response.status_code < 300:
            return response
        finisher(response)
        if not is_conditional(call.request):
            return response
        tag = response.get("ETag")
        return call.settled(tag, response)

    # --- Writing ---

    def _write(self, call: Call) -> Any:
        conditional = is_conditional(call.request)
        if not conditional and not self.rebuild:
            return call.run()
        using = database_of(call.view)
        with reading_from_primary(), transaction.atomic(using=using):
            if conditional:
                lock(call.view, using)
                if (refusal := call.refusal()) is not None:
                    return refusal
            response = call.run()
            if self.rebuild and 200 <= response.status_code < 300:
                forget_keys(call.request)
                if (tag := call.tag()) is not None:
                    response["ETag"] = tag
            return response


class APIETAGProcessor(ETAGProcessor):
    """The same with a function that has to be named, and with conditions that writes have to have."""

    required = REQUIRED

    def __init__(
        self,
        etag_func: Callable[..., str] | str | None = None,
        rebuild_after_method_evaluation: bool = False,
        precondition_map: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Raise ``AssertionError`` without an ``etag_func``: no default knows what the view stands for."""
        if etag_func is None:
            raise AssertionError("api_etag() needs an etag_func: name the function that makes the tag of the state.")
        super().__init__(etag_func, rebuild_after_method_evaluation, precondition_map)


etag = ETAGProcessor
api_etag = APIETAGProcessor
