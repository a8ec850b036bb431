"""What was called, and how its answer is cached.

All that a hit does not need is worked out only when it is asked for.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from core.caching.recorder import declared_keys
from core.conf import core_settings
from core.keys import bits
from core.keys.constructors import KeyConstructor
from core.keys.functions import (
    KeyFunc,
    default_cache_key_func,
    default_list_cache_key_func,
    default_object_cache_key_func,
    imported,
    resolved,
    shared_cache_key_func,
)
from core.keys.passing import has_finishers
from core.release import release

PREFIX = "core.answer"
UNSAID: Any = object()
"""Stands for what the decorator was not given."""

_DEFAULTS = (default_cache_key_func, default_object_cache_key_func, default_list_cache_key_func)
_TOLD_BY: Mapping[str, tuple[type[bits.KeyBitBase], ...]] = {
    "accept": (bits.FormatKeyBit, bits.MediaTypeKeyBit),
    "accept-language": (bits.LanguageKeyBit,),
    "host": (bits.LocationKeyBit,),
}
"""Headers, and the bits that tell apart all that comes of them.

Cookies and credentials are not among them: a view that says it varies on them may look at more than at the user.
"""


@dataclass(slots=True, eq=False)
class Call:
    """One call of a decorated view. ``view`` is None for a function outside of DRF.

    ``given`` are all positional arguments, ``args`` those after the request. ``trimmed`` takes away the keyword
    arguments that the view does not take; ``errors`` is the decorator's ``cache_errors``.
    """

    view: Any
    method: Callable[..., Any]
    request: Any
    given: tuple[Any, ...]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    trimmed: Callable[[dict[str, Any]], dict[str, Any]]
    errors: bool | None

    @property
    def action(self) -> tuple[type, Callable[..., Any]]:
        """What stands for this action of this view, in this process."""
        return (type(self.view), self.method)

    @property
    def fills(self) -> bool:
        """Whether the answer may be kept: what answers GET may leave the body out where it is asked by HEAD."""
        return self.request.method != "HEAD" or getattr(self.method, "__name__", "") == "head"

    def run(self) -> Any:
        """Call the view with what it was called with; make answers of errors that are to be kept."""
        kwargs = self.trimmed(self.kwargs)
        if self.view is None or not _keeps_errors(self.errors):
            return self.method(*self.given, **kwargs)
        try:
            return self.method(*self.given, **kwargs)
        except Exception as error:  # noqa: BLE001 - what is not DRF's to answer is raised again
            return self.view.handle_exception(error)


class Place(NamedTuple):
    """Where the answer to a call is kept: its key, in which cache, and which versions it is declared to depend on."""

    action: Any
    key: str
    alias: str
    declared: frozenset[str]


@dataclass(slots=True)
class Plan:
    """How one answer is cached. ``shared`` is said by the view: the answer is the same for all."""

    place: Place
    shared: bool
    func: KeyFunc
    _options: "Options"
    _view: Any

    @property
    def timeout(self) -> int | None:
        """Seconds that the answer is kept; None for ever."""
        timeout: Any = _of(self._view, self._options.timeout)
        return core_settings.CACHING.DEFAULT_CACHE_RESPONSE_TIMEOUT if timeout is UNSAID else timeout

    @property
    def errors(self) -> bool:
        """Whether statuses of 400 and above are kept."""
        return _keeps_errors(self._options.cache_errors)

    @property
    def one_caller(self) -> bool:
        """Whether the key names the caller."""
        return self._has(bits.UserKeyBit)

    @property
    def told_apart(self) -> frozenset[str]:
        """The headers, in lower case, whose effect the key tells apart."""
        told = frozenset(name for name, kinds in _TOLD_BY.items() if self._has(*kinds))
        # Outside of DRF nobody has come to an agreement about the format.
        return told if self._view is not None else told - {"accept"}

    def _has(self, *kinds: type[bits.KeyBitBase]) -> bool:
        return isinstance(self.func, KeyConstructor) and any(isinstance(bit, kinds) for bit in self.func.bits.values())


@dataclass(frozen=True)
class Options:
    """What the decorator was given."""

    timeout: Any
    key_func: Any
    cache: str | None
    cache_errors: bool | None
    shared: Any
    tables: Any

    def plan(self, call: Call) -> Plan:
        """Return how the answer to ``call`` is cached."""
        view = call.view
        shared = bool(_of(view, self.shared))
        func = self._key_func(view, shared=shared)
        key = func(
            view_instance=view, view_method=call.method, request=call.request, args=call.args, kwargs=call.kwargs
        )
        place = _safe(key)
        if has_finishers(call.request):
            place += ":finished"
        alias = self.cache or core_settings.CACHING.DEFAULT_USE_CACHE
        return Plan(Place(call.action, place, alias, self._declared(view)), shared, func, self, view)

    def _key_func(self, view: Any, *, shared: bool) -> KeyFunc:
        if self.key_func is None:
            func = imported(core_settings.CACHING.DEFAULT_CACHE_KEY_FUNC)
        else:
            func = resolved(self.key_func, view)
        return shared_cache_key_func if shared and any(func is each for each in _DEFAULTS) else func

    def _declared(self, view: Any) -> frozenset[str]:
        if view is None or not isinstance(self.tables, str):
            return self._always_declared
        tables = getattr(view, self.tables)
        return declared_keys(tables) if tables else frozenset()

    @cached_property
    def _always_declared(self) -> frozenset[str]:
        return declared_keys([self.tables] if isinstance(self.tables, str) else self.tables)


def _of(view: Any, value: Any) -> Any:
    """Return ``value``, or the attribute of the view that it names."""
    return getattr(view, value) if isinstance(value, str) and view is not None else value


def _keeps_errors(said: bool | None) -> bool:
    return core_settings.CACHING.DEFAULT_CACHE_ERRORS if said is None else said


def _safe(key: object) -> str:
    """Return the name of an entry: what a function of somebody's own returns may not do for a cache's key.

    It names the code as well, so that after a change of a view nobody is given what the old one answered.
    """
    text = str(key)
    if len(text) > 64 or not text.isascii() or not text.isalnum():
        text = hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    return f"{PREFIX}:{release()}:{text}"
