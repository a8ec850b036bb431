"""From a call of a view to its answer: out of the cache if an entry is valid, else made, and kept if it may be.

``find`` looks an entry up with the versions it depends on, in one round trip once the tables are known; ``revive``
makes an answer of it; ``Making`` runs the view under the eyes of a recorder, and keeps what came out.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache import cache as default_cache
from django.http import HttpResponse
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response

from core import versions
from core.caching import entry as entries
from core.caching.entry import Entry
from core.caching.objects import Asked, ask, asks_objects
from core.caching.plans import Call, Place, Plan
from core.caching.recorder import Recorder, queryset_keys, sees_commits, written_keys
from core.caching.sessions import Looked
from core.keys.passing import finish
from core.outage import guard

_remembered: dict[Any, frozenset[str]] = {}
"""The keys of the versions that an action of a view is known to depend on."""


@dataclass(slots=True)
class Found:
    """What a look into the cache gave: an entry that is valid, or the versions to begin a new one with.

    ``usable`` is false where the cache is to be left alone.
    """

    entry: Entry | None = None
    tokens: dict[str, str] = field(default_factory=dict)
    usable: bool = True


def find(place: Place, request: Any) -> Found:
    """Look for a valid entry that answers ``request``, of Django or DRF."""
    known = _known(place)
    written = written_keys()
    if written and not written.isdisjoint(known):
        return Found(usable=False)
    read = guard.call(lambda: _read(place, known), None)
    if read is None:
        return Found(usable=False)
    entry, tokens = read
    if not versions.trusted_keys(tokens):
        return Found(usable=False)
    if entry is None:
        return Found(tokens=tokens)
    head = entry.head
    if written and not written.isdisjoint(head.versions):
        return Found(usable=False)
    if not known.issuperset(head.versions):
        _remember(place, head.versions)
    valid = head.versions.items() <= tokens.items()
    if not valid or (head.vary and not entries.answers(head, request.headers)):
        return Found(tokens=tokens)
    return Found(entry, tokens)


def _known(place: Place) -> frozenset[str]:
    known = _remembered.get(place.action, frozenset())
    return known | place.declared if place.declared else known


def _remember(place: Place, used: Collection[str]) -> None:
    _remembered[place.action] = entries.remember(_remembered.get(place.action, frozenset()), used)


def _read(place: Place, known: frozenset[str]) -> tuple[Entry | None, dict[str, str]]:
    store = caches[place.alias]
    if place.alias == DEFAULT_CACHE_ALIAS:
        found = store.get_many([place.key, *known])
        kept = found.pop(place.key, None)
    else:  # entry first: a version that is raised in between makes it invalid
        kept = store.get(place.key)
        found = default_cache.get_many(known) if known else {}
    entry = entries.decode(kept) if kept is not None else None
    if entry is not None and not entry.head.versions.keys() <= found.keys():
        found |= default_cache.get_many(entry.head.versions.keys() - found.keys())
    return entry, found


def revive(call: Call, entry: Entry) -> HttpResponse | None:
    """Make the answer of a valid entry, after asking object permissions; None if they cannot be asked.

    Raises what ``check_object_permissions`` raises.
    """
    if entry.head.asks and asks_objects(call.view):
        if not isinstance(call.view, GenericAPIView):
            return None
        ask(call.view)
    return entries.give(entry, kept=True)


def described(response: Any, plan: Plan) -> Any:
    """Say of an answer that is not kept this time what is said of those that are.

    Not where the answer is shared: of one that was not kept nobody knows whether others may be given it.
    """
    if not plan.shared and not entries.refusal(response, errors=plan.errors, shared=not plan.one_caller):
        entries.describe(response, shared=False)
    return response


class Making:
    """An answer that is being made: begin, let the view run, end."""

    def __init__(self, call: Call, plan: Plan, found: Found) -> None:
        self._call = call
        self._plan = plan
        self._written = written_keys()
        self._asked = Asked(call.view)
        self._looked = Looked(call.request)
        self.recorder = self._recorder(found) if found.usable and sees_commits() else None

    def _recorder(self, found: Found) -> Recorder | None:
        call, place = self._call, self._plan.place
        needed = _known(place)
        if call.view is not None and hasattr(call.view, "get_queryset"):
            needed |= queryset_keys(call.view)
        missing = needed - found.tokens.keys()

        def read() -> dict[str, str] | None:
            return versions.completed(needed, found.tokens | (default_cache.get_many(missing) if missing else {}))

        tokens = guard.call(read, None)
        return None if tokens is None else Recorder(tokens, declared=bool(place.declared))

    def run(self) -> Any:
        """Let a synchronous view make its answer, and keep it if that may be."""
        if self.recorder is None:
            return described(self._call.run(), self._plan)
        with self.watching():
            response = self.finished(self._call.run())
        return self.kept(response)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take note of what the view reads and asks, while it runs in this thread."""
        if self.recorder is None:
            yield
            return
        with self.recorder.watching(), self._asked.watching(), self._looked.watching():
            yield

    def finished(self, response: Any) -> Any:
        """Render ``response``, with all that belongs to it, while it is watched what that reads."""
        view, request = self._call.view, self._call.request
        if isinstance(response, Response) and view is not None:
            response.accepted_renderer = request.accepted_renderer
            response.accepted_media_type = request.accepted_media_type
            response.renderer_context = view.get_renderer_context()  # type: ignore[attr-defined]
        finish(request, response)
        if hasattr(response, "render") and not response.is_rendered:
            response = response.render()
        return response

    def kept(self, response: Any) -> Any:
        """Keep ``response`` if it may be kept; return what is to be answered."""
        call, plan, recorder = self._call, self._plan, self.recorder
        several = plan.shared or not plan.one_caller
        if recorder is None or entries.refusal(response, errors=plan.errors, shared=several) or not self._sound():
            return described(response, plan)
        # What the view varies on, before the headers that describe an answer to proxies.
        vary = entries.varying(self._varies_on(response), call.request.headers)
        entries.describe(response, shared=plan.shared)
        timeout = entries.lifetime(response, plan.timeout)
        entry = entries.keep(response, recorder.tokens, asks=self._asked.any, vary=vary)
        place = plan.place
        _remember(place, entry.head.versions)
        if timeout != 0:
            guard.call(lambda: caches[place.alias].set(place.key, entries.encode(entry), timeout), None)
        return entries.give(entry, kept=False)

    def _varies_on(self, response: Any) -> set[str]:
        names = set(entries.vary_names(response)) - self._plan.told_apart
        # A session holds more than who the user is. Whoever shares an answer has said that it does not matter.
        return names | {"cookie"} if self._looked.looked and self._plan.one_caller else names

    def _sound(self) -> bool:
        recorder, request = self.recorder, self._call.request
        if recorder is None or not recorder.sound or not self._asked.repeatable:
            return False
        if not (self._written | written_keys()).isdisjoint(recorder.tokens):
            return False
        if not versions.trusted_keys(recorder.tokens):
            return False
        # A form's token against forgery, or something put into the session, is for this caller at this moment.
        session = getattr(request, "session", None)
        return not (request.META.get("CSRF_COOKIE_NEEDS_UPDATE") or getattr(session, "modified", False))
