"""Pages of ``list``: a plain list, by number, in the size that the viewset's own pages have."""

from typing import Any

from django.core.paginator import InvalidPage, Paginator
from rest_framework.exceptions import NotFound
from rest_framework.pagination import BasePagination, LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response

from core.conf import core_settings

PAGE = "page"


class Pages(BasePagination):
    """Stands in for a view's own paginator, of which it keeps the size of pages and the bound on it.

    Where the view has none, pages hold ``DEFAULT_PAGE_SIZE`` rows.
    """

    def __init__(self, own: Any) -> None:
        self._own = own

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return the rows of the page that is asked for, the first by default. Raises ``NotFound`` if there is none."""
        if not getattr(queryset, "ordered", True):
            queryset = queryset.order_by("pk")  # pages of no order are no pages
        size = self._size(request)
        own = self._own
        if isinstance(own, LimitOffsetPagination) and PAGE not in request.query_params:
            offset = own.get_offset(request)
            if offset:
                return list(queryset[offset : offset + size])
        try:
            return list(Paginator(queryset, size).page(request.query_params.get(PAGE, 1)))
        except InvalidPage:
            raise NotFound("There is no such page.") from None

    def get_paginated_response(self, data: Any) -> Response:
        """Answer the rows alone."""
        return Response(data)

    def _size(self, request: Request) -> int:
        if isinstance(self._own, LimitOffsetPagination):
            size = self._own.get_limit(request)
        else:
            get_page_size = getattr(self._own, "get_page_size", None)
            size = get_page_size(request) if get_page_size else None
        return size or core_settings.BINDINGS.DEFAULT_PAGE_SIZE
