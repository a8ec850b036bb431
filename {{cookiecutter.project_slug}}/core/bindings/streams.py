"""Which streams a socket has: those of a demultiplexer's ``mapping``, or all that the project's applications declare.

An application declares its streams in a module ``bindings``: every binding there that names a ``stream``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string, module_has_submodule

from core.bindings.actions import EVENTS, Action, actions_of, can_look
from core.bindings.resource import ResourceBinding
from core.conf import core_settings

Streams = Mapping[str, type[ResourceBinding]]


@cache
def declared() -> Streams:
    """Return the streams that the installed applications declare, by name.

    Raises ``ImproperlyConfigured`` if two bindings name the same one.
    """
    found: dict[str, type[ResourceBinding]] = {}
    for config in apps.get_app_configs():
        if config.module is None or not module_has_submodule(config.module, "bindings"):
            continue
        module = import_module(f"{config.name}.bindings")
        for binding in vars(module).values():
            if _declares(binding, module.__name__):
                stream: str = binding.stream
                if stream in found:
                    names = f"{found[stream].__name__} and {binding.__name__}"
                    raise ImproperlyConfigured(f"{names} both name the stream {stream!r}: rename one.")
                found[stream] = binding
    return found


def _declares(binding: Any, module: str) -> bool:
    is_own = isinstance(binding, type) and issubclass(binding, ResourceBinding) and binding.__module__ == module
    return is_own and binding.stream is not None


def demultiplexer() -> Any:
    """Return the demultiplexer that the settings name."""
    return import_string(core_settings.BINDINGS.DEMULTIPLEXER)


@dataclass(frozen=True, slots=True)
class Stream:
    """What clients can do on one stream: for descriptions of the API.

    ``subscriptions`` are the events that can be subscribed to, for any row and for one row.
    """

    name: str
    binding: type[ResourceBinding]
    actions: tuple[Action, ...]
    subscriptions: tuple[str, ...]
    subscriptions_to_one: tuple[str, ...]

    @property
    def model(self) -> str:
        """The label of the model, as events carry it."""
        return self.binding.get_model()._meta.label_lower

    @property
    def lookup_field(self) -> str:
        """The field that ``pk`` names a row by."""
        field: str = self.binding.view_class().lookup_field
        return field

    def serializer_class(self, action: Action) -> Any:
        """Return the class of the serializer that ``action`` reads and answers with; None if nothing tells.

        It is asked of the viewset as drf-spectacular asks it, without a request.
        """
        view: Any = self.binding.view_class()(**action.attributes)
        binding = self.binding()
        view.binding = binding
        view.request, view.format_kwarg, view.args, view.kwargs = None, None, (), {}
        view.action, view.detail, view.counted = action.view_action, action.detail, False
        binding.view, binding.asked, binding.action = view, action, action.name
        try:
            return view.get_serializer_class()
        except Exception:  # noqa: BLE001 - whatever a viewset may do without a request
            return None


def described(streams: Streams | None = None) -> list[Stream]:
    """Return the streams of the project's socket, or ``streams``, as descriptions need them, by name."""
    if streams is None:
        streams = demultiplexer().streams()
    return [_described(name, binding) for name, binding in sorted(streams.items())]


def _described(name: str, binding: type[ResourceBinding]) -> Stream:
    one = tuple(each for each in EVENTS if each != "create") if can_look(binding, detail=True) else ()
    every = EVENTS if can_look(binding, detail=False) else ()
    return Stream(name, binding, tuple(actions_of(binding).values()), every, one)
