"""Learns from the database itself which rows a statement has written.

``UPDATE ... RETURNING`` gives the keys of exactly those rows, in the statement that writes them: a query before would
cost a round trip, and could see other rows than the statement does. Django runs the statement; it is completed on its
way to the database, by an execute wrapper. PostgreSQL is asked through a CTE, which writes all rows and sends no more
of their keys than are wanted; SQLite gives them out one by one.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connections, models

from core.changes.change import Table
from core.changes.tables import Part

_VERBS = {"INSERT", "UPDATE", "DELETE"}


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
    restore: Callable[[Sequence[Any]], Any]  # from a row of the database to a key


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
        result = execute(complete[0](sql, target.columns, limit), params, many, context)
        count, rows = complete[1](context["cursor"], limit)
        pks = tuple(target.restore(row) for row in rows) if count <= limit else None
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
    if len(fields) == 1:
        single = fields[0]
        return _Target(table, starts, columns, lambda row: _restored(single, row[0]))
    return _Target(table, starts, columns, lambda row: tuple(map(_restored, fields, row[: len(fields)])))


def _restored(field_: "models.Field[Any, Any]", value: Any) -> Any:
    return value if type(value) is int else field_.to_python(value)


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
    return f"{sql} RETURNING {', '.join(column.rpartition('.')[2] for column in columns)}"


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
