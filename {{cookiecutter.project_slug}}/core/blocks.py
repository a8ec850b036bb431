"""Pieces in which many values are given to a database, whose statements take a limited number of parameters."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from django.db import connections

_Item = TypeVar("_Item")
LARGEST_BLOCK = 10_000


def block_size(using: str, parameters: int = 1) -> int:
    """Return how many rows one statement takes at ``parameters`` a row."""
    return max(1, (connections[using].features.max_query_params or LARGEST_BLOCK) // parameters)


def blocks(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    """Yield ``items`` in pieces of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
