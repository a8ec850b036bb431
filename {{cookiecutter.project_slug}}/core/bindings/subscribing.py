"""Judges a request to subscribe or to unsubscribe. Whoever may not look may not listen."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from core.bindings.actions import CREATE, EVENTS, LOOKING, SUBSCRIBE, Action, can_look
from core.bindings.asking import Call, Question, Refused, asked, key_of, parameters_of
from core.bindings.audience import Subscription
from core.bindings.filters import require_filters
from core.bindings.messages import BAD_REQUEST, METHOD_NOT_ALLOWED, OK, Request, encode, reply
from core.bindings.sight import Interest

KEYS = ("action", "pk", "filter")
"""What the data of a subscription may hold."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client says when it subscribes and when it unsubscribes. Equal wishes are the same subscription."""

    stream: str
    event: str
    pk: Any
    query: str


@dataclass(frozen=True, slots=True)
class Subscribing:
    """A request to subscribe that is granted: ``subscription``, to be made at ``interest``."""

    request: Request
    wish: Hashable
    interest: Interest
    subscription: Subscription

    def confirmed(self, tracked: bool) -> str:
        """Return the reply as text. ``tracked`` tells whether everything that goes out of sight will be told."""
        return _confirmed(self.request, {"tracked": tracked})


@dataclass(frozen=True, slots=True)
class Unsubscribing:
    """A request to unsubscribe."""

    request: Request
    wish: Hashable

    def confirmed(self) -> str:
        """Return the reply as text."""
        return _confirmed(self.request, {})


def _confirmed(request: Request, more: dict[str, Any]) -> str:
    data = {name: request.data[name] for name in ("action", "filter") if name in request.data}
    pk = _named_row(request)
    return encode(reply(request, {**data, **({} if pk is None else {"pk": pk}), **more}, OK))


def judged(call: Call) -> Subscribing | Unsubscribing:
    """Return what is to be done. Raises ``Refused`` for what cannot be, and what REST raises for who may not look."""
    wish = _wish(call.request)
    detail = wish.pk is not None
    if call.request.action != SUBSCRIBE:
        return Unsubscribing(call.request, wish)
    if not can_look(call.binding, detail=detail):
        what = "single rows" if detail else "all rows"
        raise Refused(METHOD_NOT_ALLOWED, f"Nobody can look at {what} here, so nobody can subscribe to them.")
    question = Question(LOOKING[detail], SUBSCRIBE, wish.pk, wish.query)
    binding = asked(call.binding, call.caller, call.user(), call.origin, question)
    interest = Interest(call.binding, wish.stream, call.caller, wish.query, detail)
    if detail:
        return Subscribing(call.request, wish, interest, Subscription(wish.event, binding.get_object().pk))
    queryset = binding.get_queryset()
    require_filters(binding.view, queryset, list(call.request.data.get("filter") or ()))
    binding.filter_queryset(queryset)
    return Subscribing(call.request, wish, interest, Subscription(wish.event))


def looking_for(request: Request) -> Action:
    """Return what a subscription amounts to in REST."""
    return LOOKING[isinstance(request.data, dict) and _named_row(request) is not None]


def _wish(request: Request) -> Wish:
    """Return what the client wants. Raises ``Refused`` for what makes no sense."""
    data = request.data
    if not isinstance(data, dict) or data.get("action") not in EVENTS:
        raise Refused(BAD_REQUEST, f'Say what to hear of: "data": {{"action": …}}, with one of {", ".join(EVENTS)}.')
    if unknown := sorted(data.keys() - set(KEYS)):
        raise Refused(BAD_REQUEST, f'"{unknown[0]}" means nothing in a subscription. It has {", ".join(KEYS)}.')
    filter_ = data.get("filter") or {}
    pk = _named_row(request)
    if pk is None:
        query = parameters_of(dict(sorted(filter_.items())) if isinstance(filter_, dict) else filter_)
        return Wish(request.stream, data["action"], None, query)
    if filter_:
        raise Refused(BAD_REQUEST, 'A subscription to one row has no "filter".')
    if data["action"] == CREATE:
        raise Refused(BAD_REQUEST, "A row that is there is not created again: leave the pk out.")
    return Wish(request.stream, data["action"], key_of(pk), "")


def _named_row(request: Request) -> Any:
    """Return the key that a subscription names, in its data or beside it."""
    pk = request.data.get("pk")
    return request.pk if pk is None else pk
