"""The document over HTTP, and as a page to read."""

import json
from typing import Any

from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer, TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.asyncapi.document import document
from core.asyncapi.schemas import PREFIX


class AsyncAPIView(APIView):
    """The description of the sockets, as AsyncAPI 3."""

    schema = None
    permission_classes = (AllowAny,)
    renderer_classes = (JSONRenderer,)

    def get(self, request: Request) -> Response:
        """Return the document."""
        return Response(_document(request))


class AsyncAPIPage(APIView):
    """The same, to be read."""

    schema = None
    permission_classes = (AllowAny,)
    renderer_classes = (TemplateHTMLRenderer,)

    def get(self, request: Request) -> Response:
        """Show the document."""
        return Response({"document": _readable(_document(request))}, template_name="core/asyncapi.html")


def _document(request: Request) -> dict[str, Any]:
    return document(request.get_host(), secure=request.is_secure())


def _readable(described: dict[str, Any]) -> dict[str, Any]:
    """Return the document as the template shows it: operations under their channel, messages in place, JSON as text."""
    operations = [{"id": name, **each} for name, each in described["operations"].items()]
    channels = [
        {
            **channel,
            "id": name,
            "closed": channel["x-close-codes"],
            "groups": _groups(
                described, [each for each in operations if each["channel"]["$ref"] == f"#/channels/{name}"]
            ),
        }
        for name, channel in described["channels"].items()
    ]
    schemas = [{"id": name, "text": _text(each)} for name, each in described["components"]["schemas"].items()]
    server = described["servers"]["site"]
    return {
        **described["info"],
        "address": f"{server['protocol']}://{server['host']}",
        "channels": channels,
        "schemas": schemas,
    }


def _groups(described: dict[str, Any], operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for operation in operations:
        tag = operation.get("tags", [{"name": ""}])[0]["name"]
        shown = {
            "id": operation["id"],
            "name": operation["id"].partition(".")[2],
            "summary": operation.get("summary", ""),
            "receives": operation["action"] == "receive",
            "messages": [_message(described, each) for each in operation["messages"]],
            "replies": [_message(described, each) for each in operation.get("reply", {}).get("messages", ())],
        }
        groups.setdefault(tag, []).append(shown)
    return [{"name": name, "operations": each} for name, each in groups.items()]


def _message(described: dict[str, Any], reference: dict[str, str]) -> dict[str, Any]:
    _, _, channel, _, name = reference["$ref"].split("/", 4)
    found = described["channels"][channel]["messages"][name]
    return {"name": name, "title": found["title"], "text": _text(found["payload"])}


def _text(schema: Any) -> str:
    return json.dumps(shape(schema), indent=2, ensure_ascii=False).replace('"<', "<").replace('>"', ">")


def shape(schema: Any) -> Any:
    """Return a schema as an outline of the JSON it describes, in which ``<…>`` stands for a value of that kind."""
    if "$ref" in schema:
        return f"<{schema['$ref'].removeprefix(PREFIX)}>"
    if "const" in schema:
        return schema["const"]
    if "properties" in schema:
        required = schema.get("required", ())
        return {f"{key}{'' if key in required else '?'}": shape(each) for key, each in schema["properties"].items()}
    if schema.get("type") == "array":
        return [shape(schema.get("items", {})), "<…>"]
    if "enum" in schema:
        return "<" + " | ".join(map(str, schema["enum"])) + ">"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return shape(schema[several][0])
    kinds = schema.get("type", "any")
    return "<" + (kinds if isinstance(kinds, str) else " | ".join(kinds)) + ">"
