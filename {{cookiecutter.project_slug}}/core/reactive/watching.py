"""Watches a view while it answers: the items, the rows it took them from, and every table it read on the way."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache
from typing import Any, Final, NamedTuple

from django.apps import apps
from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import QuerySet
from django.http import HttpRequest

from core.reactive.options import Options
from core.statements import read_statement

_ATTRIBUTE: Final = "_core_reactive_watch"
_SLICE = re.compile(r"(\s+LIMIT \d+)?(\s+OFFSET \d+)?", re.IGNORECASE)
OK: Final = 200


class Watch:
    """What is learned from one evaluation.

    ``only_ask`` has the view judge the caller and answer nothing.
    """

    def __init__(self, *, only_ask: bool = False) -> None:
        self.only_ask = only_ask
        self.items: list[Any] | None = None
        self.primary_key = "id"
        self.options = Options()
        self.queryset: QuerySet[Any] | None = None
        self.whole = True
        self._statements: list[_Said] = []
        self._fetch = 0  # the number of the fetch that goes on
        self._fetches = 0
        self._page: Any = None

    @classmethod
    def of(cls, request: Any) -> "Watch | None":
        """Return what watches the answer to ``request``, if anything does."""
        watch: Watch | None = getattr(request, "_request", request).__dict__.get(_ATTRIBUTE)
        return watch

    def put_on(self, request: HttpRequest) -> None:
        """Have the answer to ``request`` watched."""
        setattr(request, _ATTRIBUTE, self)

    # --- Statements ---

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: Any, context: Any) -> Any:
        """Run a statement; an execute wrapper of Django's connections."""
        self._statements.append(_Said(sql if isinstance(sql, str) else str(sql), params, self._fetch))
        return execute(sql, params, many, context)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the connections of this thread."""
        watched = connections.all()
        for connection in watched:
            connection.execute_wrappers.append(self)
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)
            for connection in watched:
                connection.execute_wrappers.remove(self)

    @contextmanager
    def fetching(self) -> Iterator[None]:
        """Take all statements for one fetch: that of the listed rows and, after it, those of its prefetches."""
        if self._fetch:
            yield
            return
        self._fetches += 1
        self._fetch = self._fetches
        try:
            yield
        finally:
            self._fetch = 0

    # --- The view ---

    def answer(self, view: Any, options: Options, method: Callable[[], Any]) -> Any:
        """Have ``method`` of ``view`` answer, and take note of what it answers."""
        from rest_framework.response import Response

        self.options = options
        if self.only_ask:
            self.items = []
            return Response([])
        self._look_over_the_shoulder_of(view)
        response = method()
        if response.status_code == OK:
            data = self._page if self._page is not None else response.data
            self.items = list(data) if isinstance(data, list | tuple) else [data]
            self.primary_key = self._key_of(view)
            self.whole = self._is_whole(view)
        return response

    def _look_over_the_shoulder_of(self, view: Any) -> None:
        filter_queryset = getattr(view, "filter_queryset", None)
        get_paginated_response = getattr(view, "get_paginated_response", None)

        def filtered(queryset: Any) -> Any:
            rows = filter_queryset(queryset)  # type: ignore[misc]
            if isinstance(rows, QuerySet):
                rows.__class__ = _told_of_fetches(type(rows))
                self.queryset = rows
            return rows

        def paginated(data: Any) -> Any:
            self._page = data
            return get_paginated_response(data)  # type: ignore[misc]

        if filter_queryset is not None:
            view.filter_queryset = filtered
        if get_paginated_response is not None:
            view.get_paginated_response = paginated

    def _key_of(self, view: Any) -> str:
        named: str | None = self.options.primary_key or getattr(view, "primary_key", None)
        if named is not None:
            return named
        return "id" if not isinstance(self.queryset, QuerySet) else self.queryset.model._meta.pk.name

    def _is_whole(self, view: Any) -> bool:
        """Tell whether all rows of the queryset are in the answer, and not only a window of them."""
        if self._page is None:
            return True
        paginator = getattr(view, "paginator", None)
        page = getattr(paginator, "page", None)
        count = getattr(getattr(page, "paginator", paginator), "count", None)
        return self.items is not None and count == len(self.items)

    # --- Conclusions ---

    def listed(self) -> "QuerySet[Any] | None":
        """Return the rows that the items were taken from, sliced if they are only a window of the queryset."""
        if self.queryset is None or self.whole or self.queryset.query.is_sliced:
            return self.queryset
        return self.queryset[: max(len(self.items or ()), 1)]

    def tables(self) -> frozenset[str]:
        """Return every watched table that was read, and those that the author of the view has named."""
        read = (table for said in self._statements for table in read_statement(said.sql).tables)
        return frozenset(read) | self.declared()

    def other_tables(self) -> frozenset[str]:
        """Return the tables read by anything but the fetch of the listed rows, and those that were named.

        Of the listed rows it can be told which changes matter; of these tables, any may.
        """
        own = self._own_statement()
        fetches = {said.fetch for said in self._statements if said.fetch and own and _is_slice_of(own, said)}
        found: set[str] = set(self.declared())
        for said in self._statements:
            if said.fetch not in fetches and not (own and self._page is not None and _is_count_of(own, said)):
                found |= read_statement(said.sql).tables
        return frozenset(found)

    def declared(self) -> frozenset[str]:
        """Return the tables that the view depends on because its author says so."""
        return frozenset(_table(each) for each in self.options.dependencies)

    def sees_too_little(self) -> bool:
        """Tell whether something was read whose changes nobody hears of, and nothing was said about it."""
        if self.options.dependencies or self.options.poll_interval:
            return False
        read = [read_statement(said.sql) for said in self._statements]
        return any(statement.opaque or statement.unseen for statement in read)

    def _own_statement(self) -> "_Said | None":
        if self.queryset is None:
            return None
        try:
            sql, params = self.queryset.query.get_compiler(self.queryset.db).as_sql()
        except EmptyResultSet:
            return None
        return _Said(sql, params, 0)


class _Said(NamedTuple):
    """A statement, and the number of the fetch that it was part of; 0 for none."""

    sql: str
    params: Any
    fetch: int


_current: "ContextVar[Watch | None]" = ContextVar("core_reactive_watch", default=None)


@cache
def _told_of_fetches(cls: type[Any]) -> type[Any]:
    """Return the class of querysets ``cls`` that lets a watch know when rows are fetched; clones are of it too."""

    def _fetch_all(self: Any) -> None:
        watch = _current.get()
        with watch.fetching() if watch else nullcontext():
            cls._fetch_all(self)

    if "_core_reactive" in cls.__dict__:
        return cls
    names = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(cls.__name__, (cls,), {"_fetch_all": _fetch_all, "_core_reactive": True, **names})


def _is_slice_of(own: _Said, said: _Said) -> bool:
    whole = said.sql.startswith(own.sql) and _SLICE.fullmatch(said.sql, len(own.sql))
    return bool(whole) and _same(own.params, said.params)


def _is_count_of(own: _Said, said: _Said) -> bool:
    return said.sql.startswith("SELECT COUNT(*) AS ") and _same(own.params, said.params)


def _same(one: Any, other: Any) -> bool:
    return tuple(one or ()) == tuple(other or ())


def _table(dependency: Any) -> str:
    """Return the table of a model, of a model's label, or of a table's own name."""
    if isinstance(dependency, str) and "." not in dependency:
        return dependency
    model: Any = apps.get_model(dependency) if isinstance(dependency, str) else dependency
    table: str = model._meta.db_table
    return table
