"""``AutoSchema``: describes an operation, with nested routes and bulk operations."""

from functools import cache
from typing import Any

from django.core.exceptions import FieldError
from drf_spectacular import openapi
from drf_spectacular.plumbing import build_parameter_type, follow_model_field_lookup, get_view_model
from drf_spectacular.utils import OpenApiParameter
from rest_framework.filters import OrderingFilter
from rest_framework.permissions import SAFE_METHODS, AllowAny, DjangoModelPermissions, IsAuthenticatedOrReadOnly
from rest_framework.schemas.utils import get_pk_description
from rest_framework.serializers import ModelSerializer

from core.conf import core_settings
from core.nesting.links import columns_of
from core.schema.answers import add_refusals, refusal
from core.schema.conditions import add_conditions
from core.schema.observing import add_observing


class AutoSchema(openapi.AutoSchema):
    """Describes nested routes and bulk operations, tags and their conditions, live queries, and refusals.

    Each parent in the path has the type of the field by which it is looked up. PATCH and DELETE of a list have the
    list's filters and the header they ask for; PATCH and POST take one object or a list of them.
    """

    def get_operation(self, *arguments: Any) -> Any:
        """Return the description of one operation."""
        operation: Any = super().get_operation(*arguments)
        if operation:
            self._add_lists(operation)
            for add in (add_conditions, add_observing, add_refusals):
                add(operation, self)
        return operation

    def _add_lists(self, operation: Any) -> None:
        action = self._bulk_action()
        if action in _OF_LISTS:
            view: Any = self.view
            key = view.bulk_key_name(get_view_model(view, emit_warnings=False))
            _allow_lists(operation.get("requestBody", {}), key)
            operation["responses"] = {
                "200": {"description": "Told by `dry-run`: how many rows it would be.", "headers": _ROWS, **_COUNTED},
                "204": {"description": "Done.", "headers": _ROWS},
                "409": refusal("409", self.registry),
            }
        elif action == "create":
            _allow_lists(operation.get("requestBody", {}))
            _allow_lists(operation["responses"].get("201", {}))
            operation["responses"]["409"] = refusal("409", self.registry)

    def get_operation_id(self) -> str:
        """Return the operation's name; that of a bulk operation differs from the one for a single row."""
        name: str = super().get_operation_id()
        return f"{name}_bulk" if self._bulk_action() in _OF_LISTS else name

    def get_summary(self) -> str | None:
        """Return the operation in a few words: the usual actions by what they act on, others by their first line."""
        given: str | None = super().get_summary()
        model: Any = get_view_model(self.view, emit_warnings=False)
        bulk, action = self._bulk_action(), getattr(self.view, "action", None)
        words = _SUMMARIES.get(str(bulk if bulk in _OF_LISTS else action))
        if given is None and words is not None and model is not None:
            return words.format(one=model._meta.verbose_name, many=model._meta.verbose_name_plural)
        return given or self.get_description().partition("\n")[0].removesuffix(".") or None

    def get_description(self) -> str:  # type: ignore[override]
        """Return what the operation does."""
        described: str = super().get_description()
        return _OF_LISTS.get(self._bulk_action() or "", described)

    def get_override_parameters(self) -> list[Any]:
        """Return the parameters that are declared by hand, and the header of bulk operations."""
        declared: list[Any] = super().get_override_parameters()
        name = core_settings.BULK.DEFAULT_BULK_OPERATION_HEADER_NAME
        if name is None or self._bulk_action() not in _OF_LISTS:
            return declared
        # Pages to try the API out take the default, or else the first: that must not be the one that writes.
        described = {"type": "string", "enum": ["dry-run", "true"], "default": "dry-run"}
        says = "Says that the whole list is meant; `dry-run` touches nothing and answers with the number of rows."
        return [*declared, OpenApiParameter(name, described, OpenApiParameter.HEADER, required=True, description=says)]

    def get_auth(self) -> list[Any]:
        """Return the ways to say who one is; ``{}``, nothing, among them where nobody has to.

        Told from DRF's own permissions. Any other one, a composed one too, counts as asking who the caller is.
        """
        ways: list[Any] = super().get_auth()
        view: Any = self.view
        if ways and {} not in ways and all(_lets_anyone(each, self.method) for each in view.get_permissions()):
            ways.append({})
        return ways

    def get_filter_backends(self) -> list[Any]:
        """Return what narrows the list: of a bulk operation the same, without ordering."""
        if self._bulk_action() in _OF_LISTS:
            view: Any = self.view
            return [each for each in view.filter_backends if not issubclass(each, OrderingFilter)]
        backends: list[Any] = super().get_filter_backends()
        return backends

    def _get_examples(self, *arguments: Any, **options: Any) -> Any:
        """Leave alone what is a list already: drf-spectacular lists examples of what answers with lists."""
        examples: Any = super()._get_examples(*arguments, **options)  # type: ignore[no-untyped-call]
        for example in examples.values():
            match example.get("value"):
                case [list() as rows]:
                    example["value"] = rows
        return examples

    def _bulk_action(self) -> str | None:
        """Return the action of the view if it takes many rows: a bulk action, or ``create`` where lists can be POSTed.

        Views that can do such a thing say so by ``bulk_actions``.
        """
        action: str | None = getattr(self.view, "bulk_action", None)
        return action if action in getattr(self.view, "bulk_actions_on", list)() else None

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


_SUMMARIES = {
    "list": "List {many}",
    "create": "Create a new {one}",
    "retrieve": "Retrieve one {one}",
    "update": "Replace one {one}",
    "partial_update": "Change one {one}",
    "destroy": "Delete one {one}",
    "partial_update_bulk": "Change many {many}",
    "destroy_bulk": "Delete many {many}",
}
_OF_LISTS = {
    "destroy_bulk": "Delete every row of the filtered list, in one transaction.",
    "partial_update_bulk": "Give every row of the filtered list the same values, or each of a list of rows its own; "
    "in one transaction.",
}
_COUNTED = {
    "content": {"application/json": {"schema": {"type": "object", "properties": {"rows": {"type": "integer"}}}}}
}
_ROWS = {"X-Bulk-Rows": {"schema": {"type": "integer"}, "description": "The number of rows touched."}}


def _lets_anyone(permission: Any, method: str) -> bool:
    """Tell whether ``permission`` is one of DRF's that lets callers who are not known use ``method``."""
    match type(permission).has_permission:
        case AllowAny.has_permission:
            return True
        case IsAuthenticatedOrReadOnly.has_permission:
            return method in SAFE_METHODS
        case DjangoModelPermissions.has_permission:
            return not permission.authenticated_users_only and not permission.perms_map.get(method, True)
    return False


def _allow_lists(described: Any, key: str | None = None) -> None:
    """Let every media type that can hold a list take one next to a single object.

    ``key`` names what each object of a list has to have besides.
    """
    for media_type, content in described.get("content", {}).items():
        if "json" in media_type:
            one = content["schema"]
            item = {"allOf": [one, _with_key(key)]} if key else one
            content["schema"] = {"oneOf": [one, {"type": "array", "items": item}]}
            for name, example in list(content.get("examples", {}).items()):
                value = {key: 1, **example["value"]} if key else example["value"]
                content["examples"][f"{name}List"] = {**example, "value": [value], "summary": "The same, in a list"}


def _with_key(name: str) -> Any:
    return {"type": "object", "properties": {name: {"description": "The key of the row."}}, "required": [name]}


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
