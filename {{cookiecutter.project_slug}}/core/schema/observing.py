"""Live queries in the description of an operation."""

from typing import Any

from drf_spectacular.plumbing import ComponentIdentity, ResolvedComponent

from core.conf import core_settings

MARK = "observable"
"""The attribute of a method that can be observed."""
_PARAMETERS: list[dict[str, Any]] = [
    {
        "in": "query",
        "name": "observe",
        "schema": {"type": "string"},
        # No example: pages to try the API out would send it, and a subscriber belongs to who sends it first.
        "description": "Follow the answer: differences come on the socket `/ws/{subscriber}`. A random id of the "
        "caller's own, of 1 to 100 letters, digits, `.`, `_`, `~` and `-`: 128 bits in hex, say.",
    },
    {
        "in": "query",
        "name": "since",
        "schema": {"type": "integer"},
        "description": "With `observe`: the `seq` up to which the caller has everything. The answer has `messages`, "
        "what was missed, or `items` again where that is not known any more.",
    },
]


def add_observing(operation: Any, schema: Any) -> None:
    """Add to ``operation`` what an observable method takes and answers; nothing where it is not observable."""
    view = schema.view
    action = getattr(view, "action", None) or schema.method.lower()
    if not hasattr(getattr(view, action, None), MARK) or schema.method != "GET" or not core_settings.REACTIVE.ENABLED:
        return
    operation.setdefault("parameters", []).extend(_PARAMETERS)
    for content in operation["responses"].get("200", {}).get("content", {}).values():
        plain = content["schema"]
        content["schema"] = {"oneOf": [plain, _observed(_item(plain, schema.registry), schema.registry)]}


def _item(plain: Any, registry: Any) -> Any:
    """Return the schema of one item of what is answered: of a page, of a list, or of one row."""
    found = plain
    if "$ref" in found:
        name = found["$ref"].rpartition("/")[2]
        found = registry[(name, ResolvedComponent.SCHEMA)].schema
    rows = found.get("properties", {}).get("results", found)
    return rows["items"] if rows.get("type") == "array" else plain


def _observed(item: Any, registry: Any) -> Any:
    name = f"Observed{item['$ref'].rpartition('/')[2] if '$ref' in item else 'Item'}"
    known = {"observer": {"type": "string"}, "primary_key": {"type": "string"}, "seq": {"type": "integer"}}
    items = {"type": "array", "items": item}
    messages = {"type": "array", "items": {"type": "object", "additionalProperties": {}}}
    described = {
        "type": "object",
        "description": "The items of a live query, or the messages that its caller has missed.",
        "properties": {**known, "items": items, "messages": messages},
        "required": list(known),
    }
    component = ResolvedComponent(
        name=name, type=ResolvedComponent.SCHEMA, schema=described, object=ComponentIdentity(name)
    )
    registry.register_on_missing(component)
    return component.ref
