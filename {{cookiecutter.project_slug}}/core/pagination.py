"""Pagination of lists."""

from rest_framework import pagination


class LimitOffsetPagination(pagination.LimitOffsetPagination):
    """Pages by ``limit`` and ``offset``, with an upper bound: no caller asks for a whole table by accident."""

    max_limit = 200
