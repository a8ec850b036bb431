"""Mixins that give viewsets tags and conditional requests. Put them in front of the viewset's base class.

Those named ``ETAG…`` tag what GET answers; those named ``APIETAG…`` tag the stored values of the rows, and refuse
writes without ``If-Match``.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rest_framework.request import Request
from rest_framework.response import Response

from core.caching import CacheResponseMixin
from core.etags.decorators import api_etag, etag
from core.etags.lists import require_conditions
from core.keys.functions import Setting
from core.keys.passing import transparent

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.viewsets import ModelViewSet

    _ViewSet = ModelViewSet[Any]
else:
    _ViewSet = object


class _ObjectTag(_ViewSet):
    object_etag_func: Callable[..., str] = Setting("DEFAULT_OBJECT_ETAG_FUNC")


class _APIObjectTag(_ViewSet):
    api_object_etag_func: Callable[..., str] = Setting("DEFAULT_API_OBJECT_ETAG_FUNC")


class ListETAGMixin(_ViewSet):
    """Tags ``list`` by what it answers, and holds bulk PATCH and DELETE of it to their conditions."""

    list_etag_func: Callable[..., str] = Setting("DEFAULT_LIST_ETAG_FUNC")

    def require_list_conditions(self, queryset: "QuerySet[Any]") -> None:
        """Raise 412 unless the request's conditions hold for the list.

        Bulk verbs ask this in the transaction in which they write to ``queryset``.
        """
        require_conditions(self, "list_etag_func", queryset)

    @etag("list_etag_func")
    @transparent
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List, or answer 304."""
        return super().list(request, *args, **kwargs)


class RetrieveETAGMixin(_ObjectTag):
    """Tags ``retrieve`` by what it answers."""

    @etag("object_etag_func")
    @transparent
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Retrieve, or answer 304."""
        return super().retrieve(request, *args, **kwargs)


class UpdateETAGMixin(_ObjectTag):
    """Holds ``update`` to its conditions, PATCH too, and tags what it has made."""

    @etag("object_etag_func", rebuild_after_method_evaluation=True)
    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Update, or answer 412."""
        return super().update(request, *args, **kwargs)


class DestroyETAGMixin(_ObjectTag):
    """Holds ``destroy`` to its conditions."""

    @etag("object_etag_func")
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Delete, or answer 412."""
        return super().destroy(request, *args, **kwargs)


class ReadOnlyETAGMixin(RetrieveETAGMixin, ListETAGMixin):
    """Tags ``retrieve`` and ``list``."""


class ETAGMixin(RetrieveETAGMixin, UpdateETAGMixin, DestroyETAGMixin, ListETAGMixin):
    """Tags ``retrieve`` and ``list``, and holds ``update`` and ``destroy`` to their conditions."""


class APIListETAGMixin(_ViewSet):
    """Tags ``list`` by the stored values of all rows, and holds bulk PATCH and DELETE of it to their conditions."""

    api_list_etag_func: Callable[..., str] = Setting("DEFAULT_API_LIST_ETAG_FUNC")

    def require_list_conditions(self, queryset: "QuerySet[Any]") -> None:
        """Raise 412 unless the request's conditions hold for the list. Bulk verbs ask for none."""
        require_conditions(self, "api_list_etag_func", queryset)

    @api_etag("api_list_etag_func")
    @transparent
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List, or answer 304."""
        return super().list(request, *args, **kwargs)


class APIRetrieveETAGMixin(_APIObjectTag):
    """Tags ``retrieve`` by the row's stored values."""

    @api_etag("api_object_etag_func")
    @transparent
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Retrieve, or answer 304."""
        return super().retrieve(request, *args, **kwargs)


class APIUpdateETAGMixin(_APIObjectTag):
    """Holds ``update`` to its conditions, PATCH too, and tags what it has made."""

    @api_etag("api_object_etag_func", rebuild_after_method_evaluation=True)
    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Update, or answer 412."""
        return super().update(request, *args, **kwargs)


class APIDestroyETAGMixin(_APIObjectTag):
    """Holds ``destroy`` to its conditions."""

    @api_etag("api_object_etag_func")
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Delete, or answer 412."""
        return super().destroy(request, *args, **kwargs)


class APIReadOnlyETAGMixin(APIRetrieveETAGMixin, APIListETAGMixin):
    """Tags ``retrieve`` and ``list``."""


class APIETAGMixin(APIRetrieveETAGMixin, APIUpdateETAGMixin, APIDestroyETAGMixin, APIListETAGMixin):
    """Tags ``retrieve`` and ``list``, and holds ``update`` and ``destroy`` to their conditions."""


class ReadOnlyCacheResponseAndETAGMixin(ReadOnlyETAGMixin, CacheResponseMixin):
    """Tags ``retrieve`` and ``list`` and keeps their answers, tags included."""


class CacheResponseAndETAGMixin(ETAGMixin, CacheResponseMixin):
    """The same, and holds ``update`` and ``destroy`` to their conditions."""
