"""Puts the document together: plain data, ready to be written as JSON."""

from django.conf import settings
from drf_spectacular.settings import spectacular_settings

from core.asyncapi.observers import add_observers
from core.asyncapi.parts import Parts
from core.asyncapi.resources import add_resources
from core.asyncapi.schemas import Schema, Schemas, as_json_schema
from core.conf import core_settings

VERSION = "3.0.0"


def document(host: str, *, secure: bool) -> Schema:
    """Return the description of the sockets that are switched on, as served at ``host``."""
    schemas, parts = Schemas(), Parts()
    if core_settings.BINDINGS.ENABLED:
        add_resources(parts, schemas)
    if core_settings.REACTIVE.ENABLED:
        add_observers(parts, schemas)
    channels: Schema = as_json_schema(parts.channels)
    return {
        "asyncapi": VERSION,
        "info": {
            "title": spectacular_settings.TITLE,
            "version": spectacular_settings.VERSION,
            "description": spectacular_settings.DESCRIPTION,
        },
        "defaultContentType": "application/json",
        "servers": {"site": _server(host, secure=secure)},
        "channels": channels,
        "operations": parts.operations,
        "components": {
            "schemas": schemas.components(channels),
            "securitySchemes": {
                "session": {"type": "httpApiKey", "name": settings.SESSION_COOKIE_NAME, "in": "cookie"},
                "token": {
                    "type": "httpApiKey",
                    "name": "Authorization",
                    "in": "header",
                    "description": "`Token <key>`, for programs; browsers have the session.",
                },
            },
        },
    }


def _server(host: str, *, secure: bool) -> Schema:
    schemes = ("session", "token")
    return {
        "host": host,
        "protocol": "wss" if secure else "ws",
        "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in schemes],
    }
