"""Finds the parents that a nested URL names, each through its own viewset.

A parent is what ``GET`` on its own URL shows to the same caller: its viewset's queryset, filters and permissions
decide, level by level from the outermost. Whatever the reason for which it does not show it, the answer is the same
404, so that nobody learns that a hidden parent exists.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import DataError
from django.db.models import Model
from django.http import Http404, QueryDict
from django.utils.datastructures import MultiValueDict
from rest_framework.exceptions import APIException, NotFound
from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.request import Request, clone_request
from rest_framework.status import HTTP_500_INTERNAL_SERVER_ERROR
from rest_framework.viewsets import GenericViewSet


@dataclass(frozen=True, slots=True)
class Parent:
    """One level above a nested viewset.

    ``viewset`` is the parent's, as it is registered itself; ``lookup`` leads from the nested viewset's model to the
    parent; ``kwarg`` is the argument of the URL that names it.
    """

    viewset: type[GenericViewSet[Any]]
    basename: str
    lookup: str
    kwarg: str

    @property
    def lookup_url_kwarg(self) -> str:
        """The argument under which the parent's own URL has the same value."""
        return self.viewset.lookup_url_kwarg or self.viewset.lookup_field


def find_parents(request: Request, kwargs: dict[str, Any], parents: Sequence[Parent]) -> tuple[Model, ...]:
    """Return the rows that the URL names, outermost first, with one query for each.

    ``kwargs`` are the arguments of the URL that do not belong to the nested viewset alone. Raises ``NotFound`` if
    the caller would not get one of them at its own URL.
    """
    asked = _as_get(request)
    common = {name: value for name, value in kwargs.items() if name not in {parent.kwarg for parent in parents}}
    values = [kwargs[parent.kwarg] for parent in parents]
    found: tuple[Model, ...] = ()
    for parent, value in zip(parents, values, strict=True):
        own = getattr(parent.viewset, "nested_parents", ())
        outer = {above.kwarg: above_value for above, above_value in zip(own, values, strict=False)}
        view: Any = parent.viewset(basename=parent.basename, detail=True)
        view.request, view.args, view.format_kwarg = asked, (), None
        view.kwargs = {**common, **outer, parent.lookup_url_kwarg: value}
        view.action, view.action_map = "retrieve", {"get": "retrieve"}
        view.known_parents = found
        _take_over(view, request)
        found = (*found, _shown(view, value))
    return found


def _take_over(view: Any, request: Request) -> None:
    """Spare the parent what has been settled for this request: how it is answered, and whether it comes too often."""
    accepted = getattr(request, "accepted_renderer", None), getattr(request, "accepted_media_type", None)
    view.perform_content_negotiation = lambda *_, **__: accepted
    view.determine_version = lambda *_, **__: (request.version, request.versioning_scheme)
    view.check_throttles = lambda _: None


def _as_get(request: Request) -> Request:
    """Return the request as it would be for a parent's own URL: the same caller, GET, no query, no body.

    Query parameters belong to the list that was asked for: ``?search=`` is not meant for its parents.
    """
    plain: Any = copy.copy(request._request)
    plain.method = "GET"
    plain.GET = QueryDict()
    body = {"CONTENT_LENGTH", "CONTENT_TYPE"}
    meta = {name: value for name, value in request._request.META.items() if name not in body}
    plain.META = {**meta, "REQUEST_METHOD": "GET", "QUERY_STRING": ""}
    plain.resolver_match = request._request.resolver_match
    # A body of its own: whoever read that of the request would take it away from the nested viewset.
    nothing = QueryDict()
    vars(plain).update(_body=b"", _stream=BytesIO(), _post=nothing, _files=MultiValueDict(), content_type="")
    asked = clone_request(request, "GET")
    # Both hold the same context, and the parsers of the nested viewset's body ask it for their request.
    asked.parser_context = {**request.parser_context}
    request.parser_context["request"] = request
    vars(asked).update(
        _request=plain, _data=nothing, _files=nothing, _full_data=nothing, _stream=None, _content_type=""
    )
    return asked


def _shown(view: GenericViewSet[Any], value: Any) -> Model:
    # PostgreSQL knows no text with this character.
    if isinstance(value, str) and "\0" in value:
        raise NotFound
    if not hasattr(view, "retrieve"):
        raise NotFound
    try:
        view.initial(view.request, *view.args, **view.kwargs)
        return _object(view, value)
    except APIException as error:
        if error.status_code >= HTTP_500_INTERNAL_SERVER_ERROR:
            raise
        raise NotFound from None
    except (Http404, PermissionDenied, DataError, OverflowError):
        raise NotFound from None


def _object(view: GenericViewSet[Any], value: Any) -> Model:
    found: Model
    if has_own(type(view), "get_object"):
        found = view.get_object()
        return found
    # What the parent's own page prefetches is of no use here and would cost queries.
    queryset = view.filter_queryset(view.get_queryset()).prefetch_related(None)
    found = get_object_or_404(queryset, **{view.lookup_field: value})
    view.check_object_permissions(view.request, found)
    return found


class InFront:
    """Marks the class that the router puts in front of a nested viewset."""


def has_own(viewset: type[Any], name: str) -> bool:
    """Tell whether a viewset has a method of its own where DRF's generic views have one."""
    classes = (each for each in viewset.__mro__ if name in vars(each) and InFront not in each.__bases__)
    return next(classes) is not GenericAPIView
