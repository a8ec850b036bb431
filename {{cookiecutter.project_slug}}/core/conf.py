"""The settings of ``core``: one typed section per feature, read from ``settings.CORE``.

``settings.CORE`` is a dictionary of dictionaries, ``{"BATCH": {"ENABLED": True}, ...}``. What it leaves out has
the default written in ``core.sections``. ``core_settings.BATCH.ENABLED`` reads a value when it is asked for, so that
``override_settings`` works; nothing is read at import.

``problems`` judges such a dictionary without touching Django's state: the system checks and the start of the
server show what it finds.
"""

import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from core.sections import (
    SECTIONS,
    Batch,
    Bindings,
    Bulk,
    Caching,
    Changes,
    Etags,
    Feature,
    Reactive,
    Routers,
    Sockets,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the settings: the id of its system check, a sentence, the next step."""

    id: str
    message: str
    hint: str


def problems(raw: object) -> list[Problem]:
    """Return what is wrong with ``raw``, a value of ``settings.CORE``; nothing, if all is well."""
    if not isinstance(raw, Mapping):
        return [
            Problem(
                "core.E001",
                f"CORE is {_shown(raw)}, not a dictionary.",
                'Write CORE = {"BATCH": {"ENABLED": True}, ...} in the settings.',
            )
        ]
    found: list[Problem] = []
    for name, section in raw.items():
        if name not in SECTIONS:
            hint = f"The sections are {', '.join(SECTIONS)}."
            found.append(Problem("core.E002", f"CORE has no section {name!r}.", hint))
        elif not isinstance(section, Mapping):
            hint = f'Write "{name}": {{"ENABLED": True}}.'
            found.append(Problem("core.E001", f'CORE["{name}"] is {_shown(section)}, not a dictionary.', hint))
        else:
            found += _section_problems(name, section)
    return found


def _section_problems(name: str, section: Mapping[Any, object]) -> list[Problem]:
    known = _fields(SECTIONS[name])
    found = []
    for key, value in section.items():
        if key not in known:
            hint = f"The keys of this section are {', '.join(known)}."
            found.append(Problem("core.E003", f'CORE["{name}"] has no key {key!r}.', hint))
            continue
        described, hint_type = known[key]
        if not _fits(value, hint_type):
            message = f'CORE["{name}"]["{key}"] is {_shown(value)}, which is not {_described(hint_type)}.'
            found.append(Problem("core.E004", message, f"The default is {_default(described)!r}."))
        elif (minimum := described.metadata.get("minimum")) is not None and value is not None and value < minimum:
            message = f'CORE["{name}"]["{key}"] is {value!r}, which is less than {minimum}.'
            found.append(Problem("core.E004", message, f"The default is {_default(described)!r}."))
    return found


@cache
def _fields(section: type) -> dict[str, tuple[Field[Any], Any]]:
    hints = typing.get_type_hints(section)
    return {each.name: (each, hints[each.name]) for each in fields(section)}


def _fits(value: object, hint: Any) -> bool:
    """Tell whether ``value`` is of the type ``hint``. True is not a number here, nor 1 a boolean."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return any(_fits(value, argument) for argument in arguments)
    if hint in {None, types.NoneType}:
        return value is None
    if hint is Any:
        return True
    if origin is not None:  # a collection; its first argument is the type of its items
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Collection):
            return False
        return all(_fits(item, arguments[0]) for item in value)
    if isinstance(value, bool):
        return hint is bool
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(value, hint)


def _described(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(_described(argument) for argument in arguments)
    if origin is not None:
        return f"a list of {_described(arguments[0]).removeprefix('a ')}s"
    words = {bool: "True or False", int: "a whole number", float: "a number", str: "a string"}
    return words.get(hint, "None" if hint in {None, types.NoneType} else str(hint))


def _default(described: Field[Any]) -> object:
    return described.default if described.default_factory is MISSING else described.default_factory()


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


_Section = TypeVar("_Section")


class CoreSettings:
    """Reads ``settings.CORE``: ``core_settings.BULK.ENABLED``.

    Each section is an instance of the dataclass of its name, made when it is first asked for. Reading raises
    ``ImproperlyConfigured`` with every problem of the section if it is not valid.
    """

    def __init__(self) -> None:
        self._sections: dict[type, Any] = {}

    @property
    def BATCH(self) -> Batch:  # noqa: N802
        """Settings of the batch endpoint."""
        return self._section("BATCH", Batch)

    @property
    def ROUTERS(self) -> Routers:  # noqa: N802
        """Settings of the extended routers."""
        return self._section("ROUTERS", Routers)

    @property
    def CACHING(self) -> Caching:  # noqa: N802
        """Settings of cached responses."""
        return self._section("CACHING", Caching)

    @property
    def ETAGS(self) -> Etags:  # noqa: N802
        """Settings of conditional requests."""
        return self._section("ETAGS", Etags)

    @property
    def BULK(self) -> Bulk:  # noqa: N802
        """Settings of bulk operations."""
        return self._section("BULK", Bulk)

    @property
    def REACTIVE(self) -> Reactive:  # noqa: N802
        """Settings of live queries."""
        return self._section("REACTIVE", Reactive)

    @property
    def BINDINGS(self) -> Bindings:  # noqa: N802
        """Settings of the resource socket."""
        return self._section("BINDINGS", Bindings)

    @property
    def CHANGES(self) -> Changes:  # noqa: N802
        """Settings of the change stream."""
        return self._section("CHANGES", Changes)

    @property
    def SOCKETS(self) -> Sockets:  # noqa: N802
        """Settings of every WebSocket."""
        return self._section("SOCKETS", Sockets)

    def enabled(self) -> frozenset[str]:
        """Return the names of the sections of all features that are on."""
        return frozenset(
            name for name, kind in SECTIONS.items() if issubclass(kind, Feature) and self._section(name, kind).ENABLED
        )

    def forget(self) -> None:
        """Read everything anew when next asked."""
        self._sections.clear()

    def _section(self, name: str, kind: type[_Section]) -> _Section:
        if kind not in self._sections:
            raw = getattr(settings, "CORE", {})
            # Only this section is judged, so that a mistake in another is left to the system checks to report.
            if found := problems({name: raw.get(name, {})} if isinstance(raw, Mapping) else raw):
                raise ImproperlyConfigured("\n".join(f"{each.message} {each.hint}" for each in found))
            self._sections[kind] = kind(**raw.get(name, {}))
        section: _Section = self._sections[kind]
        return section


core_settings = CoreSettings()


def has_sockets() -> bool:
    """Tell whether a feature is on that serves WebSockets."""
    return core_settings.REACTIVE.ENABLED or core_settings.BINDINGS.ENABLED


class ExtensionsSettings:
    """Reads the same settings by their own names alone: ``extensions_api_settings.DEFAULT_CACHE_RESPONSE_TIMEOUT``.

    Raises ``AttributeError`` for a name that no section of a feature has, or that all have (``ENABLED``).
    """

    def __getattr__(self, name: str) -> Any:
        section = _section_of(name)
        if section is None:
            raise AttributeError(f"No section of CORE has a key {name!r}.")
        return getattr(getattr(core_settings, section), name)


@cache
def _section_of(name: str) -> str | None:
    features = [section for section, kind in SECTIONS.items() if issubclass(kind, Feature)]
    found = [section for section in features if name in _fields(SECTIONS[section])]
    return found[0] if len(found) == 1 else None


extensions_api_settings = ExtensionsSettings()


def _forget(*, setting: str, **_: object) -> None:
    if setting == "CORE":
        core_settings.forget()


setting_changed.connect(_forget, dispatch_uid="core.conf")
