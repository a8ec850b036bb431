"""Watches the database while an answer is made, and reads the version of each table before its first row is read.

That order is what makes an entry safe: a write that commits after the version was read raises it, and the entry,
whatever rows it holds, is never found valid again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.core.cache import cache
from django.db import connections, router
from django.db.models import Model

from core import versions
from core.changes import may_have_written, written_tables
from core.outage import guard
from core.queries import tables_read
from core.statements import read_statement


class Recorder:
    """Takes note of what is read. ``tokens`` are the versions that were read so far, by their keys.

    ``sound`` is false as soon as something was done that an entry cannot stand for. ``declared`` tells that the view's
    author has named the tables of what cannot be seen.
    """

    def __init__(self, tokens: Mapping[str, str], *, declared: bool) -> None:
        self.tokens = dict(tokens)
        self.sound = True
        self._declared = declared

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: Any, context: Any) -> Any:
        """Run a statement; an execute wrapper of Django's connections."""
        self._note(sql if isinstance(sql, str) else str(sql), context["connection"])
        return execute(sql, params, many, context)

    def _note(self, sql: str, connection: Any) -> None:
        statement = read_statement(sql)
        if statement.writes or statement.unseen or (statement.opaque and not self._declared):
            self.sound = False
        if not self.sound or not statement.tables:
            return
        if len(connections.settings) > 1 and any(_is_replica(name, connection.alias) for name in statement.tables):
            self.sound = False  # it lags behind the database whose versions are known
            return
        new = {versions.key(table, connection.alias) for table in statement.tables} - self.tokens.keys()
        if new:
            found = guard.call(lambda: versions.completed(new, cache.get_many(new)), None)
            if found is None:
                self.sound = False
            else:
                self.tokens |= found

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the connections of this thread."""
        watched = connections.all()
        for connection in watched:
            connection.execute_wrappers.append(self)
        try:
            yield
        finally:
            # By identity: another answer made in the same thread may have come in between.
            for connection in watched:
                connection.execute_wrappers.remove(self)


def _is_replica(table: str, using: str) -> bool:
    models = (model for model in apps.get_models(include_auto_created=True) if model._meta.db_table == table)
    return any(router.db_for_write(model) != using for model in models)


def declared_keys(tables: "Iterable[type[Model] | str]") -> frozenset[str]:
    """Return the keys of the versions of ``tables``: models, their labels (``"polls.question"``) or names of tables."""
    return frozenset(_declared_key(each) for each in tables)


def _declared_key(table: "type[Model] | str") -> str:
    if isinstance(table, str) and "." not in table:
        return versions.key(table)
    model: Any = apps.get_model(table) if isinstance(table, str) else table
    return versions.key(model._meta.db_table, router.db_for_write(model))


def queryset_keys(view: Any) -> frozenset[str]:
    """Return the keys of the versions of what the view's queryset reads, as far as that can be told beforehand."""
    try:
        queryset = view.get_queryset()
        tables = tables_read(queryset) or ()
    except Exception:  # noqa: BLE001 - whatever it is, the view will say so itself; the recorder sees the rest
        return frozenset()
    return frozenset(versions.key(table, queryset.db) for table in tables)


_NOTHING: frozenset[str] = frozenset()


def written_keys() -> frozenset[str]:
    """Return the keys of the versions of the tables written in the transactions that are open in this thread."""
    if not may_have_written():
        return _NOTHING
    return frozenset(
        versions.key(table, connection.alias)
        for connection in connections.all(initialized_only=True)
        # Asking for autocommit would open a connection.
        if connection.in_atomic_block or (connection.connection is not None and not connection.autocommit)
        for table in written_tables(connection.alias)
    )


def in_transaction() -> bool:
    """Tell whether a transaction is open in this thread."""
    return any(connection.in_atomic_block for connection in connections.all(initialized_only=True))


def sees_commits() -> bool:
    """Tell whether what is read now is what was committed last.

    In a transaction that works on a snapshot it is not: the versions would be younger than the rows.
    """
    return all(
        not connection.in_atomic_block or _reads_committed(connection)
        for connection in connections.all(initialized_only=True)
    )


def _reads_committed(connection: Any) -> bool:
    if connection.vendor == "sqlite":  # who has begun so keeps all others from writing
        return connection.transaction_mode in {"IMMEDIATE", "EXCLUSIVE"}
    if connection.vendor == "postgresql":
        level = getattr(connection, "isolation_level", None)
        return level is None or level <= 2  # READ COMMITTED
    return False
