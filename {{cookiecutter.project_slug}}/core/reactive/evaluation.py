"""Asks a question anew: drives the real view, as the caller, with the rights that the database gives them now.

The view's own ``initial()``, ``get_queryset()``, filters and paginator answer, so that a live query can never show more
than a plain GET. Only throttles are left out: it is not the client that asks so often.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.http import Http404
from django.urls import resolve
from django.utils import translation

from core.callers import Caller, CallerGoneError
from core.keys.passing import pass_by
from core.reactive.differences import Item, make_items
from core.reactive.question import Question
from core.reactive.watching import OK, Watch

CLIENT_ERRORS = range(400, 500)
TRANSIENT = frozenset({408, 409, 423, 425, 429})
"""Statuses below 500 that say nothing about the caller's right to ask."""


class RefusedError(Exception):
    """The caller may not ask this any longer: gone, not allowed, or what was asked about is not there."""

    def __init__(self, status: int, response: Any = None) -> None:
        super().__init__(f"answered {status}")
        self.status = status
        self.response = response


class FailedError(Exception):
    """There is no answer now, which says nothing about what a later one will be."""

    def __init__(self, sentence: str, response: Any = None) -> None:
        super().__init__(sentence)
        self.response = response


@dataclass(frozen=True, slots=True)
class Answer:
    """What a view has answered. ``seconds`` is how long that took; ``watch`` knows what it depends on."""

    items: list[Item]
    primary_key: str
    watch: Watch = field(repr=False)
    seconds: float


def evaluate(question: Question, caller: Caller | None = None, *, lost_pages: bool = True) -> Answer:
    """Return the answer to ``question``; ``caller`` is who asks where the question is a shared one.

    A page that its paginator does not know any more is an empty one; without ``lost_pages`` it is refused with the 404
    that the view answers. Raises ``RefusedError`` or ``FailedError``, with the response if there is one, and whatever
    the view raises that is not for Django REST framework to answer.
    """
    started = time.monotonic()
    watch = Watch(lost_pages=lost_pages)
    response = _ask(question, caller or question.caller, watch)
    if response.status_code in CLIENT_ERRORS and response.status_code not in TRANSIENT:
        raise RefusedError(response.status_code, response)
    if response.status_code != OK:
        raise FailedError(f"It answered {response.status_code}.", response)
    if watch.items is None:
        raise FailedError("The view is not observable.")
    return Answer(
        make_items(watch.items, watch.primary_key), watch.primary_key, watch, seconds=time.monotonic() - started
    )


def may_ask(question: Question, caller: Caller) -> bool:
    """Tell whether ``caller`` may ask ``question`` now, without having it answered."""
    try:
        response = _ask(question, caller, Watch(only_ask=True))
    except RefusedError:
        return False
    return bool(response.status_code == OK)


def _ask(question: Question, caller: Caller, watch: Watch) -> Any:
    try:
        user = caller.user()
    except CallerGoneError:
        raise RefusedError(401) from None
    request = caller.request("GET", question.path, question.query_string, user=user)
    with translation.override(caller.language or None):
        try:
            match = resolve(question.path)
        except Http404:
            raise RefusedError(404) from None
        request.resolver_match = match
        pass_by(request)
        watch.put_on(request)
        with watch.watching():
            return _without_throttles(match.func)(request, *match.args, **match.kwargs)


@lru_cache(maxsize=1024)
def _without_throttles(view: Callable[..., Any]) -> Callable[..., Any]:
    """Return a view of Django REST framework like ``view`` that counts for no throttle."""
    cls: Any = getattr(view, "cls", None)
    if cls is None or not hasattr(cls, "throttle_classes"):
        return view
    initial = {**getattr(view, "initkwargs", {}), "throttle_classes": ()}
    actions = getattr(view, "actions", None)
    made: Callable[..., Any] = cls.as_view(**initial) if actions is None else cls.as_view(actions, **initial)
    return made
