"""The transactions of an atomic batch: one on each database that is used, begun when it is first used.

Which databases a batch will use is not known before it has run. So every connection is made to look as if it were in an
``atomic`` block already, and the first thing that needs the database begins the real one. A database that nothing uses
sees no statement, and is not even connected to.

At the end all are committed, one after another, and only then do the ``on_commit`` functions run: one that fails undoes
nothing, and none sees a batch that is half committed.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from core.changes.publisher import Publication

logger = logging.getLogger(__name__)

# What Django calls on a connection before it does anything with the database.
_FIRST_USES = ("close_if_health_check_failed", "ensure_connection")
_HOOKS = "run_and_clear_commit_hooks"


class CommitError(Exception):
    """The batch could not be committed; the message tells what has become of it."""


class Transactions:
    """The transactions of one batch, on ``connections``, all of this thread."""

    def __init__(self, connections: Iterable[BaseDatabaseWrapper]) -> None:
        self._all: list[_Transaction] = []
        try:
            for connection in connections:
                self._all.append(_Transaction(connection))
        except BaseException:
            self.roll_back()
            raise

    def broken(self) -> bool:
        """Tell whether one can only be rolled back."""
        return any(_cannot_commit(each.connection) for each in self._all)

    def commit(self) -> None:
        """Commit them, and call what waits for the commit; exceptions of that are logged.

        Raises ``CommitError`` if one fails; those that were not committed by then are rolled back.
        """
        error: Exception | None = None
        committed = False
        with _held_back(each.connection for each in self._all):
            for each in self._all:
                try:
                    committed = each.end(undo=error is not None) or committed
                except Exception as raised:
                    logger.exception("A batch failed at its commit on the database %r.", each.connection.alias)
                    error = error or raised
        if error is not None:
            what = "Partly written: one database committed before another failed" if committed else "Rolled back"
            raise CommitError(f"{what}: the transaction failed.") from error

    def roll_back(self) -> None:
        """Roll all of them back; exceptions of that are logged."""
        for each in self._all:
            try:
                each.end(undo=True)
            except Exception:
                logger.exception("A batch could not be rolled back on the database %r.", each.connection.alias)


class _Transaction:
    """An ``atomic`` block on one database that begins with the first use of the connection."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self._attributes = connection.__dict__
        self._atomic = transaction.atomic(using=connection.alias)
        self._begun = False
        if connection.in_atomic_block or (connection.connection is not None and not connection.autocommit):
            self._atomic.__enter__()
            self._begun = True
        else:
            self._wait()

    def _wait(self) -> None:
        """Look like an ``atomic`` block that has just been entered."""
        self.connection.commit_on_exit = True
        self.connection.needs_rollback = False
        self.connection.in_atomic_block = True
        self.connection.atomic_blocks.append(self._atomic)
        self._hook()

    def _hook(self) -> None:
        self._attributes.update(dict.fromkeys(_FIRST_USES, self._begin))

    def _unhook(self) -> None:
        for name in _FIRST_USES:
            self._attributes.pop(name, None)

    def _begin(self) -> None:
        """Begin the real block, within whatever blocks have been entered without touching the database."""
        connection = self.connection
        self._unhook()
        if connection.closed_in_transaction:
            return  # as in any block whose connection was closed: it is lost, and Django says so
        blocks, savepoints = connection.atomic_blocks, connection.savepoint_ids
        hooks, spoilt = connection.run_on_commit, connection.needs_rollback
        connection.in_atomic_block, connection.needs_rollback = False, False
        connection.atomic_blocks, connection.savepoint_ids, connection.run_on_commit = [], [], []
        try:
            self._atomic.__enter__()
        except BaseException:
            connection.in_atomic_block, connection.needs_rollback = True, spoilt
            connection.atomic_blocks, connection.savepoint_ids, connection.run_on_commit = blocks, savepoints, hooks
            self._hook()
            raise
        self._begun = True
        connection.atomic_blocks += blocks[1:]
        connection.savepoint_ids += savepoints
        connection.run_on_commit += hooks
        connection.needs_rollback = spoilt

    def end(self, *, undo: bool) -> bool:
        """Commit, or roll back to ``undo`` it; tell whether something was committed."""
        connection = self.connection
        undo = undo or connection.needs_rollback
        try:
            if connection.run_on_commit and not undo and not self._begun:
                self._begin()  # something waits for a commit: it gets one
        finally:
            self._unhook()
            if not self._begun:
                self._leave()
        if not self._begun:
            return False
        if undo:
            connection.set_rollback(True)
        self._atomic.__exit__(None, None, None)
        return not undo

    def _leave(self) -> None:
        """Look like a connection in no block again."""
        connection = self.connection
        connection.in_atomic_block, connection.needs_rollback = False, False
        connection.atomic_blocks, connection.savepoint_ids, connection.run_on_commit = [], [], []
        if connection.closed_in_transaction:
            connection.connection, connection.closed_in_transaction = None, False


@contextmanager
def _held_back(connections: Iterable[BaseDatabaseWrapper]) -> Iterator[None]:
    """Hold the ``on_commit`` functions of ``connections`` back until the end of the block."""
    held: list[tuple[BaseDatabaseWrapper, list[Any]]] = []
    holding = list(connections)
    for connection in holding:
        connection.__dict__[_HOOKS] = partial(_hold_back, connection, held)
    try:
        yield
    finally:
        for connection in holding:
            del connection.__dict__[_HOOKS]
    for connection, waiting in held:
        connection.run_on_commit += waiting
        try:
            connection.run_and_clear_commit_hooks()
        except Exception:
            logger.exception("What waited for the commit of a batch failed; the batch is committed.")


def _hold_back(connection: BaseDatabaseWrapper, held: list[tuple[BaseDatabaseWrapper, list[Any]]]) -> None:
    waiting, connection.run_on_commit = connection.run_on_commit, []
    held.append((connection, [entry for entry in waiting if not isinstance(entry[1], Publication)]))
    for entry in waiting:
        if isinstance(entry[1], Publication):
            entry[1]()  # now, while its turn in the order of all commits is kept; it does not fail


def _cannot_commit(connection: BaseDatabaseWrapper) -> bool:
    if connection.needs_rollback or connection.connection is None:
        return connection.needs_rollback
    if connection.vendor != "postgresql":
        return False
    # After an error that somebody caught, PostgreSQL answers COMMIT with a rollback, and without a word.
    status: int = connection.connection.info.transaction_status
    return status == _IN_ERROR


_IN_ERROR = 3  # libpq's PQTRANS_INERROR
