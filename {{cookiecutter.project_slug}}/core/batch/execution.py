"""Runs a batch that has been read: in which order, in which transaction, and what becomes of failures."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from core.batch import graph, workers
from core.batch.answers import Answer, Failure, blame, not_done, own_answer
from core.batch.calls import BadCallError, Call, resolve
from core.batch.items import Batch, Item
from core.batch.jsonpath import Allowance
from core.batch.references import Resolver, UnresolvedError
from core.batch.transactions import CommitError, Transactions
from core.conf import core_settings

logger = logging.getLogger(__name__)


class Sends(Protocol):
    """What sends calls."""

    def send(self, call: Call) -> Answer:
        """Return the answer to ``call``."""
        ...


def execute(batch: Batch, sender: Sends) -> list[Answer]:
    """Run ``batch`` and return the answers, in the order of its items."""
    return _Execution(batch, sender).run()


class _Execution:
    def __init__(self, batch: Batch, sender: Sends) -> None:
        self._batch = batch
        self._sender = sender
        self._answers: list[Answer | None] = [None] * len(batch.items)
        self._named = _Named(batch.items, self._answers)
        self._allowance = Allowance(core_settings.BATCH.MAX_REFERENCE_STEPS)
        self._max_inserted = core_settings.BATCH.MAX_BODY_SIZE

    def run(self) -> list[Answer]:
        if self._batch.atomic:
            self._run_atomic()
        else:
            self._run_freely()
        return [answer for answer in self._answers if answer is not None]

    def _run_freely(self) -> None:
        databases = list(connections.all())
        one_writer = any(connection.vendor == "sqlite" for connection in databases)
        waits = self._waits(one_writer=one_writer)
        at_once = not graph.in_line(waits) and all(map(_can_be_shared, databases))
        most = min(core_settings.BATCH.MAX_WORKERS, len(self._batch.items)) if at_once else 1
        workers.run(graph.Schedule(waits), self._do, most)

    def _waits(self, *, one_writer: bool) -> list[set[int]]:
        batch = self._batch
        safe = [item.safe for item in batch.items]
        return graph.waits_for(batch.depends_on, safe, ordered=batch.ordered, one_writer=one_writer)

    def _do(self, number: int) -> None:
        self._answers[number] = self._answer(number)

    def _answer(self, number: int) -> Answer:
        item = self._batch.items[number]
        for other in sorted(self._batch.depends_on[number]):
            answer = self._answers[other]
            if answer is not None and answer.failed:
                return not_done(blame(self._batch.items[other], answer))
        try:
            call = resolve(item, Resolver(self._named, self._max_inserted, self._allowance))
        except UnresolvedError as error:
            return own_answer(424, str(error))
        except BadCallError as error:
            return own_answer(400, str(error))
        try:
            return self._sender.send(call)
        except Exception:
            # Views do not come here: Django makes an answer of what they raise. A stream that breaks off does.
            logger.exception("Item %s of a batch failed: %s %s", number, item.method, call.target.path)
            return own_answer(500, "The server failed on this item.")

    # --- All or nothing ---

    def _run_atomic(self) -> None:
        transactions = Transactions(connections.all())
        try:
            failure = self._run_until_failure(transactions)
        except BaseException:
            transactions.roll_back()
            raise
        if failure is not None:
            transactions.roll_back()
            self._undo(failure)
            return
        try:
            transactions.commit()
        except CommitError as error:
            self._answers[:] = [own_answer(424, str(error)) for _ in self._answers]

    def _run_until_failure(self, transactions: Transactions) -> Failure | None:
        for number in graph.sequence(self._waits(one_writer=False)):
            self._do(number)
            answer = self._answers[number]
            if answer is not None and not answer.failed and transactions.broken():
                detail = "The item has broken the transaction of the batch: nothing more can be written in it."
                answer = self._answers[number] = own_answer(500, detail)
            if answer is not None and answer.failed:
                return blame(self._batch.items[number], answer)
        return None

    def _undo(self, failure: Failure) -> None:
        for number, answer in enumerate(self._answers):
            if number != failure.index:
                undone = not_done(failure, undone=answer is not None)
                undone.seconds = answer.seconds if answer else 0.0
                self._answers[number] = undone


class _Named(Mapping[str, Answer]):
    """The answers by the names of their items."""

    def __init__(self, items: Iterable[Item], answers: list[Answer | None]) -> None:
        self._numbers = {item.name: item.index for item in items if item.name is not None}
        self._answers = answers

    def __getitem__(self, name: str) -> Answer:
        answer = self._answers[self._numbers[name]]
        if answer is None:
            raise KeyError(name)
        return answer

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


def _can_be_shared(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether other threads would see this database as this thread does."""
    database: Any = connection
    if connection.in_atomic_block or (connection.connection is not None and not connection.autocommit):
        return False
    return not (connection.vendor == "sqlite" and database.is_in_memory_db())
