"""Tells an audience what has become of the rows that a commit has touched: the shell around ``Audience.judge``."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from core.bindings.actions import DELETE, UPDATE
from core.bindings.audience import Audience, Told, Touched
from core.bindings.desk import Desk, Pairs
from core.bindings.messages import encode, event
from core.bindings.sight import Interest, Sight, blocks

if TYPE_CHECKING:
    from core.sockets import SocketConsumer

logger = logging.getLogger(__name__)

SLICE: Final = 0.01
"""Seconds that an event loop is held up at a time."""

Listeners = Audience["SocketConsumer"]
"""An audience of sockets."""


class Updates(Enum):
    """Which updates are told."""

    ALL = "of rows that have been touched"
    VISIBLE = "of rows that may have been, if they do not look as they did when last told"
    COMING = "of single rows that are back in sight"


class Outlet:
    """What is to be offered to the sockets of one event loop: in slices, so that the loop is not held up for long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pairs: deque[tuple[SocketConsumer, str]] = deque()
        self.open = False
        """Whether something is still to be offered."""

    def put(self, loop: asyncio.AbstractEventLoop, pairs: Iterable[tuple["SocketConsumer", str]]) -> None:
        """Have texts offered to sockets of ``loop``, after those that came before. From any thread."""
        with self._lock:
            self._pairs.extend(pairs)
            if self.open:
                return
            self.open = True
        try:
            loop.call_soon_threadsafe(self._offer, loop)
        except RuntimeError:  # it has ended, and its sockets with it
            logger.debug("Events found their event loop closed.")

    def _offer(self, loop: asyncio.AbstractEventLoop) -> None:
        until = time.monotonic() + SLICE
        while time.monotonic() < until:
            with self._lock:
                if not self._pairs:
                    self.open = False
                    return
                socket, text = self._pairs.popleft()
            try:
                socket.offer(text)
            except Exception:  # the others are to have theirs
                logger.exception("An event could not be offered to a socket.")
        loop.call_soon(self._offer, loop)


def _hand_out(pairs: Pairs) -> None:
    """Hand texts over to the event loops of their sockets, each of which is woken once."""
    by_loop: dict[asyncio.AbstractEventLoop, Pairs] = {}
    for pair in pairs:
        by_loop.setdefault(pair[0].loop, []).append(pair)
    for loop, those in by_loop.items():
        with _outlets_lock:
            outlet = _outlets.setdefault(loop, Outlet())
        outlet.put(loop, those)


_outlets: WeakKeyDictionary[asyncio.AbstractEventLoop, Outlet] = WeakKeyDictionary()
_outlets_lock: Final = threading.Lock()
desk: Final = Desk(_hand_out)
"""Where those who are logged in are looked up before anything goes out to them."""


def all_offered() -> bool:
    """Tell whether everything that was sent has been offered to its sockets."""
    if desk.busy:
        return False
    with _outlets_lock:
        return not any(outlet.open for loop, outlet in _outlets.items() if not loop.is_closed())


@dataclass(slots=True)
class Delivery:
    """What is to be sent at once."""

    known: Pairs = field(default_factory=list)
    anonymous: Pairs = field(default_factory=list)

    def add(self, sockets: Iterable["SocketConsumer"], text: str) -> None:
        """Have ``text`` sent to each of ``sockets`` that is open."""
        for socket in sockets:
            if not socket.closing:
                (self.anonymous if socket.credential is None else self.known).append((socket, text))

    def send(self, then: Callable[[], None] = lambda: None, *, ask: bool = True) -> None:
        """Hand it over to the event loops, and call ``then`` when that is done. From any thread.

        Who is logged in is looked up first; not those who have just been, if all else has gone out, without ``ask``.
        """
        _hand_out(self.anonymous)
        if self.known:
            desk.put(self.known, then, ask=ask)
        else:
            then()


def evaluate(interest: Interest, audience: Listeners, touched: Touched, sight: Sight) -> None:
    """Tell ``audience`` what has become of the rows that a commit has touched.

    If that fails, those that are left in ``touched`` are still to be told.
    """
    certain = audience.concerned(touched.pks)
    for block in blocks(certain):
        _evaluate_block(interest, audience, block, touched.created, sight, Updates.ALL)
        touched.pks.difference_update(block)
    if touched.unknown:
        doubtful = _doubtful(audience, touched.unknown, sight).difference(certain)
        for block in blocks(doubtful):
            _evaluate_block(interest, audience, block, touched.created, sight, Updates.VISIBLE)


def refresh(interest: Interest, audience: Listeners, pks: Collection[Any], sight: Sight) -> None:
    """Tell ``audience`` which rows have come into sight or gone from it without having been touched.

    Who joins it now loads what is in sight now; so this has to be what all of them have in sight. ``pks`` are the rows
    that the newcomers name.
    """
    for block in blocks(pks if audience.detail else _strayed(audience, sight)):
        _evaluate_block(interest, audience, block, set(), sight, Updates.COMING)


def _strayed(audience: Listeners, sight: Sight) -> Collection[Any]:
    """Return the rows that may have come into sight, or gone from it, since they were last looked at."""
    if not audience.whole:
        return list(audience.seen)
    keys = sight.keys(audience.most)
    if keys is None:
        audience.outgrow()
        return list(audience.seen)
    return {pk for pk, _ in keys.items() ^ audience.seen.items()} if keys != audience.seen else ()


def _doubtful(audience: Listeners, kinds: set[str], sight: Sight) -> set[Any]:
    """Return the rows that may have changed where nobody knows which did."""
    if audience.detail:
        return audience.everyone()
    current = set(sight.candidates())
    if audience.whole and "updated" not in kinds:
        return current.symmetric_difference(audience.seen)
    return current.union(audience.seen)


def _evaluate_block(  # noqa: PLR0913, PLR0917 - what an event is made of
    interest: Interest, audience: Listeners, pks: list[Any], created: set[Any], sight: Sight, updates: Updates
) -> None:
    rows = {row.pk: row for row in sight.rows(pks)}
    events = list(audience.judge(pks, {pk: sight.shown(row) for pk, row in rows.items()}, created))
    if updates is Updates.COMING:
        events = [each for each in events if each.action != UPDATE or each.pk not in audience.seen]
    wanted = [rows[each.pk] for each in events if each.action != DELETE and audience.receivers(each)]
    rendered = sight.rendered(wanted)
    delivery = Delivery()
    told: list[tuple[Told, int | None]] = []
    for each in events:
        digest = None
        if receivers := audience.receivers(each):
            text = _text(interest, each, {} if each.action == DELETE else rendered[each.pk])
            digest = hash(text[text.index(_AFTER_ACTION) :])
            looks_the_same = audience.digests.get(each.pk) == digest
            if each.action != UPDATE or updates is not Updates.VISIBLE or not looks_the_same:
                delivery.add(receivers, text)
        told.append((each, digest))
    # Only now, when nothing can fail any more: what could not be told has not been seen.
    for each, digest in told:
        audience.remember(each, digest)
    delivery.send()


_AFTER_ACTION: Final = '","pk":'


def _text(interest: Interest, told: Told, data: Any) -> str:
    return encode(event(interest.stream, told.action, told.shown, interest.model._meta.label_lower, data))
