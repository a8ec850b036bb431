"""One call of a tagged method: the tag of what is there, and what the conditions of the request come to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from core.etags.conditions import judged
from core.etags.exceptions import PreconditionFailedException
from core.etags.tags import Same, same, same_state, suffix, written
from core.keys.functions import (
    Representation,
    answer_to_get,
    default_api_list_etag_func,
    default_api_object_etag_func,
    digest_of,
)
from core.keys.passing import SAFE

_NOTHING_THERE = (Http404, PermissionDenied, APIException)


@dataclass(slots=True, eq=False)
class Call:
    """A call of a tagged ``method``, with the ``func`` that makes its tags."""

    view: Any
    method: Callable[..., Any]
    request: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    own: dict[str, Any]  # of the arguments those that the method takes
    func: Callable[..., str]

    def run(self) -> Any:
        return self.method(self.view, self.request, *self.args, **self.own)

    @property
    def is_ours(self) -> bool:
        """Whether the tag is one of ours, which says what format it is for."""
        return isinstance(self.func, Representation) or self.func in {
            default_api_object_etag_func,
            default_api_list_etag_func,
        }

    @property
    def matching(self) -> Same:
        return same_state if self.request.method not in SAFE and self.is_ours else same

    def written(self, value: object) -> str:
        return written(f"{value}{suffix(self.request)}" if self.is_ours else value)

    # --- What is there ---

    def tag(self) -> str | None:
        """Work out the current tag; None where there is nothing to have one."""
        try:
            value = self.func(
                view_instance=self.view,
                view_method=self.method,
                request=self.request,
                args=self.args,
                kwargs=self.kwargs,
            )
        except _NOTHING_THERE:
            return None
        return self.written(value)

    def tag_response(self, response: Any) -> None:
        """Give a fresh answer the tag of its data."""
        if 200 <= response.status_code < 300 and not response.has_header("ETag") and not response.streaming:
            response["ETag"] = self.written(digest_of(response))

    # --- What the conditions come to ---

    def settled(self, tag: str | None, response: Any = None) -> Any:
        """Return the answer that the conditions of a read ask for: a 304, a 412, or ``response``."""
        return refused(judged(self.request, tag, self.matching, response), tag)

    def refusal(self) -> Any:
        """Return the 412 that the conditions of a write ask for, with the current tag; None if they hold."""
        tag, modified = self._current()
        found = judged(self.request, tag, self.matching, modified=modified)
        return None if found is None else refused(found, tag)

    def _current(self) -> tuple[str | None, str | None]:
        """Return the tag and the ``Last-Modified`` of what GET would answer; None for what is not there."""
        if not isinstance(self.func, Representation):
            return self.tag(), self._last_modified()
        try:
            response = self.func.response(self.view, self.request, self.method)
        except _NOTHING_THERE:
            return None, None
        return self.written(digest_of(response)), _date_of(response)

    def _last_modified(self) -> str | None:
        # GET is asked only where its date decides: a tag in ``If-Match`` goes before it.
        meta = self.request.META
        if not meta.get("HTTP_IF_UNMODIFIED_SINCE") or meta.get("HTTP_IF_MATCH"):
            return None
        try:
            return _date_of(answer_to_get(self.view, self.request)) if isinstance(self.request, Request) else None
        except _NOTHING_THERE:
            return None


def _date_of(response: Any) -> str | None:
    return response.get("Last-Modified") if response is not None and 200 <= response.status_code < 300 else None


def refused(response: Any, tag: str | None) -> Any:
    """Give a 412 words, and the current tag. Any other answer stays as it is."""
    if response.status_code != PreconditionFailedException.status_code:
        return response
    headers = {} if tag is None else {"ETag": tag}
    return Response({"detail": PreconditionFailedException().detail}, status=response.status_code, headers=headers)
