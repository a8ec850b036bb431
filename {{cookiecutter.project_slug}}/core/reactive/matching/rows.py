"""Where the index gets the current values of rows from, and the keys of the rows that a result shows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

from django.apps import apps
from django.db import connections, models

from core.reactive.matching.shapes import CoarseError, concrete, parts_of


class RowSource(Protocol):
    """Fetches rows as they are now."""

    def __call__(
        self, model: str, pks: Collection[Any], columns: Sequence[str], using: str
    ) -> Mapping[Any, Mapping[str, Any]]:
        """Return the values of the fields ``columns`` of each row that there is, by its key.

        ``model`` is a label (``"polls.question"``), ``pks`` are keys of its rows; ``using`` is the alias of a database.
        The value of a foreign key is the key that it holds.
        """


MOST = 10_000
"""Keys that one query asks for, where the database sets no limit."""


def fetch_rows(model: str, pks: Collection[Any], columns: Sequence[str], using: str) -> dict[Any, dict[str, Any]]:
    """Fetch rows from the database, past every manager: one query per block of its parameter limit."""
    kind = apps.get_model(model)
    most = (connections[using].features.max_query_params or MOST) // len(kind._meta.pk_fields)
    every: models.QuerySet[Any, Any] = models.QuerySet(kind, using=using).order_by()
    found: dict[Any, dict[str, Any]] = {}
    left = iter(pks)
    while block := list(islice(left, min(most, MOST))):
        for pk, *values in every.filter(pk__in=block).values_list("pk", *columns):
            found[pk] = dict(zip(columns, values, strict=True))
    return found


def shown_keys(rows: Iterable[models.Model]) -> dict[str, list[Any]]:
    """Return the keys of ``rows`` and of all rows that were loaded with them, by the names of their tables.

    That is what ``Index.put`` takes as ``nested``: ``rows`` are the instances that a view has listed, as they are after
    they were serialized. The database is not asked.
    """
    found: dict[str, dict[Any, None]] = {}
    seen: set[int] = set()
    waiting = list(rows)
    while waiting:
        row = waiting.pop()
        if id(row) in seen:
            continue
        seen.add(id(row))
        for table in _tables(type(row)):
            found.setdefault(table, {})[row.pk] = None
        waiting += _under(row)
    return {table: list(keys) for table, keys in found.items()}


def _tables(model: type[models.Model]) -> tuple[str, ...]:
    try:
        return parts_of(model)
    except CoarseError:
        return (concrete(model)._meta.db_table,)


def _under(row: models.Model) -> list[models.Model]:
    """Return the rows that are loaded with ``row``: what was joined, prefetched, or prefetched into an attribute."""
    held = [*row._state.fields_cache.values()]
    for rows in (*getattr(row, "_prefetched_objects_cache", {}).values(), *row.__dict__.values()):
        if isinstance(rows, models.QuerySet):
            held += rows._result_cache or ()  # noqa: SLF001
        elif isinstance(rows, list):
            held += rows
        else:
            held.append(rows)
    return [each for each in held if isinstance(each, models.Model)]
