"""The OpenAPI description of the batch."""

from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
    inline_serializer,
)
from rest_framework import serializers

_View = TypeVar("_View", bound=type[Any])

_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_RESULT = "{result=question:$.id}"


def _item() -> serializers.Serializer[Any]:
    fields: dict[str, Any] = {
        "method": serializers.ChoiceField(choices=_METHODS),
        "relative_url": serializers.CharField(help_text="A path of this site; may hold references."),
        "name": serializers.CharField(required=False, help_text="By which other items refer to this one."),
        "headers": serializers.DictField(child=serializers.CharField(), required=False),
        "body": serializers.JSONField(required=False, help_text="Any JSON, or JSON as a string."),
        "depends_on": serializers.JSONField(required=False, help_text="A name or a list of names."),
        "omit_response_on_success": serializers.BooleanField(default=False),
        "attached_files": serializers.JSONField(
            required=False, help_text="A list of parts of the form, or an object with a part for each field."
        ),
    }
    return inline_serializer("BatchItem", fields, many=True)


def _request(name: str, batch: Any) -> serializers.Serializer[Any]:
    flags: dict[str, Any] = {
        "batch": batch,
        "atomic": serializers.BooleanField(default=False, help_text="All or nothing, in one transaction."),
        "ordered": serializers.BooleanField(default=True, help_text="As if one after another."),
    }
    return inline_serializer(name, flags)


def _result() -> serializers.Serializer[Any]:
    header: dict[str, Any] = {"key": serializers.CharField(), "value": serializers.CharField()}
    fields: dict[str, Any] = {
        "name": serializers.CharField(allow_null=True),
        "code": serializers.IntegerField(),
        "code_text": serializers.CharField(),
        "headers": inline_serializer("BatchHeader", header, many=True),
        "body": serializers.CharField(allow_null=True, help_text="Text; base64 where encoding says so."),
        "encoding": serializers.ChoiceField(choices=["base64"], required=False),
    }
    return inline_serializer("BatchResult", fields, many=True)


_EXAMPLES = [
    OpenApiExample(
        "A question and its first choice, or neither",
        value={
            "atomic": True,
            "batch": [
                {
                    "name": "question",
                    "method": "POST",
                    "relative_url": "/api/questions/",
                    "body": {"question_text": "Tea or coffee?"},
                },
                {
                    "method": "POST",
                    "relative_url": "/api/choices/",
                    "body": {"question": _RESULT, "choice_text": "Tea"},
                    "omit_response_on_success": True,
                },
            ],
        },
        request_only=True,
        media_type="application/json",
    ),
    OpenApiExample(
        "What they answer",
        value=[
            {
                "name": "question",
                "code": 201,
                "code_text": "Created",
                "headers": [{"key": "Content-Type", "value": "application/json"}],
                "body": '{"id":1,"question_text":"Tea or coffee?"}',
            },
            {"name": None, "code": 201, "code_text": "Created", "headers": [], "body": None},
        ],
        response_only=True,
    ),
    OpenApiExample(
        "A batch that is refused",
        value={"batch": [{}, {"relative_url": ["No item has the name 'question'."]}]},
        response_only=True,
        status_codes=["400"],
    ),
]


def describe(view: _View) -> _View:
    """Describe the view of the batch: a decorator for its class."""
    timing = OpenApiParameter(
        "Server-Timing",
        str,
        OpenApiParameter.HEADER,
        response=[200],
        description="The milliseconds that each item took.",
    )
    described: _View = extend_schema_view(
        post=extend_schema(
            operation_id="batch",
            parameters=[timing],
            request={
                "application/json": _request("Batch", _item()),
                "multipart/form-data": _request(
                    "BatchForm",
                    serializers.CharField(help_text="The list of items as JSON; all other parts are files."),
                ),
            },
            responses={
                200: _result(),
                400: OpenApiResponse(OpenApiTypes.OBJECT, "The batch is refused; the bad items are named by index."),
            },
            examples=_EXAMPLES,
        )
    )(view)
    return described
