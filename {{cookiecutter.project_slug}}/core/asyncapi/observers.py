"""The observer socket: the differences of live queries, for every view that can be observed."""

from collections.abc import Iterator
from typing import Any

from core.asyncapi.parts import Parts, constant, message, record
from core.asyncapi.schemas import PREFIX, Schema, Schemas

CHANNEL = "observers"
_OBSERVER: Schema = {"type": "string", "description": "Which live query it is about, as GET has said."}
_COMMON: dict[str, Schema] = {
    "observer": _OBSERVER,
    "primary_key": {"type": "string", "description": "The field of an item that tells it from others."},
    "order": {
        "type": "integer",
        "description": "The place in the list after this evaluation; of what is gone, before.",
    },
    "seq": {"type": "integer", "description": "Grows by one with each evaluation that changed something."},
    "last": {"type": "boolean", "description": "Whether this is the last message of that evaluation."},
}
_SAYS = {"added": "An item has come", "changed": "An item has changed, or moved", "removed": "An item has gone"}
_NOTICES: dict[str, tuple[str, dict[str, Schema]]] = {
    "revoked": ("The caller may not see this any more: drop the items", {}),
    "suspended": ("The server follows this no longer", {"detail": {"type": "string"}}),
    "reload": ("What was missed is not known any more: ask again by GET", {}),
}


def add_observers(parts: Parts, schemas: Schemas) -> None:
    """Add the channel, and an operation for each view that can be observed."""
    parts.channel(
        CHANNEL,
        "/ws/{subscriber}",
        title="Observer socket",
        description="Differences of live queries. Open it, then `GET <list>?observe=<subscriber>` over HTTP: the "
        "answer has the items and their `seq`, and what changes afterwards comes here. Messages with a `seq` that is "
        "known are repetitions; after a gap, `GET <list>?observe=<subscriber>&since=<seq>` gives what was missed.",
        parameters={"subscriber": {"description": "A random id of the caller's own, such as 128 bits in hex."}},
    )
    for path, item in observables(schemas.openapi):
        name = item.get("$ref", "").removeprefix(PREFIX) or "Item"
        messages = [_difference(msg, name, item) for msg in _SAYS]
        summary = f"GET {path}?observe=<subscriber>"
        parts.event(CHANNEL, path.strip("/").translate(_PLAIN), messages, summary=summary, tag=name)
    notices = [_notice(msg) for msg in _NOTICES]
    parts.event(CHANNEL, "notices", notices, summary="What concerns a live query as a whole.")


_PLAIN = str.maketrans({"/": ".", "{": None, "}": None})


def observables(openapi: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield path and item of every operation of an OpenAPI description that can be observed."""
    for path, operations in openapi["paths"].items():
        operation: Any = operations.get("get", {})
        if not any(each["name"] == "observe" for each in operation.get("parameters", ())):
            continue
        for content in operation["responses"]["200"]["content"].values():
            observed = content["schema"]["oneOf"][1]["$ref"].removeprefix(PREFIX)
            yield path, openapi["components"]["schemas"][observed]["properties"]["items"]["items"]
            break


def _difference(msg: str, name: str, item: Schema) -> Schema:
    shown = item if msg != "removed" else {"type": "object", "description": "The key, at least."}
    told = {"msg": constant(msg), **_COMMON, "item": shown}
    return message(f"{name}.{msg}", _SAYS[msg], record(told, list(told)))


def _notice(msg: str) -> Schema:
    says, more = _NOTICES[msg]
    told = {"msg": constant(msg), "observer": _OBSERVER, **more}
    return message(msg, says, record(told, list(told)))
