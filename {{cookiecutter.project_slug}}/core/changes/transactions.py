"""Collects the changes of each connection's transaction; logs them before its COMMIT and publishes them after.

Django tells what became of a transaction by its list of ``on_commit`` functions: what a rollback undoes is taken
off that list. So every frame of changes is put on it, and a frame that is no longer there was rolled back. That
makes savepoints, ``set_rollback`` and broken connections behave here exactly as they do for ``on_commit``.

Django has no hook *before* COMMIT, where the log entry belongs. As long as changes are pending, and no longer, the
connection's ``commit`` is therefore replaced by one that writes the entry first.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from core.changes import log
from core.changes.change import Change, Touch
from core.changes.frames import Frame, Savepoints, settle
from core.changes.ledger import Ledger
from core.changes.order import turnstile
from core.changes.process import this_process
from core.changes.publisher import Publication, unpublished
from core.conf import core_settings

logger = logging.getLogger(__name__)


def record(using: str, touches: Iterable[Touch]) -> None:
    """Take note of what one write did.

    In a transaction it is published after the commit, otherwise now.
    """
    connection = connections[using]
    if connection.in_atomic_block or not connection.get_autocommit():
        pending: Pending | None = connection.__dict__.get(_ATTRIBUTE)
        if pending is None:
            pending = connection.__dict__[_ATTRIBUTE] = Pending(connection)
        ledger = pending.ledger()
        for touch in touches:
            ledger.add(touch)
        return
    ledger = _new_ledger()
    for touch in touches:
        ledger.add(touch)
    if changes := ledger.changes(using):
        Publication(changes, using, _logged_afterwards(connection, changes))()


def written_tables(using: str) -> frozenset[str]:
    """Return the names of the tables that the open transaction on ``using`` has written to, as far as that was seen.

    Without a transaction there are none. What a savepoint has taken back does not count. In a ``TestCase``, whose
    transaction is never committed, these are all tables written to since the test began and not yet told of.
    """
    connection = connections[using]
    if not connection.in_atomic_block and (connection.connection is None or connection.autocommit):
        return frozenset()
    frames = (entry[1] for entry in connection.run_on_commit)
    return frozenset(name for frame in frames if isinstance(frame, _Noted) for name in frame.ledger.table_names())


def may_have_written() -> bool:
    """Tell whether a transaction of any thread may have written something that is not committed yet.

    A quick look that spares most readers ``written_tables``. After a rollback it may be true for longer than needed.
    """
    return len(_noted) > 0


_ATTRIBUTE = "_core_pending_changes"
_noted: "WeakSet[_Noted]" = WeakSet()


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Noted(Frame):
    """A frame that stands on Django's list of functions to call after the commit."""

    pending: "Pending"
    place: int  # on the list, or further to the front: entries before it may have been taken off

    __qualname__ = "core.changes"  # by which Django would name it in a log

    def __call__(self) -> None:
        self.pending.captured(self)


