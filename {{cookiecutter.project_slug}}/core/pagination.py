"""Pagination of lists."""

from typing import Any, cast

from rest_framework import pagination
from rest_framework.request import Request

MAX = "max"


class LimitOffsetPagination(pagination.LimitOffsetPagination):
    """Pages by ``limit`` and ``offset``, with an upper bound: no caller asks for a whole table by accident."""

    max_limit = 200


class _SizedByMax:
    """The part of a paginator."""

    def get_page_size(self, request: Request) -> int | None:
        """Return the size of a page: of the paginator, as the caller asks, and never above the bound."""
        this = cast("pagination.PageNumberPagination", self)
        name = this.page_size_query_param
        if name and this.max_page_size and request.query_params.get(name) == MAX:
            return this.max_page_size
        size: int | None = cast("Any", super()).get_page_size(request)
        return size


class _PaginatedByMax:
    """The part of a viewset."""

    max_paginate_by: int | None = None

    @property
    def paginator(self) -> pagination.BasePagination | None:
        """The paginator of the viewset's lists."""
        if not hasattr(self, "_paginator"):
            chosen: type[pagination.BasePagination] | None = getattr(self, "pagination_class", None)
            if chosen is not None and self.max_paginate_by is not None:
                chosen = _by_max(chosen, self.max_paginate_by)
            self._paginator = None if chosen is None else chosen()
        return self._paginator


class PaginateByMaxMixin(_SizedByMax, _PaginatedByMax):
    """Lets a client ask for as much as one page may hold: ``?page_size=max``.

    In a paginator whose pages have a size (by number or cursor) that is its ``max_page_size``. In a viewset it is the
    viewset's ``max_paginate_by``; if its pages have no size (limit and offset) they are numbered instead. Where the
    upper bound is not set, ``max`` means nothing, and a viewset is paginated as without the mixin.
    """


def _by_max(chosen: type[pagination.BasePagination], bound: int) -> type[pagination.BasePagination]:
    sized = issubclass(chosen, pagination.PageNumberPagination | pagination.CursorPagination)
    base: Any = chosen if sized else pagination.PageNumberPagination
    bases = (base,) if issubclass(base, _SizedByMax) else (_SizedByMax, base)
    attributes = {"page_size_query_param": base.page_size_query_param or "page_size", "max_page_size": bound}
    made: type[pagination.BasePagination] = type(base.__name__, bases, attributes)
    return made
