"""``cache_response``: the decorator around methods of views and function views."""

import asyncio
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.cache import caches
from django.db.models import Model
from django.http import HttpRequest
from rest_framework.request import Request

from core.caching import early, turns
from core.caching.answers import Found, Making, described, find, revive
from core.caching.plans import UNSAID, Call, Options, Plan
from core.conf import core_settings
from core.keys.passing import SAFE, passes_by, trimmer

PAGES = frozenset({"api", "admin"})
"""Formats whose answers are pages made for one visitor: the browsable API."""

_View = TypeVar("_View", bound=Callable[..., Any])


def cache_response(  # noqa: PLR0913 - the original's arguments and two more
    timeout: int | str | None = UNSAID,
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


def is_on(request: Any) -> bool:
    """Tell whether an answer to ``request`` may come from the cache, or be put there."""
    if not core_settings.CACHING.ENABLED or request.method not in SAFE or passes_by(request):
        return False
    return getattr(getattr(request, "accepted_renderer", None), "format", None) not in PAGES


def _sync(view: _View, options: Options) -> _View:
    read = _reader(view, options)

    @wraps(view)
    def cached(*args: Any, **kwargs: Any) -> Any:
        call = read(args, kwargs)
        if not is_on(call.request):
            return call.run()
        plan = options.plan(call)
        early.learn(call, plan)
        return answer(call, plan)

    early.mark(cached, options)
    return cached  # type: ignore[return-value]


def answer(call: Call, plan: Plan) -> Any:
    """Answer ``call`` from the cache, or make the answer and keep it."""
    found, response = _look(call, plan)
    if response is not None:
        return response
    if not (found.usable and call.fills):
        return described(call.run(), plan)
    with turns.turn(caches[plan.place.alias], plan.place.key) as mine:
        if mine:
            return Making(call, plan, found).run()
        _, response = _look(call, plan)
        return described(call.run(), plan) if response is None else response


def _look(call: Call, plan: Plan) -> tuple[Found, Any]:
    found = find(plan.place, call.request)
    return found, None if found.entry is None else revive(call, found.entry)


def _async(view: _View, options: Options) -> _View:
    read = _reader(view, options)

    @wraps(view)
    async def cached(*args: Any, **kwargs: Any) -> Any:
        call = read(args, kwargs)
        if not is_on(call.request):
            return await call.run()
        # Keys may look at the user, caches and connections belong to threads.
        plan = await sync_to_async(options.plan)(call)
        return await _answer_async(call, plan)

    return cached  # type: ignore[return-value]


async def _answer_async(call: Call, plan: Plan) -> Any:
    found, response = await sync_to_async(_look)(call, plan)
    if response is not None:
        return response
    if not (found.usable and call.fills):
        return described(await call.run(), plan)
    store = caches[plan.place.alias]
    if not await sync_to_async(turns.claim)(store, plan.place.key):
        return await _others_answer(call, plan, store)
    try:
        return await _make_async(call, plan, found)
    finally:
        await sync_to_async(turns.release)(store, plan.place.key)


async def _others_answer(call: Call, plan: Plan, store: Any) -> Any:
    loop = asyncio.get_running_loop()
    until = loop.time() + core_settings.CACHING.FILL_WAIT
    while loop.time() < until and await sync_to_async(turns.is_claimed)(store, plan.place.key):  # noqa: ASYNC110
        await asyncio.sleep(turns.LOOK_EVERY)  # another process has no event to wait for
    _, response = await sync_to_async(_look)(call, plan)
    return described(await call.run(), plan) if response is None else response


async def _make_async(call: Call, plan: Plan, found: Found) -> Any:
    making = await sync_to_async(Making)(call, plan, found)
    if making.recorder is None:
        return described(await call.run(), plan)
    watching = making.watching()
    await sync_to_async(watching.__enter__)()
    try:
        response = await call.run()
        response = await sync_to_async(making.finished)(response)
    finally:
        await sync_to_async(watching.__exit__)(None, None, None)
    return await sync_to_async(making.kept)(response)


# --- What was called ---

_REQUESTS = (HttpRequest, Request)


def _reader(view: Callable[..., Any], options: Options) -> Callable[[tuple[Any, ...], dict[str, Any]], Call]:
    """Return what makes a ``Call`` of the arguments that ``view`` is called with."""
    trimmed = trimmer(view)

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        first = args[0]
        if isinstance(first, _REQUESTS):
            request, rest = first, args[1:]
            instance = request.parser_context.get("view") if isinstance(request, Request) else None
        else:
            instance, request, rest = first, args[1] if len(args) > 1 else first.request, args[2:]
        return Call(instance, view, request, args, rest, kwargs, trimmed, options.cache_errors)

    return read
