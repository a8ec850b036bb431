"""The pieces that a document of AsyncAPI 3 is put together from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.asyncapi.schemas import Schema
from core.sockets import CloseCode


@dataclass
class Parts:
    """Channels and operations, as they come together."""

    channels: dict[str, Schema] = field(default_factory=dict)
    operations: dict[str, Schema] = field(default_factory=dict)

    def channel(self, name: str, address: str, **more: Any) -> None:
        """Add a socket. Every socket answers pings and tells by a code why it was closed."""
        self.channels[name] = {
            "address": address,
            **more,
            "messages": {},
            "bindings": {"ws": {"method": "GET"}},
            "x-close-codes": [{"code": int(code), "name": code.name, "description": code.reason} for code in CloseCode],
        }
        ping = message("ping", "Are you there?", record({"ping": {"description": "Any JSON."}}, ["ping"]))
        pong = message("pong", "The answer to a ping", record({"pong": {"description": "That of the ping."}}, ["pong"]))
        self.request(name, "ping", ping, pong, summary="A page cannot see the pings of the protocol itself.")

    def request(self, channel: str, name: str, request: Schema, reply: Schema, **more: str) -> None:
        """Add what a client may send, and how it is answered."""
        operation = self._operation(channel, "receive", [request], more)
        operation["reply"] = {"channel": _channel(channel), "messages": [self._message(channel, reply)]}
        self.operations[f"{channel}.{name}"] = operation

    def event(self, channel: str, name: str, messages: Sequence[Schema], **more: str) -> None:
        """Add what the server sends by itself."""
        self.operations[f"{channel}.{name}"] = self._operation(channel, "send", messages, more)

    def _operation(self, channel: str, action: str, messages: Sequence[Schema], more: dict[str, str]) -> Schema:
        references = [self._message(channel, each) for each in messages]
        operation: Schema = {"action": action, "channel": _channel(channel)}
        operation |= {key: value for key, value in more.items() if key != "tag" and value}
        if "tag" in more:
            operation["tags"] = [{"name": more["tag"]}]
        return {**operation, "messages": references}

    def _message(self, channel: str, described: Schema) -> Schema:
        self.channels[channel]["messages"][described["name"]] = described
        return {"$ref": f"#/channels/{channel}/messages/{described['name']}"}


def _channel(name: str) -> Schema:
    return {"$ref": f"#/channels/{name}"}


def message(name: str, title: str, payload: Schema) -> Schema:
    """Return a message that is JSON."""
    return {"name": name, "title": title, "contentType": "application/json", "payload": payload}


def record(properties: dict[str, Schema], required: Sequence[str]) -> Schema:
    """Return the schema of an object."""
    return {"type": "object", "properties": properties, "required": list(required)}


def constant(value: str) -> Schema:
    """Return the schema of one value."""
    return {"type": "string", "const": value}


def any_of(*schemas: Schema) -> Schema:
    """Return the schema of what fits one of ``schemas``; that of any JSON fits everything."""
    if any(not each for each in schemas):
        return {}
    return {"anyOf": list(schemas)}
