"""Makes of a client's request what a view of REST can judge: a binding whose view has passed all its checks."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, TokenAuthentication

from core.bindings import views
from core.bindings.actions import Action
from core.bindings.messages import BAD_REQUEST, Request, query_of
from core.bindings.resource import ResourceBinding
from core.callers import Caller, User
from core.keys.passing import OBSERVE
from core.sockets.credentials import Credential, user_of


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the requests of a socket come from: what REST would know of the connection besides the caller."""

    path: str
    address: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a client, to one binding. ``credential`` is what the caller has come by."""

    binding: type[ResourceBinding]
    request: Request
    caller: Caller
    origin: Origin
    credential: Credential | None = None

    def user(self) -> User:
        """Return the user as the database has them now. Raises ``CallerGoneError`` for one who may not be here."""
        return self.caller.user() if self.credential is None else user_of(self.credential)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a binding: ``action``, which permissions know as ``name``, of the row ``pk`` or of none.

    ``counted`` tells whether it counts for throttles: what a client sends does, looking for whom an event is does not.
    """

    action: Action
    name: str
    pk: Any = None
    query: str = ""
    data: Any = None
    counted: bool = True


class Refused(exceptions.APIException):
    """A request that cannot be fulfilled as it stands."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status_code = status


_ACCEPTED_BY: Final[Mapping[str, type[BaseAuthentication]]] = {
    "session": SessionAuthentication,
    "token": TokenAuthentication,
}


def recognised(call: Call, action: Action) -> Call:
    """Return ``call`` as ``action`` takes it: by somebody whose kind of credential it does not take, it is nobody's.

    What an authentication class of another make would say of a session or a token is not known, so it takes neither.
    """
    if call.credential is None:
        return call
    view: Any = call.binding.view_class()(**action.attributes)
    view.request, view.action, view.detail = None, action.view_action, action.detail
    if any(isinstance(each, _ACCEPTED_BY[call.credential.kind]) for each in view.get_authenticators()):
        return call
    return replace(call, caller=replace(call.caller, user_pk=None), credential=None)


def asked(
    binding_class: type[ResourceBinding], caller: Caller, user: Any, origin: Origin, question: Question
) -> ResourceBinding:
    """Return a binding of which ``question`` may be asked. Raises what permissions, throttles and the like raise."""
    action = question.action
    binding = binding_class()
    view = binding_class.view_class()(**action.attributes)
    view.binding, view.counted, view.detail = binding, question.counted, action.detail
    binding.caller, binding.user, binding.view = caller, user, view
    binding.asked, binding.action, binding.pk = action, question.name, question.pk
    headers: Mapping[str, Any] = origin.headers
    http = caller.request(action.method, origin.path, question.query, user=user, address=origin.address, **headers)
    kwargs = {} if question.pk is None else {view.lookup_url_kwarg or view.lookup_field: question.pk}
    data = {} if question.data is None else question.data
    binding.request = views.begin(view, http, action, kwargs, data)
    return binding


def key_of(pk: Any) -> Any:
    """Return the key that a client has named as REST has it from a URL: a text, or a tuple for a key of several parts.

    Raises ``Refused`` for what is no key.
    """
    if pk is None:
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
