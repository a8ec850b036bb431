"""Tags that follow the state, and conditional requests. Described in ``docs/etags.md``."""

from core.etags.decorators import APIETAGProcessor, ETAGProcessor, api_etag, etag
from core.etags.exceptions import PreconditionRequiredException
from core.etags.mixins import (
    APIDestroyETAGMixin,
    APIETAGMixin,
    APIListETAGMixin,
    APIReadOnlyETAGMixin,
    APIRetrieveETAGMixin,
    APIUpdateETAGMixin,
    CacheResponseAndETAGMixin,
    DestroyETAGMixin,
    ETAGMixin,
    ListETAGMixin,
    ReadOnlyCacheResponseAndETAGMixin,
    ReadOnlyETAGMixin,
    RetrieveETAGMixin,
    UpdateETAGMixin,
)

__all__ = [
    "APIDestroyETAGMixin",
    "APIETAGMixin",
    "APIETAGProcessor",
    "APIListETAGMixin",
    "APIReadOnlyETAGMixin",
    "APIRetrieveETAGMixin",
    "APIUpdateETAGMixin",
    "CacheResponseAndETAGMixin",
    "DestroyETAGMixin",
    "ETAGMixin",
    "ETAGProcessor",
    "ListETAGMixin",
    "PreconditionRequiredException",
    "ReadOnlyCacheResponseAndETAGMixin",
    "ReadOnlyETAGMixin",
    "RetrieveETAGMixin",
    "UpdateETAGMixin",
    "api_etag",
    "etag",
]
