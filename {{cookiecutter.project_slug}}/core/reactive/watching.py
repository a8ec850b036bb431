"""Watches a view while it answers: the items, the rows it took them from, and every table it read on the way."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any, Final, NamedTuple

from django.apps import apps
from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest
from rest_framework.exceptions import NotFound
from rest_framework.response import Response

from core.reactive.options import Options
from core.statements import read_statement

_ATTRIBUTE: Final = "_core_reactive_watch"
_SLICE = re.compile(r"(\s+LIMIT \d+)?(\s+OFFSET \d+)?", re.IGNORECASE)
OK: Final = 200
UNKNOWN_OFFSET: Final = 1
"""Stands for any number of rows."""


class Watch:
    """What is learned from one evaluation.

    ``only_ask`` has the view judge the caller and answer nothing. ``lost_pages`` takes a page that its paginator does
    not know for an empty one: it was there when it was first asked for, and is again when the list has grown.
    """

    def __init__(self, *, only_ask: bool = False, lost_pages: bool = False) -> None:
        self.only_ask = only_ask
        self.lost_pages = lost_pages
        self.items: list[Any] | None = None
        self.primary_key = "id"
        self.options = Options()
        self.queryset: QuerySet[Any] | None = None
        self.offset: int | None = None
        self._statements: list[_Said] = []
        self._fetch = 0  # the number of the fetch that goes on
        self._fetches = 0
        self._fetched: dict[int, list[Any]] = {}
        self._objects: set[int] = set()  # the fetches that got the one object of a view
        self._getting = False
        self._paging = False
        self._page: Any = None
        self._page_is_lost = False

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
        self._statements.append(_Said(sql if isinstance(sql, str) else str(sql), params, self._fetch, self._paging))
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

    def fetch(self, queryset: Any, fetch_all: Callable[[Any], None]) -> None:
        """Take all statements for one fetch: that of the rows of ``queryset``, then those of its prefetches."""
        if self._fetch:
            fetch_all(queryset)
            return
        self._fetches += 1
        self._fetch = self._fetches
        if self._getting:
            self._objects.add(self._fetch)
        try:
            fetch_all(queryset)
            self._fetched[self._fetch] = queryset._result_cache  # noqa: SLF001
        finally:
            self._fetch = 0

    # --- The view ---

    def answer(self, view: Any, options: Options, method: Callable[[], Any]) -> Any:
        """Have ``method`` of ``view`` answer, and take note of what it answers."""
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
            self.offset = self._offset_of(view)
        return response

    def _look_over_the_shoulder_of(self, view: Any) -> None:
        for name, around in (
            ("filter_queryset", self._filtered),
            ("get_object", self._gotten),
            ("paginate_queryset", self._paged),
            ("get_paginated_response", self._answered),
        ):
            if (own := getattr(view, name, None)) is not None:
                setattr(view, name, partial(around, own))

    def _filtered(self, filter_queryset: Callable[[Any], Any], queryset: Any) -> Any:
        rows = filter_queryset(queryset)
        if isinstance(rows, QuerySet):
            rows.__class__ = _told_of_fetches(type(rows))
            self.queryset = rows
        return rows

    def _gotten(self, get_object: Callable[[], Any]) -> Any:
        self._getting = True
        try:
            row = get_object()
        finally:
            self._getting = False
        if self.queryset is not None and isinstance(row, self.queryset.model):
            self.queryset = self.queryset.filter(pk=row.pk)
        return row

    def _paged(self, paginate_queryset: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._paging = True
        try:
            return paginate_queryset(*args, **kwargs)
        except (Http404, NotFound):
            if not self.lost_pages:
                raise
            self._page_is_lost = True
            return []
        finally:
            self._paging = False

    def _answered(self, get_paginated_response: Callable[[Any], Any], data: Any) -> Any:
        self._page = data
        return Response(data) if self._page_is_lost else get_paginated_response(data)

    def _key_of(self, view: Any) -> str:
        named: str | None = self.options.primary_key or getattr(view, "primary_key", None)
        if named is not None:
            return named
        return "id" if not isinstance(self.queryset, QuerySet) else self.queryset.model._meta.pk.name

    def _offset_of(self, view: Any) -> int | None:
        """Return how many rows of the queryset come before those in the answer; None if all of them are in it."""
        if self._page_is_lost:
            return UNKNOWN_OFFSET
        if self._page is None:
            return self._cut_off()
        paginator = getattr(view, "paginator", None)
        page: Any = getattr(paginator, "page", None)
        count = getattr(getattr(page, "paginator", paginator), "count", None)
        if count is not None and count == len(self.items or ()):
            return None
        if page is not None and hasattr(page, "start_index"):
            return max(int(page.start_index()) - 1, 0)
        offset: int | None = getattr(paginator, "offset", None)
        return UNKNOWN_OFFSET if offset is None else offset

    def _cut_off(self) -> int | None:
        """Return how many rows the view has left out before those it fetched; None if it fetched all of them."""
        own = self._own_statement()
        slices = [_slice_of(own, said) for said in self._statements if own and said.fetch]
        if any(each and "OFFSET" in each for each in slices):
            return UNKNOWN_OFFSET
        return 0 if any(slices) else None

    # --- Conclusions ---

    def tables(self) -> frozenset[str]:
        """Return every watched table that was read, and those that the author of the view has named."""
        read = (table for said in self._statements for table in read_statement(said.sql).tables)
        return frozenset(read) | self.declared()

    def other_tables(self) -> frozenset[str]:
        """Return the tables read by anything but the fetch of the listed rows, and those that were named.

        Of the listed rows it can be told which changes matter; of these tables, any may.
        """
        own, fetches = self._own_statement(), self._own_fetches()
        found: set[str] = set(self.declared())
        for said in self._statements:
            if said.fetch not in fetches and not (own and said.paging and _is_count_of(own, said)):
                found |= read_statement(said.sql).tables
        return frozenset(found)

    def rows(self) -> list[Model] | None:
        """Return the rows of the queryset that were fetched; None if that was not seen."""
        fetches = self._own_fetches()
        rows = [row for fetch in fetches for row in self._fetched.get(fetch) or ()]
        if not fetches and self.items and self._own_statement() is not None:
            return None
        return rows if all(isinstance(row, Model) for row in rows) else None

    def _own_fetches(self) -> frozenset[int]:
        if self._objects:
            return frozenset(self._objects)
        if (own := self._own_statement()) is None:
            return frozenset()
        return frozenset(said.fetch for said in self._statements if said.fetch and _slice_of(own, said) is not None)

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
        return _Said(sql, params)


class _Said(NamedTuple):
    """A statement, the number of the fetch that it was part of (0 for none), and whether a paginator made it."""

    sql: str
    params: Any
    fetch: int = 0
    paging: bool = False


_current: "ContextVar[Watch | None]" = ContextVar("core_reactive_watch", default=None)


@cache
def _told_of_fetches(cls: type[Any]) -> type[Any]:
    """Return the class of querysets ``cls`` that lets a watch know when rows are fetched; clones are of it too."""

    def _fetch_all(self: Any) -> None:
        watch = _current.get()
        if watch is None or self._result_cache is not None:
            cls._fetch_all(self)
        else:
            watch.fetch(self, cls._fetch_all)

    if "_core_reactive" in cls.__dict__:
        return cls
    names = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(cls.__name__, (cls,), {"_fetch_all": _fetch_all, "_core_reactive": True, **names})


def _slice_of(own: _Said, said: _Said) -> str | None:
    """Return the part of ``said`` that slices ``own``, empty if it takes all rows; None if it is another statement."""
    found = _SLICE.fullmatch(said.sql, len(own.sql)) if said.sql.startswith(own.sql) else None
    return found.group().upper() if found and _same(own.params, said.params) else None


def _is_count_of(own: _Said, said: _Said) -> bool:
    is_count = said.sql.startswith("SELECT COUNT(*) AS ") and _same(own.params, said.params)
    return is_count and read_statement(said.sql).tables <= read_statement(own.sql).tables


def _same(one: Any, other: Any) -> bool:
    return tuple(one or ()) == tuple(other or ())


def _table(dependency: Any) -> str:
    """Return the table of a model, of a model's label, or of a table's own name."""
    if isinstance(dependency, str) and "." not in dependency:
        return dependency
    model: Any = apps.get_model(dependency) if isinstance(dependency, str) else dependency
    table: str = model._meta.db_table
    return table
