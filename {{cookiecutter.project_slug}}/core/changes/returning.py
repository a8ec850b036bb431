"""Learns from the database itself which rows a statement has written.

``UPDATE ... RETURNING`` gives the keys of exactly those rows, in the statement that writes them: a query before would
cost a round trip, and could see other rows than the statement does. Django runs the statement; it is completed on its
way to the database, by an execute wrapper. PostgreSQL is asked through a CTE, which writes all rows and sends no more
of their keys than are wanted; SQLite gives them out one by one.

On SQLite that takes three times as long as the statement by itself. But there a query before costs no round trip, and
under the lock for writing it sees the very rows: where the condition is plain, it is asked instead, as a part of the
same call of the cursor.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import connections

from core.changes.change import Table
from core.changes.encoding import are_integers
from core.changes.tables import Part


@dataclass(slots=True)
class Written:
    """The rows that one statement has written: how many, and their keys (None: too many, or no way to know)."""

    table: Table
    count: int
    pks: tuple[Any, ...] | None


@dataclass(slots=True)
class Observed:
    """The statements seen in a ``with returning(...)``, in their order."""

    statements: list[Written] = field(default_factory=list)

    @property
    def rows(self) -> int | None:
        """Rows written by the first statement that wrote any, which is what Django counts; None if none was seen."""
        if not self.statements:
            return None
        return next((written.count for written in self.statements if written.count), 0)


@dataclass(frozen=True, slots=True)
class _Target:
    """A table that is watched for statements."""

    table: Table
    starts: tuple[str, ...]
    columns: tuple[str, ...]  # quoted
    restore: Callable[[Sequence[Sequence[Any]]], tuple[Any, ...]]  # from rows of the database to keys


@contextmanager
def returning(using: str, parts: Sequence[Part], limit: int) -> Iterator[Observed]:
    """Learn the keys that statements on the tables of ``parts`` write, ``limit`` of them at most per statement.

    On a database other than PostgreSQL and SQLite nothing is learnt, and nothing changed.
    """
    connection = connections[using]
    observed = Observed()
    complete = _COMPLETE.get(connection.vendor)
    if complete is None:
        yield observed
        return
    targets = [_target(part, connection.ops.quote_name) for part in parts]

    def wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        target = next((each for each in targets if sql.startswith(each.starts)), None)
        if target is None or many or " RETURNING " in sql:
            return execute(sql, params, many, context)
        if (question := _question(connection, target, sql, params, limit)) is not None:
            execute(*question, many, context)
            rows = context["cursor"].fetchall()
            result = execute(sql, params, many, context)
            count = context["cursor"].rowcount
            pks = target.restore(rows) if len(rows) <= limit else None
            observed.statements.append(Written(target.table, count, pks))
            return result
        result = execute(complete[0](sql, target.columns, limit), params, many, context)
        count, rows = complete[1](context["cursor"], limit)
        pks = target.restore(rows) if count <= limit else None
        observed.statements.append(Written(target.table, count, pks))
        return result

    with connection.execute_wrapper(wrapper):
        yield observed


def _target(part: Part, quote: Callable[[str], str]) -> _Target:
    table = part.table
    name = quote(table.name)
    fields = part.model._meta.pk_fields
    columns = tuple(f"{name}.{quote(each.column or '')}" for each in fields)
    starts = (f"UPDATE {name} ", f"DELETE FROM {name}", f"INSERT INTO {name} ", f"INSERT OR IGNORE INTO {name} ")  # noqa: S608
    return _Target(table, starts, columns, partial(_restored, fields))


def _restored(fields: Sequence[Any], rows: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    if len(fields) > 1:
        return tuple([tuple([_value(*pair) for pair in zip(fields, row, strict=False)]) for row in rows])
    values = [row[0] for row in rows]
    return tuple(values if are_integers(values) else [_value(fields[0], value) for value in values])


def _value(field_: Any, value: Any) -> Any:
    return value if type(value) is int else field_.to_python(value)


_CALL = re.compile(r"\w\(")


def _question(
    connection: Any, target: _Target, sql: str, params: Any, limit: int
) -> tuple[str, Sequence[Any] | None] | None:
    """Return the query that tells beforehand which rows ``sql`` will write; None if it might tell of others.

    That is where another connection could write in between, and where the condition holds a subquery or calls a
    function, which may be random or look at the clock. Where the statement rewrites keys, the new ones are wanted; and
    where it names one row by its key, RETURNING is as quick.
    """
    if connection.vendor != "sqlite" or not sql.startswith(target.starts[:2]) or "SELECT" in sql:
        return None
    locked = connection.transaction_mode in {"IMMEDIATE", "EXCLUSIVE"}
    if not (locked and connection.in_atomic_block and connection.commit_on_exit):
        return None
    head, where, condition = sql.partition(" WHERE ")
    bare = _bare(target.columns)
    if _CALL.search(condition) or any(f"{column} = " in head for column in bare):
        return None
    if [condition] == [f"{column} = %s" for column in target.columns] or " WHERE " in condition:
        return None
    skipped = head.count("%s")
    name = target.columns[0].rpartition(".")[0]
    keys = ", ".join(bare)
    # In the order of the table, not of some index: keys that follow one another are short in the log.
    query = f"SELECT {keys} FROM {name}{where}{condition} ORDER BY {keys} LIMIT {limit + 1}"  # noqa: S608
    return query, params[skipped:] if params else params


def _bare(columns: Sequence[str]) -> list[str]:
    return [column.rpartition(".")[2] for column in columns]


def _complete_postgresql(sql: str, columns: Sequence[str], limit: int) -> str:
    names = ", ".join(f"k{number}" for number in range(len(columns)))
    keys = ", ".join(f"{column} AS k{number}" for number, column in enumerate(columns))
    # A statement that writes runs to its end in a CTE, however few of its rows are asked for.
    return (
        f"WITH written AS ({sql} RETURNING {keys}) "  # noqa: S608
        f"SELECT {names}, (SELECT count(*) FROM written) FROM written LIMIT {limit + 1}"
    )


def _read_postgresql(cursor: Any, _limit: int) -> tuple[int, list[Sequence[Any]]]:
    rows = cursor.fetchall()
    return (rows[0][-1], rows) if rows else (0, [])


def _complete_sqlite(sql: str, columns: Sequence[str], _limit: int) -> str:
    # SQLite knows the table by its bare columns only.
    return f"{sql} RETURNING {', '.join(_bare(columns))}"


def _read_sqlite(cursor: Any, limit: int) -> tuple[int, list[Sequence[Any]]]:
    rows = cursor.fetchmany(limit)
    count = len(rows)
    while more := cursor.fetchmany(1000):  # the statement ends, and counts its rows, when the last has been read
        count += len(more)
    return count, rows


_COMPLETE: dict[str, tuple[Callable[..., str], Callable[..., tuple[int, list[Sequence[Any]]]]]] = {
    "postgresql": (_complete_postgresql, _read_postgresql),
    "sqlite": (_complete_sqlite, _read_sqlite),
}
