"""The resource socket: what can be asked of each stream, what it replies, and its events."""

from typing import Any

from core.asyncapi.parts import Parts, any_of, constant, message, record
from core.asyncapi.schemas import Schema, Schemas
from core.bindings.actions import Action
from core.bindings.streams import Stream, described

CHANNEL = "resources"
_PK: Schema = {"type": ["integer", "string"], "description": "The key of the row."}
_ID: Schema = {"description": "Any JSON; the reply has it."}
_PAGE: Schema = {
    "type": "object",
    "properties": {"page": {"type": "integer", "minimum": 1}},
    "description": "The page, counted from 1, and any filter of the list.",
    "additionalProperties": {},
}
_DID: dict[str, str] = {"create": "created", "update": "changed", "delete": "deleted, or out of sight"}


def add_resources(parts: Parts, schemas: Schemas) -> None:
    """Add the channel, its operations and messages, for every stream that is declared."""
    parts.channel(
        CHANNEL,
        "/ws/",
        title="Resource socket",
        description="REST and subscriptions over one socket. Each message names the stream it is for.",
    )
    for stream in described():
        for action in stream.actions:
            _add_action(parts, schemas, stream, action)
        if stream.subscriptions:
            _add_subscriptions(parts, stream)
            _add_events(parts, schemas, stream)


def _add_action(parts: Parts, schemas: Schemas, stream: Stream, action: Action) -> None:
    taken, given = _data(schemas, stream, action)
    asked: dict[str, Schema] = {"action": constant(action.name)}
    required = ["action"]
    if action.detail:
        asked["pk"] = _PK
        required.append("pk")
    if taken is not None:
        asked["data"] = taken
    asked["request_id"] = _ID
    name = f"{stream.name}.{action.name}"
    request = message(name, f"Ask {stream.name} to {action.name}", _envelope(stream.name, record(asked, required)))
    reply = message(f"{name}.reply", "What it answers", _envelope(stream.name, _reply(action.name, given)))
    says = _first_line(getattr(stream.binding, action.binding_method or action.name, None))
    summary = says if action.binding_method else _summary_of_extra(stream, action)
    parts.request(CHANNEL, name, request, reply, summary=summary, tag=stream.name)


def _data(schemas: Schemas, stream: Stream, action: Action) -> tuple[Schema | None, Schema]:
    """Return the schemas of the data that an action takes (None: it takes none) and gives."""
    serializer = stream.serializer_class(action)
    match action.view_action:
        case "list":
            return _PAGE, {"type": "array", "items": schemas.of_serializer(serializer, action.method, "response")}
        case "retrieve":
            return None, schemas.of_serializer(serializer, action.method, "response")
        case "destroy":
            return None, {"type": "object", "maxProperties": 0}
        case "create" | "update" | "partial_update":
            taken = schemas.of_serializer(serializer, action.method, "request")
            return taken, schemas.of_serializer(serializer, action.method, "response")
    if action.binding_method is None and stream.binding.viewset_class is not None:
        taken, given = schemas.of_action(stream.binding.viewset_class, action)
        return taken or None, given
    return {}, {}


def _add_subscriptions(parts: Parts, stream: Stream) -> None:
    wish = record(
        {
            "action": {"enum": list(stream.subscriptions)},
            "pk": {**_PK, "description": "One row instead of all; not of creations."},
            "filter": {
                "type": "object",
                "description": "The filters of the list, strictly.",
                "additionalProperties": {},
            },
        },
        ["action"],
    )
    confirmed = {**wish, "properties": {**wish["properties"], "tracked": {"type": "boolean"}}}
    says = {
        "subscribe": f"Hear of {stream.name}. The reply comes when the subscription is live.",
        "unsubscribe": f"Hear no more of {stream.name}; the data is that of the subscription.",
    }
    for action, summary in says.items():
        name = f"{stream.name}.{action}"
        asked = record({"action": constant(action), "data": wish, "request_id": _ID}, ["action", "data"])
        request = message(name, summary, _envelope(stream.name, asked))
        reply = message(f"{name}.reply", "What is subscribed to", _envelope(stream.name, _reply(action, confirmed)))
        parts.request(CHANNEL, name, request, reply, summary=summary, tag=stream.name)


def _add_events(parts: Parts, schemas: Schemas, stream: Stream) -> None:
    shown = next((each for each in stream.actions if each.view_action in {"list", "retrieve"}), None)
    row = schemas.of_serializer(stream.serializer_class(shown), "GET", "response") if shown else {}
    messages = []
    for event in stream.subscriptions:
        data = row if event != "delete" else {"type": "object", "maxProperties": 0}
        told = record(
            {"action": constant(event), "pk": _PK, "model": constant(stream.model), "data": data},
            ["action", "pk", "model", "data"],
        )
        name = f"{stream.name}.{event}.event"
        messages.append(message(name, f"A row was {_DID[event]}", _envelope(stream.name, told)))
    summary = f"What happens to {stream.name}, to those who have subscribed to it."
    parts.event(CHANNEL, f"{stream.name}.events", messages, summary=summary, tag=stream.name)


def _envelope(stream: str, payload: Schema) -> Schema:
    return record({"stream": constant(stream), "payload": payload}, ["stream", "payload"])


def _reply(action: str, data: Schema) -> Schema:
    properties = {
        "action": constant(action),
        "data": any_of(data, {"type": "object", "maxProperties": 0}),
        "errors": {"type": "array", "description": "Sentences, or one object with those of each field.", "items": {}},
        "response_status": {"type": "integer", "description": "As in HTTP."},
        "request_id": _ID,
    }
    return record(properties, list(properties))


def _summary_of_extra(stream: Stream, action: Action) -> str:
    if action.view_action in {"create", "retrieve", "list", "update", "partial_update", "destroy"}:
        return _first_line(getattr(stream.binding, action.name, None))
    return _first_line(getattr(stream.binding.viewset_class, action.view_action, None))


def _first_line(method: Any) -> str:
    return ((method and method.__doc__) or "").strip().partition("\n")[0]
