"""Learns from the database itself which rows a statement has written.

``UPDATE ... RETURNING`` gives the keys of exactly those rows, in the statement that writes them: a query before would
cost a round trip, and could see other rows than the statement does. Django runs the statement; it is completed on its
way to the database, by an execute wrapper. PostgreSQL is asked through a CTE, which writes all rows and sends no more
of their keys than are wanted; SQLite gives them out one by one.

On SQLite that takes three times as long as the statement by itself. But there a query before costs no round trip, and
under the lock for writing it sees the very rows: where the condition is plain, it is asked instead, as a part of the
same call of the cursor.

To fetch ten thousand keys takes longer than to write the rows. Of keys that are whole numbers the database is therefore
asked how many there are, for the first and for the last: where they follow one another, as those of a bulk operation
mostly do, that says it all.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import connections
from django.db.models import IntegerField

from core.changes.change import Table
from core.changes.encoding import are_integers
from core.changes.tables import Part

FEW = 200
"""Keys that SQLite is asked for before it is asked whether they are a run."""


@dataclass(slots=True)
class Written:
    """The rows that one statement has written: how many, and their keys (None: too many, or no way to know)."""

    table: Table
    count: int
    pks: Sequence[Any] | None


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
    is_whole: bool  # the key is one column of whole numbers
    restore: Callable[[Sequence[Sequence[Any]]], tuple[Any, ...]]  # from rows of the database to keys


@contextmanager
def returning(using: str, parts: Sequence[Part], limit: int) -> Iterator[Observed]:
    """Learn the keys that statements on the tables of ``parts`` write, ``limit`` of them at most per statement.

    On a database other than PostgreSQL and SQLite nothing is learnt, and nothing changed.
    """
    connection = connections[using]
    observed = Observed()
    ways = _WAYS.get(connection.vendor)
    if ways is None:
        yield observed
        return
    complete, read = ways
    targets = [_target(part, connection.ops.quote_name) for part in parts]

    def wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        target = next((each for each in targets if sql.startswith(each.starts)), None)
        if target is None or many or " RETURNING " in sql:
            return execute(sql, params, many, context)
        cursor = context["cursor"]
        if (question := _question(connection, target, sql, params)) is not None:

            def ask(query: str, values: Sequence[Any]) -> list[Any]:
                execute(query, values, many, context)
                return list(cursor.fetchall())

            pks = _asked(ask, target, question, limit)
            result = execute(sql, params, many, context)
            count = cursor.rowcount
        else:
            result = execute(complete(sql, target, limit), params, many, context)
            count, pks = read(cursor, target, limit)
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
    is_whole = len(fields) == 1 and isinstance(_referred(fields[0]), IntegerField)
    return _Target(table, starts, columns, is_whole, partial(_restored, fields))


def _referred(field_: Any) -> Any:
    """Return the field whose values ``field_`` holds: of a foreign key, the one at its other end."""
    while field_.is_relation:
        field_ = field_.target_field
    return field_


def _restored(fields: Sequence[Any], rows: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    if len(fields) > 1:
        return tuple([tuple([_value(*pair) for pair in zip(fields, row, strict=False)]) for row in rows])
    values = [row[0] for row in rows]
    return tuple(values if are_integers(values) else [_value(fields[0], value) for value in values])


def _value(field_: Any, value: Any) -> Any:
    return value if type(value) is int else field_.to_python(value)


def _run(count: int, first: Any, last: Any) -> range | None:
    """Return the keys, which are ``count`` different whole numbers, if they follow one another."""
    if not count:
        return range(0)
    follow = type(first) is type(last) is int and last - first + 1 == count
    return range(first, last + 1) if follow else None


# --- SQLite: a query before the statement ---------------------------------------------------------------------


_CALL = re.compile(r"\w\(")


@dataclass(frozen=True, slots=True)
class _Question:
    """Which rows a query beforehand is to ask for."""

    source: str  # FROM ... WHERE ...
    params: tuple[Any, ...]
    most: int  # parameters that one query may have


def _question(connection: Any, target: _Target, sql: str, params: Any) -> _Question | None:
    """Return which rows ``sql`` will write, as a query before it can say it; None if it might tell of others.

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
    if _CALL.search(condition) or any(f"{column} = " in head for column in _bare(target.columns)):
        return None
    if [condition] == [f"{column} = %s" for column in target.columns] or " WHERE " in condition:
        return None
    name = target.columns[0].rpartition(".")[0]
    of_rows = tuple(params or ())[head.count("%s") :]
    return _Question(f"FROM {name}{where}{condition}", of_rows, connection.features.max_query_params)


