"""Answers one request of a client, in a thread that may use the database."""

import inspect
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import router, transaction
from django.http.response import HttpResponseBase
from django.utils import translation
from rest_framework import exceptions

from core.bindings import views
from core.bindings.actions import EVENTS, SUBSCRIBE, UNSUBSCRIBE, Action, actions_of, can_look
from core.bindings.failures import described, listed
from core.bindings.messages import (
    BAD_REQUEST,
    METHOD_NOT_ALLOWED,
    SERVER_ERROR,
    Request,
    encode,
    error_reply,
    query_of,
    reply,
)
from core.bindings.resource import ResourceBinding
from core.callers import Caller, CallerGoneError
from core.keys.passing import OBSERVE

NO_CONTENT: Final = 204
CREATED: Final = 201
OK: Final = 200
LEAST_ERROR: Final = 400


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the requests of a socket come from: what REST would know of the connection besides the caller."""

    path: str
    address: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a client, to one binding."""

    binding: type[ResourceBinding]
    request: Request
    caller: Caller
    origin: Origin


class GoneError(Exception):
    """The caller of a socket has lost the right to be there."""


def perform(call: Call) -> "str | Unfinished":
    """Return the reply to ``call`` as text, or what is still to be awaited for it on the loop.

    Raises ``GoneError`` if there is no such caller any more.
    """
    with translation.override(call.caller.language or None):
        try:
            action = _action(call)
            binding = _binding(call, action)
            return _run(call, binding, action)
        except Exception as error:  # noqa: BLE001 - one request that fails is no reason for another to
            return failed(call, error)


def failed(call: Call, error: Exception) -> str:
    """Return the reply that tells of ``error``. Raises ``GoneError`` if it is about the caller."""
    if isinstance(error, CallerGoneError):
        raise GoneError from error
    status, errors = described(error, anonymous=call.caller.user_pk is None)
    return encode(error_reply(call.request.stream, call.request.payload, status, *errors))


def _action(call: Call) -> Action:
    known = actions_of(call.binding)
    action = known.get(call.request.action)
    if action is None:
        names = ", ".join([*known, *([SUBSCRIBE, UNSUBSCRIBE] if _subscribable(call.binding) else [])])
        raise Refused(METHOD_NOT_ALLOWED, f"There is no action {call.request.action!r} here. Actions: {names}.")
    return action


def _subscribable(binding: type[ResourceBinding]) -> bool:
    return any(can_look(binding, detail=detail) for detail in (False, True))


class Refused(exceptions.APIException):  # noqa: N818 - it is raised to be answered
    """A request that cannot be fulfilled as it stands."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status_code = status


def _binding(call: Call, action: Action) -> ResourceBinding:
    """Return the binding for one request, after everything that REST asks before an action has been asked."""
    request = call.request
    pk = key_of(request.pk, required=action.detail) if action.detail or request.pk is not None else None
    data, query = request.data, ""
    if not action.writes:
        query, data = parameters_of(data), {}
    return prepared(call, action, action.name, pk if action.detail else None, query, data, counted=True)


def prepared(  # noqa: PLR0913 - what a request is made of
    call: Call, action: Action, name: str, pk: Any, query: str, data: Any, *, counted: bool
) -> ResourceBinding:
    """Return a binding that has been asked for ``action`` under ``name``. Raises what permissions and the like raise."""
    user = call.caller.user()
    return bound(call.binding, call.caller, user, call.origin, action, name, pk, query, data, counted=counted)


def bound(  # noqa: PLR0913, PLR0917 - what a request is made of
    binding_class: type[ResourceBinding],
    caller: Caller,
    user: Any,
    origin: Origin,
    action: Action,
    name: str,
    pk: Any,
    query: str,
    data: Any,
    *,
    counted: bool,
) -> ResourceBinding:
    """Return a binding for ``user``, its view past all the checks of REST. Raises what they raise."""
    binding = binding_class()
    view = binding_class.view_class()(**action.attributes)
    view.binding, view.counted, view.detail = binding, counted, action.detail
    binding.caller, binding.user, binding.view = caller, user, view
    binding.asked, binding.action, binding.pk = action, name, pk
    http = caller.request(action.method, origin.path, query, user=user, address=origin.address, **origin.headers)
    kwargs = {} if pk is None else {view.lookup_url_kwarg or view.lookup_field: pk}
    views.begin(view, http, action.method, action.view_action, kwargs, data)
    binding.request = view.request
    return binding


def key_of(pk: Any, *, required: bool) -> Any:
    """Return the key that a client has named as REST has it from a URL: a text, or a tuple for a key of several parts.

    Raises ``Refused`` for what is no key.
    """
    if pk is None and required:
        raise Refused(BAD_REQUEST, '"pk" is missing in the payload: it names the row.')
    if isinstance(pk, list) and pk and all(_is_plain(part) for part in pk):
        return tuple(str(part) for part in pk)
    if not _is_plain(pk):
        raise Refused(BAD_REQUEST, '"pk" is neither a text nor a whole number.')
    return str(pk)


def _is_plain(pk: Any) -> bool:
    return isinstance(pk, str | int) and not isinstance(pk, bool)


def parameters_of(data: Any) -> str:
    """Return parameters as a query string. Raises ``Refused`` for what cannot be one."""
    try:
        query = query_of(data)
    except ValueError as error:
        raise Refused(BAD_REQUEST, str(error)) from None
    if OBSERVE in data:
        raise Refused(BAD_REQUEST, f'"{OBSERVE}" is for live queries over HTTP. Here, subscribe.')
    return query


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An action that has to be awaited on the loop."""

    call: Call
    action: Action
    result: Awaitable[Any]

    async def finished(self) -> str:
        """Return the reply as text."""
        try:
            return _told(self.call, self.action, await self.result)
        except Exception as error:  # noqa: BLE001 - as above
            return failed(self.call, error)


def _run(call: Call, binding: ResourceBinding, action: Action) -> "str | Unfinished":
    if action.binding_method is None:
        result = _in_transaction(action, binding, binding.answer)
        return _told(call, action, result)
    method = getattr(binding, action.binding_method)
    arguments: dict[str, Any] = {"data": call.request.data}
    if action.detail:
        arguments["pk"] = binding.pk
    if inspect.iscoroutinefunction(method):
        return Unfinished(call, action, method(**arguments))
    return _told(call, action, _in_transaction(action, binding, lambda: method(**arguments)))


def _in_transaction(action: Action, binding: ResourceBinding, work: Any) -> Any:
    if not action.writes:
        return work()
    with transaction.atomic(using=router.db_for_write(type(binding).get_model())):
        return work()


def _told(call: Call, action: Action, result: Any) -> str:
    data, status = _parts(result)
    if status >= LEAST_ERROR:
        return encode(error_reply(call.request.stream, call.request.payload, status, *listed(data)))
    if status == NO_CONTENT:
        data, status = {}, OK
    return encode(reply(call.request, {} if data is None else data, status))


def _parts(result: Any) -> tuple[Any, int]:
    """Return the data and the status of what an action has returned."""
    if isinstance(result, HttpResponseBase):
        if result.status_code != NO_CONTENT and not hasattr(result, "data"):
            raise TypeError("The action answers something that is no data.")
        return getattr(result, "data", None), result.status_code
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], int):
        return result
    return result, OK
