"""``cache_response``: the decorator around methods of views and function views."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.cache import caches
from django.db.models import Model
from django.http import HttpRequest
from rest_framework.request import Request

from core.caching import turns
from core.caching.answers import PREFIX, Call, Found, Making, Plan, described, find, revive
from core.caching.recorder import declared_keys
from core.conf import core_settings
from core.keys import bits
from core.keys.constructors import KeyConstructor
from core.keys.functions import (
    default_cache_key_func,
    default_list_cache_key_func,
    default_object_cache_key_func,
    imported,
    resolved,
    shared_cache_key_func,
)
from core.keys.passing import SAFE, passes_by, trimmer

PAGES = frozenset({"api", "admin"})
"""Formats whose answers are pages made for one visitor: the browsable API."""
DEFAULTS = (default_cache_key_func, default_object_cache_key_func, default_list_cache_key_func)

_View = TypeVar("_View", bound=Callable[..., Any])
_DEFAULT: Any = object()


def cache_response(  # noqa: PLR0913 - the original's arguments and two more
    timeout: int | str | None = _DEFAULT,
    key_func: Callable[..., str] | str | None = None,
    cache: str | None = None,
    cache_errors: bool | None = None,
    *,
    shared: bool | str = False,
    tables: "Iterable[type[Model] | str] | str" = (),
) -> Callable[[_View], _View]:
    """Keep the answers of a view: a method that answers GET, a DRF function view, or a Django one, which may be async.

    ``timeout`` is in seconds, None for ever; ``key_func`` a function, a constructor or the name of a method of the
    view; ``cache`` an alias of ``CACHES``; ``cache_errors`` whether statuses of 400 and above are kept. What is
    left out is as ``CORE["CACHING"]`` says. ``shared=True`` says that the answer is the same for all callers.
    ``tables`` names models, labels or tables that the answer depends on and that cannot be seen, such as those behind
    a database view.

    ``timeout``, ``shared`` and ``tables`` may also be names of attributes of the view. An explicit ``key_func`` is
    taken at its word: without a bit for the user its entries are shared.
    """
    options = Options(timeout, key_func, cache, cache_errors, shared, tables)

    def decorate(view: _View) -> _View:
        return _async(view, options) if iscoroutinefunction(view) else _sync(view, options)

    return decorate


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
        settings = core_settings.CACHING
        timeout = _of(call.view, self.timeout)
        shared = bool(_of(call.view, self.shared))
        func = self._key_func(call.view, shared=shared)
        key = func(
            view_instance=call.view,
            view_method=call.method,
            request=call.request,
            args=call.args,
            kwargs=call.kwargs,
        )
        return Plan(
            key=_safe(key),
            alias=self.cache or settings.DEFAULT_USE_CACHE,
            timeout=settings.DEFAULT_CACHE_RESPONSE_TIMEOUT if timeout is _DEFAULT else timeout,
            errors=settings.DEFAULT_CACHE_ERRORS if self.cache_errors is None else self.cache_errors,
            shared=shared,
            one_caller=_names_caller(func),
            declared=self._declared if not isinstance(self.tables, str) else declared_keys(_of(call.view, self.tables)),
        )

    @cached_property
    def _declared(self) -> frozenset[str]:
        return declared_keys(self.tables)

    def _key_func(self, view: Any, *, shared: bool) -> Callable[..., str]:
        if self.key_func is None:
            func = imported(core_settings.CACHING.DEFAULT_CACHE_KEY_FUNC)
        else:
            func = resolved(self.key_func, view)
        return shared_cache_key_func if shared and any(func is each for each in DEFAULTS) else func


def _safe(key: object) -> str:
    """Return the name of an entry: what a function of somebody's own returns may not do for a cache's key."""
    text = str(key)
    if len(text) > 64 or not text.isascii() or not text.isalnum():
        text = hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    return f"{PREFIX}:{text}"


def _of(view: Any, value: Any) -> Any:
    """Return ``value``, or the attribute of the view that it names."""
    return getattr(view, value) if isinstance(value, str) and view is not None else value


def _names_caller(func: Any) -> bool:
    if not isinstance(func, KeyConstructor):
        return False
    return any(isinstance(bit, bits.UserKeyBit) for bit in func.bits.values())


def is_on(request: Any) -> bool:
    """Tell whether an answer to ``request`` may come from the cache, or be put there."""
    if not core_settings.CACHING.ENABLED or request.method not in SAFE or passes_by(request):
        return False
    return getattr(getattr(request, "accepted_renderer", None), "format", None) not in PAGES


def _sync(view: _View, options: Options) -> _View:
    read = _reader(view)

    @wraps(view)
    def cached(*args: Any, **kwargs: Any) -> Any:
        call = read(args, kwargs, options)
        return answer(call, options.plan(call)) if is_on(call.request) else call.run()

    return cached  # type: ignore[return-value]


def answer(call: Call, plan: Plan) -> Any:
    """Answer ``call`` from the cache, or make the answer and keep it."""
    found, response = _look(call, plan)
    if response is not None or not found.usable:
        return described(call.run(), plan) if response is None else response
    with turns.turn(caches[plan.alias], plan.key) as mine:
        if mine:
            return Making(call, plan, found).run()
        _, response = _look(call, plan)
        return described(call.run(), plan) if response is None else response


def _look(call: Call, plan: Plan) -> tuple[Found, Any]:
    found = find(call, plan)
    return found, None if found.entry is None else revive(call, found.entry)


def _async(view: _View, options: Options) -> _View:
    read = _reader(view)

    @wraps(view)
    async def cached(*args: Any, **kwargs: Any) -> Any:
        call = read(args, kwargs, options)
        if not is_on(call.request):
            return await call.run()
        # Keys may look at the user, caches and connections belong to threads.
        plan = await sync_to_async(options.plan)(call)
        return await _answer_async(call, plan)

    return cached  # type: ignore[return-value]


async def _answer_async(call: Call, plan: Plan) -> Any:
    found, response = await sync_to_async(_look)(call, plan)
    if response is not None or not found.usable:
        return described(await call.run(), plan) if response is None else response
    store = caches[plan.alias]
    if not await sync_to_async(turns.claim)(store, plan.key):
        return await _others_answer(call, plan, store)
    try:
        return await _make_async(call, plan, found)
    finally:
        await sync_to_async(turns.release)(store, plan.key)


async def _others_answer(call: Call, plan: Plan, store: Any) -> Any:
    loop = asyncio.get_running_loop()
    until = loop.time() + core_settings.CACHING.FILL_WAIT
    while loop.time() < until and await sync_to_async(turns.is_claimed)(store, plan.key):  # noqa: ASYNC110
        await asyncio.sleep(turns.LOOK_EVERY)  # another process has no event to wait for
    _, response = await sync_to_async(_look)(call, plan)
    return described(await call.run(), plan) if response is None else response


async def _make_async(call: Call, plan: Plan, found: Found) -> Any:
    making = await sync_to_async(Making)(call, plan, found)
    if making.recorder is None:
        return described(await call.run(), plan)
    watching = making.recorder.watching()
    await sync_to_async(watching.__enter__)()
    try:
        response = await call.run()
        response = await sync_to_async(making.finished)(response)
    finally:
        await sync_to_async(watching.__exit__)(None, None, None)
    return await sync_to_async(making.kept)(response)


# --- What was called ---


def _reader(view: Callable[..., Any]) -> Callable[[tuple[Any, ...], dict[str, Any], Options], Call]:
    """Return what makes a ``Call`` of the arguments that ``view`` is called with."""
    trimmed = trimmer(view)

    def read(args: tuple[Any, ...], kwargs: dict[str, Any], options: Options) -> Call:
        if isinstance(args[0], HttpRequest | Request):
            request, rest = args[0], args[1:]
            instance = request.parser_context.get("view") if isinstance(request, Request) else None
        else:
            instance, request, rest = args[0], args[1] if len(args) > 1 else args[0].request, args[2:]
        own = trimmed(kwargs)

        def run() -> Any:
            if not _keeps_errors(options) or instance is None:
                return view(*args, **own)
            return _with_errors(instance, view, args, own)

        return Call(instance, view, request, rest, kwargs, run)

    return read


def _keeps_errors(options: Options) -> bool:
    if options.cache_errors is None:
        return core_settings.CACHING.DEFAULT_CACHE_ERRORS
    return options.cache_errors


def _with_errors(instance: Any, view: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Make an answer of what DRF has an answer for; other exceptions are faults, to be seen every time."""
    try:
        return view(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - what is not DRF's to answer is raised again
        return instance.handle_exception(error)