def _asked(
    ask: Callable[[str, Sequence[Any]], list[Any]], target: _Target, question: _Question, limit: int
) -> Sequence[Any] | None:
    """Return the keys of the rows in question, or None if they are more than ``limit``."""
    keys = ", ".join(_bare(target.columns))

    def first(most: int) -> list[Any]:
        # In the order of the table, not of some index: keys that follow one another are short in the log.
        return ask(f"SELECT {keys} {question.source} ORDER BY {keys} LIMIT {most}", question.params)

    # Few are fetched at once: to look for them a second time may take as long as the statement.
    rows = first(min(FEW, limit) + 1)
    if len(rows) > limit:
        return None
    if len(rows) <= FEW:
        return target.restore(rows)
    if target.is_whole and 2 * len(question.params) <= question.most:
        # Each by itself: the last one is found without looking at those before it.
        ends = f"(SELECT COUNT(*) {question.source}), (SELECT MAX({keys}) {question.source})"
        ((count, last),) = ask(f"SELECT {ends}", question.params * 2)
        if count > limit:
            return None
        if (run := _run(count, rows[0][0], last)) is not None:
            return run
    rows = first(limit + 1)
    return target.restore(rows) if len(rows) <= limit else None


def _bare(columns: Sequence[str]) -> list[str]:
    return [column.rpartition(".")[2] for column in columns]


# --- What the statement itself tells --------------------------------------------------------------------------


def _complete_postgresql(sql: str, target: _Target, limit: int) -> str:
    keys = ", ".join(f"{column} AS k{number}" for number, column in enumerate(target.columns))
    # Different whole numbers follow one another if the last is as far from the first as there are others: then these
    # say it all. (In this form nothing can overflow: the last one is at least that far.)
    ends, if_needed = ("NULL AS first, NULL AS last", "")
    if target.is_whole:
        ends, if_needed = ("MIN(k0) AS first, MAX(k0) AS last", "AND last <> first + (rows - 1)")
    # A statement that writes runs to its end in a CTE, however few of its rows are asked for.
    return (
        f"WITH written AS ({sql} RETURNING {keys}), "  # noqa: S608
        f"span AS (SELECT COUNT(*) AS rows, {ends} FROM written) "
        f"SELECT span.*, few.* FROM span LEFT JOIN (SELECT * FROM written LIMIT {limit}) AS few "
        f"ON rows <= {limit} {if_needed}"
    )


def _read_postgresql(cursor: Any, target: _Target, limit: int) -> tuple[int, Sequence[Any] | None]:
    rows = cursor.fetchall()
    count, first, last = rows[0][:3]
    if count > limit:
        return count, None
    run = _run(count, first, last)
    return count, target.restore([row[3:] for row in rows]) if run is None else run


def _complete_sqlite(sql: str, target: _Target, _limit: int) -> str:
    # SQLite knows the table by its bare columns only.
    return f"{sql} RETURNING {', '.join(_bare(target.columns))}"


def _read_sqlite(cursor: Any, target: _Target, limit: int) -> tuple[int, Sequence[Any] | None]:
    rows = cursor.fetchmany(limit)
    count = len(rows)
    while more := cursor.fetchmany(1000):  # the statement ends, and counts its rows, when the last has been read
        count += len(more)
    return count, target.restore(rows) if count <= limit else None


_WAYS: dict[str, tuple[Callable[[str, _Target, int], str], Callable[..., tuple[int, Sequence[Any] | None]]]] = {
    "postgresql": (_complete_postgresql, _read_postgresql),
    "sqlite": (_complete_sqlite, _read_sqlite),
}
"""How a statement is completed, and what it then gives is read."""
