"""Which refusals an operation can answer with. Each is one shared component of the description."""

from collections.abc import Iterator
from typing import Any

from drf_spectacular.plumbing import ComponentIdentity, ResolvedComponent
from rest_framework.permissions import SAFE_METHODS, AllowAny

_DETAIL = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
_REFUSALS: dict[str, tuple[str, str, Any, Any]] = {
    "400": (
        "Invalid",
        "The request is not valid. The body says why, by field; for a list, by the place of the item.",
        {},
        {"question_text": ["This field is required."]},
    ),
    "401": (
        "NotAuthenticated",
        "The caller is not known, or the credentials are wrong.",
        _DETAIL,
        {"detail": "Authentication credentials were not provided."},
    ),
    "403": (
        "Forbidden",
        "The caller may not do this, or the CSRF token of the session is missing.",
        _DETAIL,
        {"detail": "You do not have permission to perform this action."},
    ),
    "404": (
        "NotFound",
        "There is no such row, or the caller may not see it.",
        _DETAIL,
        {"detail": "No Question matches the given query."},
    ),
    "409": (
        "Conflict",
        "The database refuses: a constraint, a protected row, a deadlock. Nothing was written.",
        {},
        {"detail": "Another transaction was in the way. Try again."},
    ),
    "412": (
        "PreconditionFailed",
        "The row is no longer what the condition says: read it again. `ETag` is its tag now.",
        _DETAIL,
        {"detail": "Precondition failed."},
    ),
    "415": (
        "UnsupportedMediaType",
        "The body is of a kind that is not understood here.",
        _DETAIL,
        {"detail": 'Unsupported media type "text/plain" in request.'},
    ),
    "428": (
        "PreconditionRequired",
        "This write has to be conditional.",
        _DETAIL,
        {"detail": "A PUT here has to be conditional. Send If-Match."},
    ),
    "429": (
        "TooManyRequests",
        "The caller asks too often; `Retry-After` says how many seconds to wait.",
        _DETAIL,
        {"detail": "Request was throttled. Expected available in 12 seconds."},
    ),
}


def add_refusals(operation: Any, schema: Any) -> None:
    """Add to the responses of ``operation``, described by ``schema``, the refusals that are not there yet."""
    responses = operation["responses"]
    for code in _refusals(operation, schema):
        if code not in responses:
            responses[code] = refusal(code, schema.registry)
    operation["responses"] = dict(sorted(responses.items()))


def refusal(code: str, registry: Any) -> Any:
    """Return the reference to the response with status ``code``."""
    name, says, body, example = _REFUSALS[code]
    content = {"application/json": {"schema": body, "examples": {name: {"value": example}}}}
    component = ResolvedComponent(
        name=name,
        type=ResolvedComponent.RESPONSE,
        schema={"description": says, "content": content},
        object=ComponentIdentity(name),
    )
    registry.register_on_missing(component)
    return component.ref


def _refusals(operation: Any, schema: Any) -> Iterator[str]:
    view, parameters = schema.view, operation.get("parameters", ())
    writes = schema.method not in SAFE_METHODS
    if "requestBody" in operation or any(each["in"] == "query" for each in parameters):
        yield "400"
    if view.get_authenticators():
        yield "401"
        if writes or not all(isinstance(each, AllowAny) for each in view.get_permissions()):
            yield "403"
    if any(each["in"] == "path" for each in parameters):
        yield "404"
    if "requestBody" in operation:
        yield "415"
    if view.get_throttles():
        yield "429"
