"""Answers one request of a client, in a thread that may use the database."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections, router, transaction
from django.http.response import HttpResponseBase
from django.utils import translation

from core.bindings.actions import SUBSCRIBE, UNSUBSCRIBE, Action, actions_of, can_look
from core.bindings.asking import Call, Question, Refused, asked, key_of, parameters_of, recognised
from core.bindings.failures import described, listed
from core.bindings.messages import METHOD_NOT_ALLOWED, OK, encode, error_reply, refusal, reply
from core.bindings.resource import ResourceBinding
from core.bindings.subscribing import Subscribing, Unsubscribing, judged, looking_for
from core.callers import CallerGoneError

NO_CONTENT: Final = 204
LEAST_ERROR: Final = 400


class GoneError(Exception):
    """The caller of a socket has lost the right to be there."""


def perform(call: Call) -> "str | Unfinished | Subscribing | Unsubscribing":
    """Return the reply to ``call`` as text, or what is still to be done for it on the loop.

    Raises ``GoneError`` if there is no such caller any more.
    """
    with translation.override(call.caller.language or None):
        try:
            if call.request.action in {SUBSCRIBE, UNSUBSCRIBE} and _subscribable(call.binding):
                call = recognised(call, looking_for(call.request))
                return judged(call)
            action = _action(call)
            call = recognised(call, action)
            return _run(call, action, _asked(call, action))
        except BaseException as error:  # noqa: BLE001 - no request is to remain without a reply
            return failed(call, error)


def failed(call: Call, error: BaseException) -> str:
    """Return the reply that tells of ``error``. Raises ``GoneError`` if it is about the caller."""
    if isinstance(error, CallerGoneError):
        raise GoneError from error
    status, errors = described(error, anonymous=call.caller.user_pk is None)
    return refusal(call.request.stream, call.request.payload, status, *errors)


def _action(call: Call) -> Action:
    known = actions_of(call.binding)
    action = known.get(call.request.action)
    if action is None:
        names = ", ".join([*known, *([SUBSCRIBE, UNSUBSCRIBE] if _subscribable(call.binding) else [])])
        raise Refused(METHOD_NOT_ALLOWED, f"There is no action {call.request.action!r} here. Actions: {names}.")
    return action


def _subscribable(binding: type[ResourceBinding]) -> bool:
    return any(can_look(binding, detail=detail) for detail in (False, True))


def _asked(call: Call, action: Action) -> ResourceBinding:
    """Return the binding that is to answer, after everything that REST asks before it runs an action."""
    pk = key_of(call.request.pk) if action.detail else None
    if action.writes:
        question = Question(action, action.name, pk, data=call.request.data)
    else:
        question = Question(action, action.name, pk, query=parameters_of(call.request.data))
    return asked(call.binding, call.caller, call.user(), call.origin, question)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An action that has to be awaited on the loop."""

    call: Call
    work: Callable[[], Awaitable[Any]]

    async def finished(self) -> str:
        """Return the reply as text. Raises ``GoneError`` as ``perform`` does."""
        # A thread of its own for what Django runs in one: else it would wait for that of all other sockets.
        async with ThreadSensitiveContext():
            try:
                return _told(self.call, await self.work())
            except Exception as error:  # noqa: BLE001 - as above
                return failed(self.call, error)
            finally:
                await sync_to_async(connections.close_all)()


def _run(call: Call, action: Action, binding: ResourceBinding) -> "str | Unfinished":
    if action.binding_method is None:
        return _told(call, _in_transaction(action, binding, binding.answer))
    method = getattr(binding, action.binding_method)
    arguments: dict[str, Any] = {"data": call.request.data}
    if action.detail:
        arguments["pk"] = binding.pk
    if inspect.iscoroutinefunction(method):
        return Unfinished(call, partial(method, **arguments))
    return _told(call, _in_transaction(action, binding, lambda: method(**arguments)))


def _in_transaction(action: Action, binding: ResourceBinding, work: Callable[[], Any]) -> Any:
    # Not around what somebody wrote, which may take its time: on SQLite nobody else could write meanwhile.
    if not (action.writes and action.is_built_in):
        return work()
    model = type(binding).find_model()
    with transaction.atomic(using=None if model is None else router.db_for_write(model)):
        return work()


def _told(call: Call, result: Any) -> str:
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
