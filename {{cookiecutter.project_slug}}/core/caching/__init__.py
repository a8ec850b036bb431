"""Cached answers that are never older than the last committed write. Described in ``docs/caching.md``."""

from core.caching.decorators import cache_response
from core.caching.mixins import (
    CacheResponseMixin,
    EarlyAnswersMixin,
    ListCacheResponseMixin,
    RetrieveCacheResponseMixin,
)

__all__ = [
    "CacheResponseMixin",
    "EarlyAnswersMixin",
    "ListCacheResponseMixin",
    "RetrieveCacheResponseMixin",
    "cache_response",
]
