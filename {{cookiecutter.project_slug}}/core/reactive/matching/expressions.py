"""Which columns an expression or a condition reads, by the alias of their table."""

from collections.abc import Collection
from typing import Any

from django.db.models import F, Func
from django.db.models.expressions import Col, Combinable, RawSQL
from django.db.models.lookups import Lookup
from django.db.models.sql.query import Query
from django.db.models.sql.where import ExtraWhere, NothingNode

from core.queries import tables_read


class UnreadableError(Exception):
    """The query holds SQL written by hand: it may read anything."""


class Columns:
    """Collects what the expressions that it is given read.

    ``fields`` are the names of the fields, by alias. ``tables`` are those of queries inside. ``whole``: there may be
    more fields, of any alias. ``is_over_rows``: a value depends on other rows of the result (a window function).
    """

    def __init__(self) -> None:
        self.fields: dict[str | None, set[str]] = {}
        self.tables: set[str] = set()
        self.whole = False
        self.is_over_rows = False

    def read(self, node: Any) -> None:
        """Walk ``node``."""
        if isinstance(node, Col):
            self._column(node)
        elif isinstance(node, Query):
            self._query(node)
        elif isinstance(node, RawSQL | ExtraWhere):
            raise UnreadableError
        elif hasattr(node, "children"):
            for child in list(node.children):
                self.read(child)
        elif hasattr(node, "get_source_expressions"):
            self._expression(node)
        elif isinstance(node, Collection) and not isinstance(node, str | bytes):
            for each in node:
                self.read(each)
        elif isinstance(node, F | Combinable) or hasattr(node, "as_sql"):
            self.whole = self.whole or not isinstance(node, NothingNode)

    def _column(self, column: Any) -> None:
        if getattr(column.target, "generated", False):
            self.whole = True
        self.fields.setdefault(column.alias, set()).add(column.target.name)

    def _query(self, query: Query) -> None:
        tables = tables_read(query)
        if tables is None:
            raise UnreadableError
        self.tables |= tables
        self.whole = True  # it may refer to any column of the query around it

    def _expression(self, node: Any) -> None:
        self.is_over_rows = self.is_over_rows or bool(getattr(node, "contains_over_clause", False))
        inner = list(node.get_source_expressions())
        if isinstance(node, Func) and (not inner or not type(node).__module__.startswith("django.")):
            self.whole = True  # the time of day, or chance: not what it was when we last looked
        for child in inner:
            if child is not None:
                self.read(child)
        if isinstance(node, Lookup) and not any(node.rhs is child for child in inner):
            self.read(node.rhs)  # a list may hold expressions
