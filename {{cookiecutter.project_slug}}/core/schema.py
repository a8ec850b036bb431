"""The OpenAPI description of what ``core`` adds to views."""

from functools import cache
from typing import Any

from django.core.exceptions import FieldError
from drf_spectacular import openapi
from drf_spectacular.plumbing import build_parameter_type, follow_model_field_lookup, get_view_model
from drf_spectacular.utils import OpenApiParameter
from rest_framework.schemas.utils import get_pk_description
from rest_framework.serializers import ModelSerializer

from core.nesting.links import columns_of


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

    def get_request_serializer(self) -> Any:
        """Return the serializer of the body. Under a parent its field may be left out."""
        serializer = super().get_request_serializer()
        parents = getattr(self.view, "nested_parents", ())
        if not parents or getattr(self.view, "action", None) not in {"create", "update"}:
            return serializer
        if not isinstance(serializer, ModelSerializer):
            return serializer
        meta: Any = serializer.Meta
        names = frozenset(name for parent in parents for name in columns_of(meta.model, parent.lookup))
        required = {field.source for field in serializer.fields.values() if field.required and not field.read_only}
        if not names & required:
            return serializer
        above = "".join(_camelized(parent.lookup) for parent in parents)
        return _leaving_out(type(serializer), names, above)(context=serializer.context)

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


def _camelized(lookup: str) -> str:
    """Return a lookup as a part of a component's name: ``CityRegion`` for ``city__region``."""
    return "".join(part.title() for part in lookup.split("_"))


@cache
def _leaving_out(serializer_class: type[Any], names: frozenset[str], above: str) -> type[Any]:
    """Return the serializer for a body that need not hold the fields which are read as ``names``."""

    def get_fields(self: Any) -> Any:
        fields: Any = serializer_class.get_fields(self)
        for name, field in fields.items():
            if (field.source or name) in names:
                field.required = False
        return fields

    name = f"{serializer_class.__name__.removesuffix('Serializer')}Under{above}"
    return type(name, (serializer_class,), {"get_fields": get_fields, "__module__": serializer_class.__module__})
