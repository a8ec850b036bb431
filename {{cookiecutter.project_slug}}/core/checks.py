"""System checks: whether the settings of ``core`` are valid and every feature finds what it needs.

| id | what it says |
|---|---|
| core.E001 | ``CORE`` or one of its sections is not a dictionary |
| core.E002 | a section that does not exist |
| core.E003 | a key that does not exist |
| core.E004 | a value of the wrong type, or out of its range |
| core.E005 | a feature is on without something that it needs |
| core.E006 | a setting names something that cannot be imported, or a cache that does not exist |
| core.W001 | the channel layer is in memory, though ``DEBUG`` is off |
| core.W002 | the cache is in local memory, though ``DEBUG`` is off |
| core.W003 | ``CHANGES`` excludes something that is no application and no model of this project |
| core.W004 | a live query reads something whose changes nobody hears of |
| core.W005 | a model of the project that clients are told of has a manager whose bulk writes nobody hears of |
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from core.conf import core_settings, problems
from core.sections import Changes

logger = logging.getLogger(__name__)

_REST = ("rest_framework",)
_SOCKETS = ("channels", "rest_framework")
# The applications that each feature stands on.
NEEDED_APPS: Mapping[str, tuple[str, ...]] = {
    "BATCH": _REST,
    "ROUTERS": _REST,
    "CACHING": _REST,
    "ETAGS": _REST,
    "BULK": _REST,
    "REACTIVE": _SOCKETS,
    "BINDINGS": _SOCKETS,
}
SOCKET_FEATURES = frozenset({"REACTIVE", "BINDINGS"})


def check_settings(**_: object) -> list[checks.CheckMessage]:
    """Report what is wrong with ``CORE``, and with the rest of the settings as far as the features need it."""
    if found := problems(getattr(settings, "CORE", {})):
        return [checks.Error(each.message, hint=each.hint, id=each.id) for each in found]
    enabled = core_settings.enabled()
    return [
        *_missing_apps(enabled),
        *_missing_services(enabled),
        *_missing_functions(enabled),
        *_missing_demultiplexer(enabled),
        *_private_memory(enabled),
        *_excluded(),
    ]


def _missing_apps(enabled: frozenset[str]) -> Iterator[checks.CheckMessage]:
    for feature in sorted(enabled):
        for app in NEEDED_APPS[feature]:
            if not apps.is_installed(app):
                yield checks.Error(
                    f"{feature} is on, but {app!r} is not in INSTALLED_APPS.",
                    hint=f"Add it, or switch the feature off with CORE_{feature}_ENABLED=false.",
                    id="core.E005",
                )


def _missing_services(enabled: frozenset[str]) -> Iterator[checks.CheckMessage]:
    for feature in sorted(enabled & SOCKET_FEATURES):
        if not _backend("CHANNEL_LAYERS"):
            yield checks.Error(
                f"{feature} is on, but CHANNEL_LAYERS has no 'default' with a BACKEND.",
                hint=f"Add one, or switch the feature off with CORE_{feature}_ENABLED=false.",
                id="core.E005",
            )
        if not getattr(settings, "ASGI_APPLICATION", None):
            yield checks.Error(
                f"{feature} is on, but ASGI_APPLICATION is not set.",
                hint=f"Point it at the application, or switch the feature off with CORE_{feature}_ENABLED=false.",
                id="core.E005",
            )
    if "CACHING" in enabled and _backend("CACHES").endswith(".DummyCache"):
        yield checks.Error(
            "CACHING is on, but the default cache is a DummyCache, which keeps nothing.",
            hint="Choose another cache, or switch the feature off with CORE_CACHING_ENABLED=false.",
            id="core.E005",
        )


def _missing_functions(enabled: frozenset[str]) -> Iterator[checks.CheckMessage]:
    for feature in sorted(enabled & {"CACHING", "ETAGS"}):
        section = getattr(core_settings, feature)
        for key in (each.name for each in fields(section) if each.name.endswith("_FUNC")):
            try:
                import_string(getattr(section, key))
            except ImportError as error:
                yield checks.Error(
                    f'CORE["{feature}"]["{key}"] cannot be imported: {error}',
                    hint="Write the dotted path of a function or of a key constructor.",
                    id="core.E006",
                )
    if "CACHING" in enabled and core_settings.CACHING.DEFAULT_USE_CACHE not in settings.CACHES:
        yield checks.Error(
            f'CORE["CACHING"]["DEFAULT_USE_CACHE"] is {core_settings.CACHING.DEFAULT_USE_CACHE!r}, which is no cache.',
            hint=f"The caches are {', '.join(settings.CACHES)}.",
            id="core.E006",
        )


def _missing_demultiplexer(enabled: frozenset[str]) -> Iterator[checks.CheckMessage]:
    if "BINDINGS" in enabled:
        try:
            import_string(core_settings.BINDINGS.DEMULTIPLEXER)
        except ImportError as error:
            yield checks.Error(
                f'CORE["BINDINGS"]["DEMULTIPLEXER"] cannot be imported: {error}',
                hint="Write the dotted path of a WebsocketDemultiplexer.",
                id="core.E006",
            )


def _private_memory(enabled: frozenset[str]) -> Iterator[checks.CheckMessage]:
    if settings.DEBUG:
        return
    if enabled & SOCKET_FEATURES and _backend("CHANNEL_LAYERS").endswith(".InMemoryChannelLayer"):
        yield checks.Warning(
            "The channel layer is in memory: what one process sends, no other process hears.",
            hint="Set REDIS_URL, unless the whole site is one process.",
            id="core.W001",
        )
    if "CACHING" in enabled and _backend("CACHES").endswith(".LocMemCache"):
        yield checks.Warning(
            "The cache is in local memory: every process keeps its own, and its own counts for throttling.",
            hint="Set REDIS_URL, unless the whole site is one process.",
            id="core.W002",
        )


def _excluded() -> Iterator[checks.CheckMessage]:
    excluded = core_settings.CHANGES.EXCLUDE
    known = {config.label for config in apps.get_app_configs()}
    known |= {model._meta.label_lower for model in apps.get_models(include_auto_created=True)}
    for name in excluded:
        # What stands there by default may not be installed.
        if name.lower() not in known and name not in Changes().EXCLUDE:
            yield checks.Warning(
                f'CORE["CHANGES"]["EXCLUDE"] names {name!r}, which is no application and no model of this project.',
                hint='Write the label of an application ("polls") or of a model ("polls.choice").',
                id="core.W003",
            )


def check_observables(**_: object) -> list[checks.CheckMessage]:
    """Report observable views whose querysets read what no change tells of, as far as that can be told beforehand."""
    from core.reactive.checking import blind_spots

    if problems(getattr(settings, "CORE", {})) or not core_settings.REACTIVE.ENABLED:
        return []
    return [
        checks.Warning(
            f"{name} is observable and reads {what}, whose changes nobody hears of.",
            hint="Name dependencies=[...] or a poll_interval=... in @observable.",
            id="core.W004",
        )
        for name, what in blind_spots()
    ]


def check_managers(**_: object) -> list[checks.CheckMessage]:
    """Report the project's models behind live queries, bindings, caches and ETags whose bulk writes nobody sees."""
    from core.changes.capture import watched
    from core.changes.querysets import is_tracked

    if problems(getattr(settings, "CORE", {})):
        return []
    features: dict[Any, set[str]] = {}
    for model, feature in _promises(core_settings.enabled()):
        if model in watched and not is_tracked(model._default_manager) and _is_own(model):
            features.setdefault(model, set()).add(feature)
    return [
        checks.Warning(
            f"{model._meta.label} stands behind {', '.join(sorted(found))}, but its manager is not tracked: "
            "update(), bulk_create() and bulk_update() are not seen, and what was shown or kept stays as it was.",
            hint="Write `objects = TrackedManager()` in the model, or have its queryset derive from TrackedQuerySet "
            "and write `objects = YourQuerySet.as_manager()`; import them from core.changes.",
            obj=model,
            id="core.W005",
        )
        for model, found in features.items()
    ]


