"""The OpenAPI description of what ``core`` adds to views."""

from typing import Any

from django.core.exceptions import FieldError
from drf_spectacular import openapi
from drf_spectacular.plumbing import build_parameter_type, follow_model_field_lookup, get_view_model
from drf_spectacular.utils import OpenApiParameter
from rest_framework.schemas.utils import get_pk_description


class AutoSchema(openapi.AutoSchema):
    """Describes nested routes: each parent in the path has the type of the field by which it is looked up."""

    def _resolve_path_parameters(self, variables: Any) -> list[Any]:
        parents = {parent.kwarg: parent for parent in getattr(self.view, "nested_parents", ())}
        resolved: list[Any] = []
        for variable in variables:
            if variable in parents:
                resolved.append(self._parent_parameter(variable, parents[variable].viewset))
            else:
                resolved += super()._resolve_path_parameters([variable])  # type: ignore[no-untyped-call]
        return resolved

    def _parent_parameter(self, name: str, viewset: type[Any]) -> Any:
        model: Any = get_view_model(viewset, emit_warnings=False)
        field: Any = _field(model, viewset.lookup_field)
        described: dict[str, Any] = {"type": "string"}
        description = ""
        if field is not None:
            described = self._map_model_field(field, direction=None)  # type: ignore[no-untyped-call]
            if field.primary_key and "description" not in described:
                description = str(get_pk_description(model, field))
        if described.get("type") == "string" and (pattern := getattr(viewset, "lookup_value_regex", None)):
            described = {**described, "pattern": f"^{pattern}$"}
        return build_parameter_type(
            name=name, location=OpenApiParameter.PATH, description=description, schema=described
        )

    def _get_paginator(self) -> Any:
        # A viewset may make its paginator itself, as PaginateByMaxMixin does.
        return getattr(self.view, "paginator", None)


def _field(model: Any, lookup: str) -> Any:
    try:
        return None if model is None else follow_model_field_lookup(model, lookup)
    except FieldError:
        return None  # an annotation, whose type only its queryset knows