class Pending:
    """The changes of a connection's transaction that has not been committed yet."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._frames: list[_Noted] = []
        self._within: object = None  # in a TestCase: what stands for the transaction
        self._commit: Callable[[], None] | None = None  # Django's, while ours is in its place
        self._prompt = True  # whether the functions are called as soon as the transaction is committed

    def ledger(self) -> Ledger:
        """Return the ledger of the savepoints that are open now."""
        open_now = tuple(sid for sid in self._connection.savepoint_ids if sid is not None)
        if (within := _transaction_in_test(self._connection)) != self._within or within is _NOTHING:
            self._seal()
            self._within = within
        settle(self._frames, open_now, self._alive, self._moved)
        if not self._frames or self._frames[-1].savepoints != open_now:
            self._frames.append(self._new_frame(open_now))
        return self._frames[-1].ledger

    def _new_frame(self, open_now: Savepoints) -> _Noted:
        if self._commit is None:
            self._commit = self._connection.commit
            self._connection.__dict__["commit"] = self._commit_logged
        self._prompt = self._connection.in_atomic_block and self._connection.commit_on_exit
        entries = self._entries()
        frame = _Noted(open_now, _new_ledger(), self, len(entries))
        entries.append((set(open_now), frame, True))
        _noted.add(frame)
        return frame

    # --- Django's list ---

    def _entries(self) -> list[Any]:
        entries: list[Any] = self._connection.run_on_commit
        return entries

    def _alive(self, frame: _Noted) -> bool:
        entries = self._entries()
        for place in range(min(frame.place, len(entries) - 1), -1, -1):
            if entries[place][1] is frame:
                frame.place = place
                return True
        return False

    def _moved(self, frame: _Noted, into: _Noted | None) -> None:
        # settle() has just asked whether it is alive: it is in its place.
        entry = self._entries()[frame.place]
        if into is None:
            self._entries()[frame.place] = (set(frame.savepoints), *entry[1:])
        else:
            del self._entries()[frame.place]

    # --- The end of the transaction ---

    def _commit_logged(self) -> None:
        """Write the log entry, COMMIT, and publish, or leave that where Django will do it at once."""
        commit = self._unhook()
        publication = self._publication()
        if publication is None:
            commit()
            return
        publication.number = _logged(self._connection, publication.changes)
        # After the entry, which may have to wait: nobody waits for a ticket longer than for the COMMIT itself.
        publication.ticket = turnstile.draw()
        try:
            commit()
        except BaseException:
            turnstile.give_back(publication.ticket)
            raise
        if not self._prompt:
            # With autocommit off Django calls nothing until it is on again, and forgets it all at a later rollback.
            publication()
            return
        # First of all, so that no other function that fails, or reads a cache, comes before it.
        self._entries().insert(0, (set(), publication, True))
        self._guard(publication.ticket)

    def _guard(self, ticket: int) -> None:
        """Spend the ticket in any case when Django switches autocommit on, which is when it calls the functions."""
        attributes = self._connection.__dict__
        standing = attributes.get("set_autocommit")

        def set_autocommit(*args: Any, **kwargs: Any) -> None:
            if standing is None:
                attributes.pop("set_autocommit", None)
            else:
                attributes["set_autocommit"] = standing
            try:
                self._connection.set_autocommit(*args, **kwargs)
            finally:
                turnstile.give_back(ticket)  # spent already, unless the connection is broken

        attributes["set_autocommit"] = set_autocommit

    def _unhook(self) -> Callable[[], None]:
        commit, self._commit = self._commit, None
        self._connection.__dict__.pop("commit", None)
        return commit or self._connection.commit

    def _publication(self) -> Publication | None:
        settle(self._frames, (), self._alive, self._moved)
        frames, self._frames = self._frames, []
        if not frames:
            return None
        del self._entries()[frames[0].place]
        changes = frames[0].ledger.changes(self._connection.alias)
        return Publication(changes, self._connection.alias) if changes else None

    # --- Tests in a transaction that is never committed ---

    def _seal(self) -> None:
        """Close the frames of what stood for a transaction: they stay with Django, as one."""
        settle(self._frames, _savepoints_of_test(self._connection), self._alive, self._moved)
        self._frames = []

    def captured(self, frame: _Noted) -> None:
        """Publish without a COMMIT: ``captureOnCommitCallbacks`` does as if there had been one."""
        if frame in self._frames:
            self._seal()
        ledger, frame.ledger = frame.ledger, _new_ledger()
        if changes := ledger.changes(self._connection.alias):
            Publication(changes, self._connection.alias)()


_NOTHING = object()


def _test_blocks(connection: BaseDatabaseWrapper) -> int:
    count = 0
    for block in connection.atomic_blocks:
        if not getattr(block, "_from_testcase", False):
            break
        count += 1
    return count


def _savepoints_of_test(connection: BaseDatabaseWrapper) -> Savepoints:
    # The outermost block has no savepoint.
    count = max(_test_blocks(connection) - 1, 0)
    return tuple(sid for sid in connection.savepoint_ids[:count] if sid is not None)


def _transaction_in_test(connection: BaseDatabaseWrapper) -> object:
    """Tell what stands for the transaction in a ``TestCase``, whose own never ends.

    None outside of one. ``_NOTHING`` where the code under test is in no ``atomic``, and would be in autocommit.
    """
    count = _test_blocks(connection)
    if not count:
        return None
    if len(connection.atomic_blocks) == count:
        return _NOTHING
    return (connection.atomic_blocks[count], connection.savepoint_ids[count - 1])


def _new_ledger() -> Ledger:
    return Ledger(core_settings.CHANGES.MAX_PKS)


def _logged(connection: BaseDatabaseWrapper, changes: list[Change]) -> int | None:
    """Write ``changes`` to the log if there is one; return the number of the entry."""
    if not log.writes_to(connection.alias):
        return None
    number = next(this_process.numbers)
    unpublished.add(number)
    try:
        log.write(connection, this_process.origin, number, changes)
    except BaseException:
        unpublished.discard(number)  # rolled back with its transaction, or published without an entry
        raise
    return number


def _logged_afterwards(connection: BaseDatabaseWrapper, changes: list[Change]) -> int | None:
    """Write ``changes``, which are committed already, to the log; return None if that fails.

    The write stands and must not seem to have failed. Without an entry the doorbell carries the changes.
    """
    try:
        return _logged(connection, changes)
    except Exception:
        logger.exception("A write in autocommit could not be logged; other processes may not hear of it.")
        return None
