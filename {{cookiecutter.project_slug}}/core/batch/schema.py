"""The OpenAPI description of the batch."""

from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
    inline_serializer,
)
from rest_framework import serializers

_View = TypeVar("_View", bound=type[Any])

# Written out, where a serializer's field would say "anything".
_NAMES = {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_FILES = {
    "oneOf": [
        {"type": "array", "items": {"type": "string"}},
        {"type": "object", "additionalProperties": {"type": "string"}},
    ]
}


@extend_schema_field(_NAMES)
class _Names(serializers.JSONField):
    """A name or a list of names."""


@extend_schema_field(_FILES)
class _Files(serializers.JSONField):
    """Parts of the form."""


_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_RESULT = "{result=question:$.id}"


def _item() -> serializers.Serializer[Any]:
    fields: dict[str, Any] = {
        "method": serializers.ChoiceField(choices=_METHODS),
        "relative_url": serializers.CharField(
            help_text="A path of this site with its query. May hold references, as headers and body may: "
            "`{result=NAME:JSONPATH}` is a part of what the item NAME answered, `{result=NAME:$headers.ETag}` a header."
        ),
        "name": serializers.CharField(required=False, help_text="By which other items refer to this one."),
        "headers": serializers.DictField(
            child=serializers.CharField(), required=False, help_text="For this item only, such as If-Match."
        ),
        "body": serializers.JSONField(required=False, help_text="Any JSON, or JSON as a string."),
        "depends_on": _Names(required=False, help_text="A name or a list of names: those that have to succeed first."),
        "omit_response_on_success": serializers.BooleanField(
            default=False, help_text="Answer null for the body, unless the item fails."
        ),
        "attached_files": _Files(
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


def _results() -> serializers.Serializer[Any]:
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
        "Only if nobody else has changed it",
        summary="A header of one answer in the request of another",
        value={
            "batch": [
                {"name": "question", "method": "GET", "relative_url": "/api/questions/1/"},
                {
                    "method": "PATCH",
                    "relative_url": "/api/questions/{result=question:$.id}/",
                    "headers": {"If-Match": "{result=question:$headers.ETag}"},
                    "body": {"published": False},
                },
            ]
        },
        request_only=True,
        media_type="application/json",
    ),
    OpenApiExample(
        "With files",
        summary="The items as a field, the files as the other parts",
        value={
            "batch": '[{"method": "POST", "relative_url": "/api/pictures/", "attached_files": {"file": "a.jpg"}}]',
            "a.jpg": "(the file)",
        },
        request_only=True,
        media_type="multipart/form-data",
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
        status_codes=["200"],
    ),
    OpenApiExample(
        "An item that failed, and one that needed it",
        value=[
            {
                "name": "question",
                "code": 404,
                "code_text": "Not Found",
                "headers": [{"key": "Content-Type", "value": "application/json"}],
                "body": '{"detail":"No Question matches the given query."}',
            },
            {
                "name": None,
                "code": 424,
                "code_text": "Failed Dependency",
                "headers": [{"key": "Content-Type", "value": "application/json"}],
                "body": '{"detail":"Not run: item 0 (\\"question\\") failed with 404.",'
                '"failed":{"index":0,"name":"question","code":404}}',
            },
        ],
        response_only=True,
        status_codes=["200"],
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
                200: _results(),
                400: OpenApiResponse(OpenApiTypes.OBJECT, "The batch is refused; the bad items are named by index."),
            },
            examples=_EXAMPLES,
        )
    )(view)
    return described
