"""The debugger: a page to try the socket by hand. What happens on it is in ``core/static/core/debugger.js``."""

from typing import Any, Final

from django.conf import settings
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.views.generic import TemplateView
from rest_framework import serializers

from core.bindings.streams import Stream, described
from core.conf import core_settings

TEXTS: Final = 40
"""Characters of an example at most."""


class DebuggerView(TemplateView):
    """Choose a stream and an action, edit the example, send, and see what comes. For development only."""

    template_name = "core/debugger.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Serve the page, or 404 where there is none."""
        if not (settings.DEBUG and core_settings.BINDINGS.ENABLED):
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the streams with their actions and an example of each."""
        login = f"{resolve_url(settings.LOGIN_URL)}?next={self.request.path}"
        return super().get_context_data(**kwargs, login=login, streams=[as_data(stream) for stream in described()])


def as_data(stream: Stream) -> dict[str, Any]:
    """Return what the page needs to know of ``stream``, as JSON can hold it."""
    actions = [
        {"name": action.name, "pk": action.detail, "data": _example(stream, action)} for action in stream.actions
    ]
    if stream.subscriptions or stream.subscriptions_to_one:
        event = {"action": "update"}
        actions += [{"name": name, "pk": False, "data": event} for name in ("subscribe", "unsubscribe")]
    return {"name": stream.name, "model": stream.model if actions else "", "actions": actions}


def _example(stream: Stream, action: Any) -> Any:
    """Return data that ``action`` could be called with."""
    if not action.writes:
        return {} if action.detail else {"page": 1}
    if action.name not in {"create", "update", "patch"}:
        return {}
    serializer_class = stream.serializer_class(action)
    if serializer_class is None:
        return {}
    try:
        fields = serializer_class().fields.items()
    except Exception:  # noqa: BLE001 - whatever a serializer may need that is not here
        return {}
    written = {name: example_of(field) for name, field in fields if not field.read_only}
    return dict(list(written.items())[:1]) if action.name == "patch" else written


def example_of(field: Any) -> Any:
    """Return a value that ``field`` of a serializer would take, more or less."""
    if isinstance(field, serializers.ChoiceField):
        first = list(field.choices)[:1]
        return first if isinstance(field, serializers.MultipleChoiceField) else next(iter(first), "")
    for kinds, example in _EXAMPLES:
        if isinstance(field, kinds):
            return example
    return str(field.label or "text")[:TEXTS] if isinstance(field, serializers.CharField) else None


_EXAMPLES: Final[tuple[tuple[Any, Any], ...]] = (
    (serializers.BooleanField, True),
    (serializers.IntegerField | serializers.PrimaryKeyRelatedField, 1),
    (serializers.FloatField, 1.5),
    (serializers.DecimalField, "1.5"),
    (serializers.DateTimeField, "2030-01-31T12:00:00Z"),
    (serializers.DateField, "2030-01-31"),
    (serializers.EmailField, "ada@example.com"),
    (serializers.URLField, "https://example.com/"),
    (serializers.UUIDField, "00000000-0000-4000-8000-000000000000"),
    (serializers.ManyRelatedField | serializers.ListField | serializers.ListSerializer, []),
    (serializers.BaseSerializer | serializers.DictField, {}),
)
