"""The key functions that the settings name by default, and how such names become functions.

Cache keys by default leave the SQL bits out that ``DefaultObjectKeyConstructor`` and ``DefaultListKeyConstructor``
have: what the SQL depends on is among the other bits, and compiling it costs more than the rest of a cached answer.

Tags by default are the digest of what GET would answer now: a ``Representation``. It is not called where the answer is
at hand anyway.
"""

import hashlib
import json
from collections.abc import Callable
from functools import cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from core.conf import extensions_api_settings
from core.keys.constructors import (
    DefaultAPIModelInstanceKeyConstructor,
    DefaultAPIModelListKeyConstructor,
)
from core.keys.passing import SAFE, as_get
from core.keys.remembering import RememberingKeyConstructor, RememberingSharedKeyConstructor

KeyFunc = Callable[..., str]

default_cache_key_func = RememberingKeyConstructor()
default_object_cache_key_func = RememberingKeyConstructor()
default_list_cache_key_func = RememberingKeyConstructor()
default_api_object_etag_func = DefaultAPIModelInstanceKeyConstructor()
default_api_list_etag_func = DefaultAPIModelListKeyConstructor()

shared_cache_key_func = RememberingSharedKeyConstructor()
"""Takes the place of the three cache key functions above where an answer is the same for everybody."""


class Representation:
    """A tag function: the digest of the data that GET on this URL would answer to this caller now."""

    def __call__(self, *, view_instance: Any, request: Any, view_method: Any = None, **_: Any) -> str:
        """Return the digest. Raises what the view raises, ``Http404`` where there is no representation."""
        return digest_of(self.response(view_instance, request, view_method))

    def response(self, view: Any, request: Any, method: Any = None) -> Any:
        """Return what ``view`` answers to GET; where it answers none, its object as its serializer shows it."""
        response = answer_to_get(view, request)
        if response is not None:
            return response
        twin = as_get(view, request)
        if request.method in SAFE:
            return method(twin, twin.request, *twin.args, **twin.kwargs)
        if not hasattr(twin, "get_serializer"):
            raise ImproperlyConfigured(f"{type(view).__name__} answers no GET: give its tags a function of their own.")
        return Response(twin.get_serializer(twin.get_object()).data)


def answer_to_get(view: Any, request: Any) -> Any:
    """Return what ``view`` answers to GET on this URL, past caches and tags; None if it has no method for that."""
    twin = as_get(view, request)
    handler = getattr(twin, twin.action, None) if getattr(twin, "action", None) else getattr(twin, "get", None)
    return None if handler is None else handler(twin.request, *twin.args, **twin.kwargs)


def digest_of(response: Any) -> str:
    """Return the digest of a response: of its data as JSON, where it has any, else of its bytes."""
    if hasattr(response, "data"):
        text = json.dumps(response.data, cls=JSONEncoder, ensure_ascii=False, separators=(",", ":"))
        content = text.encode("utf-8", "surrogatepass")
    else:
        content = response.content
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


default_etag_func = Representation()
default_object_etag_func = Representation()
default_list_etag_func = Representation()


class Setting:
    """The key function that a setting names, looked up each time it is called.

    Stands as a class attribute of mixins: a viewset replaces it by a function, a method or a constructor.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, **kwargs: Any) -> str:
        """Call what the setting names."""
        return str(self.target(**kwargs))

    @property
    def target(self) -> KeyFunc:
        """What the setting names now."""
        found = _targets.get(self.name)
        if found is None:
            found = _targets[self.name] = imported(getattr(extensions_api_settings, self.name))
        return found


_targets: dict[str, KeyFunc] = {}
"""What the settings name, until one changes."""


def _forget(**_: object) -> None:
    _targets.clear()


setting_changed.connect(_forget, dispatch_uid="core.keys.functions")


def imported(func: KeyFunc | str) -> KeyFunc:
    """Return the function of a dotted path; a function as it is."""
    return _import(func) if isinstance(func, str) else func


@cache
def _import(path: str) -> KeyFunc:
    found: KeyFunc = import_string(path)
    return found


def resolved(func: Any, view: Any) -> KeyFunc:
    """Return the function that ``func`` stands for: itself, a method of ``view`` by name, what a setting names.

    Raises ``AttributeError`` if the view has no such method.
    """
    if isinstance(func, str):
        func = getattr(view, func)
    return func.target if isinstance(func, Setting) else func