def _promises(enabled: frozenset[str]) -> Iterator[tuple[Any, str]]:
    """Yield each model that clients are to be told of, and by which feature."""
    from core.bindings.streams import demultiplexer
    from core.caching import ListCacheResponseMixin, RetrieveCacheResponseMixin
    from core.etags import mixins as tagging
    from core.reactive.checking import observables, routed_views

    keeping = (ListCacheResponseMixin, RetrieveCacheResponseMixin)
    tags = tuple(each for name, each in vars(tagging).items() if name.endswith("ETAGMixin"))
    if "REACTIVE" in enabled:
        for cls, _, options in observables():
            if not options.poll_interval:
                yield _model_of(cls), "live queries"
    for cls, _ in routed_views():
        if "CACHING" in enabled and issubclass(cls, keeping):
            yield _model_of(cls), "caches"
        if "ETAGS" in enabled and issubclass(cls, tags):
            yield _model_of(cls), "ETags"
    if "BINDINGS" in enabled and not list(_missing_demultiplexer(enabled)):
        for binding in demultiplexer().streams().values():
            yield binding.find_model(), "bindings"


def _model_of(view: type[Any]) -> Any:
    return getattr(getattr(view, "queryset", None), "model", None)


def _is_own(model: Any) -> bool:
    """Tell whether the model is the project's, to be mended here, and not of a package that was installed."""
    config = model._meta.app_config
    parts = Path(config.path).parts
    return not (config.name.startswith("django.") or {"site-packages", "dist-packages"} & set(parts))


def _backend(setting: str) -> str:
    configured: Any = getattr(settings, setting, None) or {}
    return str(configured.get("default", {}).get("BACKEND", ""))


def require_valid_settings() -> None:
    """Do what a server that runs no system checks (daphne, uvicorn) should do before it starts.

    Raises ``ImproperlyConfigured`` with all errors of ``check_settings``; its warnings are logged.
    """
    messages = check_settings()
    errors = [message for message in messages if message.level >= checks.ERROR]
    if errors:
        raise ImproperlyConfigured("\n".join(f"{error.msg} {error.hint} ({error.id})" for error in errors))
    for message in messages:
        logger.warning("%s %s (%s)", message.msg, message.hint, message.id)
