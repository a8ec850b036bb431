"""The change stream: what every transaction has changed, told once, after its commit.

A write is observed (``capture``, ``querysets``, ``returning``), noted with the savepoints that are open (``frames``,
``transactions``), added up (``ledger``), written to the log as the last statement before COMMIT (``log``), and after it
published in the order of commits (``publisher``, ``order``) as ``changes_committed``. A doorbell on the channel layer
(``doorbell``) wakes the other processes, whose ``reader`` finds it in the log and publishes ``changes_heard``.
"""

from core.changes.capture import record_change
from core.changes.change import Change
from core.changes.querysets import TrackedManager, TrackedQuerySet
from core.changes.signals import changes_committed, changes_heard
from core.changes.transactions import may_have_written, written_tables

__all__ = [
    "Change",
    "TrackedManager",
    "TrackedQuerySet",
    "changes_committed",
    "changes_heard",
    "may_have_written",
    "record_change",
    "written_tables",
]
