"""Serializers as JSON Schema, by way of the components that drf-spectacular makes of them."""

from collections.abc import Iterator
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from rest_framework.generics import GenericAPIView

Schema = dict[str, Any]

PREFIX = "#/components/schemas/"


class Schemas:
    """The OpenAPI description of the site, and what other serializers add to its components."""

    def __init__(self) -> None:
        self._generator = SchemaGenerator()
        self.openapi: Schema = self._generator.get_schema(request=None, public=True)

    def of_serializer(self, serializer_class: Any, method: str, direction: str) -> Schema:
        """Return the schema of what ``serializer_class`` reads (``"request"``) or answers with (``"response"``).

        ``method`` is what REST would call the action: PATCH asks for no field. Without a serializer it is any JSON.
        """
        if serializer_class is None:
            return {}
        schema: Any = AutoSchema()
        schema.view, schema.registry = GenericAPIView(), self._generator.registry
        schema.method, schema.path, schema.path_prefix = method, "/", "/"
        component = schema.resolve_serializer(serializer_class(partial=method == "PATCH"), direction)
        return component.ref if component else {}

    def of_action(self, viewset: Any, action: Any) -> tuple[Schema, Schema]:
        """Return the schemas of what an extra action of ``viewset`` takes and answers, as REST describes it."""
        generator = self._generator
        callback = viewset.as_view(
            {action.method.lower(): action.view_action}, detail=action.detail, **action.attributes
        )
        view: Any = generator.create_view(callback, action.method)
        path = f"/{{{view.lookup_field}}}/" if action.detail else "/"
        operation = view.schema.get_operation(path, path, "/", action.method, generator.registry)
        succeeded = [response for code, response in operation["responses"].items() if code.startswith("2")]
        return _content(operation.get("requestBody", {})), _content(succeeded[0] if succeeded else {})

    def components(self, used: Any) -> dict[str, Schema]:
        """Return those components, as JSON Schema, that ``used`` refers to, directly or not."""
        known = self._generator.registry.build({}).get("schemas", {})
        found: dict[str, Schema] = {}
        wanted = list(references(used))
        while wanted:
            name = wanted.pop()
            if name not in found and name in known:
                found[name] = as_json_schema(known[name])
                wanted += references(known[name])
        return dict(sorted(found.items()))


def _content(described: Schema) -> Schema:
    for media_type, content in described.get("content", {}).items():
        if "json" in media_type:
            schema: Schema = content.get("schema", {})
            return schema
    return {}


def references(described: Any) -> Iterator[str]:
    """Yield the names of the components that are referred to anywhere in ``described``."""
    if isinstance(described, dict):
        reference = described.get("$ref")
        if isinstance(reference, str) and reference.startswith(PREFIX):
            yield reference.removeprefix(PREFIX)
        for value in described.values():
            yield from references(value)
    elif isinstance(described, list | tuple):
        for value in described:
            yield from references(value)


def as_json_schema(schema: Any) -> Any:
    """Return an OpenAPI 3.0 schema as JSON Schema: what may be null is said by its type."""
    if isinstance(schema, list | tuple):
        return [as_json_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: as_json_schema(value) for key, value in schema.items() if key != "nullable"}
    if not schema.get("nullable"):
        return result
    if isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
        if "enum" in result and None not in result["enum"]:
            result["enum"] = [*result["enum"], None]
        return result
    return {"anyOf": [result, {"type": "null"}]}
