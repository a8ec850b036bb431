"""Looks at the site's observable views before anybody asks them."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.urls import URLPattern, URLResolver, get_resolver

from core.changes.capture import is_excluded
from core.queries import tables_read
from core.reactive.decorators import MARK
from core.reactive.options import Options


def observables() -> list[tuple[type[Any], str, Options]]:
    """Return every observable method of a view that has a route: the class, the method's name, what it was told."""
    found: dict[tuple[type[Any], str], Options] = {}
    for cls, names in routed_views():
        for name in sorted(names):
            if (options := getattr(getattr(cls, name, None), MARK, None)) is not None:
                found[cls, name] = options
    return [(cls, name, options) for (cls, name), options in found.items()]


def routed_views() -> Iterator[tuple[type[Any], set[str]]]:
    """Yield the class of each view that has a route, and the names of the methods that answer there."""
    for callback in _callbacks(get_resolver().url_patterns):
        cls = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
        if cls is not None:
            actions = getattr(callback, "actions", None)
            yield cls, set(actions.values()) if actions else {"get", "list", "retrieve"}


def blind_spots() -> Iterator[tuple[str, str]]:
    """Yield the name of each observable view that reads something unseen by its queryset, and what that is."""
    seen = set()
    for cls, name, options in observables():
        queryset = getattr(cls, "queryset", None)
        if queryset is None or options.dependencies or options.poll_interval:
            continue
        told = f"{cls.__module__}.{cls.__qualname__}.{name}"
        if told not in seen and (what := _unseen(queryset)) is not None:
            seen.add(told)
            yield told, what


def _unseen(queryset: Any) -> str | None:
    tables = tables_read(queryset)
    if tables is None:
        return "SQL written by hand"
    for model in apps.get_models(include_auto_created=True):
        if model._meta.db_table in tables and (is_excluded(model) or not model._meta.managed):
            return f"{model._meta.label}, which is {'excluded' if is_excluded(model) else 'not managed by Django'}"
    return None


def _callbacks(patterns: list[URLPattern | URLResolver]) -> Iterator[Any]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _callbacks(pattern.url_patterns)
        else:
            yield pattern.callback
