"""Tags and conditional requests in the description of an operation."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS

from core.conf import core_settings
from core.schema.answers import refusal

_TAG = {"schema": {"type": "string"}, "description": "The tag of this representation.", "example": '"9f2c7d1e.json"'}
_HEADERS = {
    "If-None-Match": "Tags that the caller has already: 304 if one of them is that of the answer.",
    "If-Match": "The tag of the row as the caller knows it: 412 if it has changed since.",
}
_OF_LIST = "The tag of the list as the caller knows it: 412 if it has changed since."


def add_conditions(operation: Any, schema: Any) -> None:
    """Add to ``operation`` what a method with tags takes and answers; nothing where it has none."""
    if getattr(schema.view, "bulk_action", None) in {"destroy_bulk", "partial_update_bulk"}:
        _add_conditions_of_lists(operation, schema)
        return
    method = _tagged_method(schema.view)
    if method is None or not core_settings.ETAGS.ENABLED:
        return
    reads = schema.method in SAFE_METHODS
    required = method.etags.precondition_map.get(schema.method, ())
    header = "If-None-Match" if reads else "If-Match"
    described: dict[str, Any] = {
        "in": "header",
        "name": header,
        "schema": {"type": "string"},
        "description": _HEADERS[header],
    }
    if header in required:
        described["required"] = True
    operation.setdefault("parameters", []).append(described)
    responses = operation["responses"]
    if reads:
        responses["304"] = {"description": "What the caller has is what there is.", "headers": {"ETag": _TAG}}
    responses["412"] = refusal("412", schema.registry)
    if required:
        responses["428"] = refusal("428", schema.registry)
    if reads or method.etags.rebuild:
        for code, response in responses.items():
            if code.startswith("2") and code != "204":
                response.setdefault("headers", {})["ETag"] = _TAG


def _add_conditions_of_lists(operation: Any, schema: Any) -> None:
    if hasattr(schema.view, "require_list_conditions") and core_settings.ETAGS.ENABLED:
        parameter = {"in": "header", "name": "If-Match", "schema": {"type": "string"}, "description": _OF_LIST}
        operation.setdefault("parameters", []).append(parameter)
        operation["responses"]["412"] = refusal("412", schema.registry)


def _tagged_method(view: Any) -> Any:
    """Return the method that answers, if it is decorated; PATCH of one row goes through ``update``."""
    action = getattr(view, "action", None) or getattr(view, "method", "get").lower()
    names = [action, "update"] if action == "partial_update" else [action]
    methods = (getattr(view, name, None) for name in names)
    return next((method for method in methods if hasattr(method, "etags")), None)
