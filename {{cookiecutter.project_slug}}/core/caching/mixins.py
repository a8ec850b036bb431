"""Mixins that keep the answers of ``list`` and ``retrieve``. Put them in front of the viewset's base class."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from django.db.models import Model
from rest_framework.request import Request
from rest_framework.response import Response

from core.caching.decorators import cache_response
from core.caching.early import in_front
from core.conf import extensions_api_settings
from core.keys.functions import Setting

if TYPE_CHECKING:
    from rest_framework.viewsets import ReadOnlyModelViewSet

    _ViewSet = ReadOnlyModelViewSet[Any]
else:
    _ViewSet = object


class _Timeout:
    """The setting, where a class has no timeout of its own."""

    def __get__(self, instance: object, owner: type | None = None) -> int | None:
        timeout: int | None = extensions_api_settings.DEFAULT_CACHE_RESPONSE_TIMEOUT
        return timeout


class EarlyAnswersMixin:
    """Answers hits before DRF's dispatch, where that changes nothing: no limits, and open to all.

    ``CacheResponseMixin`` and its halves have it. In front of an ``APIView`` it does the same for decorated methods.
    """

    @classmethod
    def as_view(cls, *args: Any, **initkwargs: Any) -> Any:
        """Return the view, with early answers in front of it."""
        return in_front(super().as_view(*args, **initkwargs), cls)  # type: ignore[misc]


class _Cached(EarlyAnswersMixin, _ViewSet):
    cache_shared: bool = False
    """Whether the answers are the same for all callers."""
    cache_tables: "Iterable[type[Model] | str]" = ()
    """What the answers depend on and cannot be seen; see ``cache_response``."""


class ListCacheResponseMixin(_Cached):
    """Keeps the answers of ``list``."""

    list_cache_key_func: Callable[..., str] = Setting("DEFAULT_LIST_CACHE_KEY_FUNC")
    list_cache_timeout: Any = _Timeout()

    @cache_response("list_cache_timeout", "list_cache_key_func", shared="cache_shared", tables="cache_tables")
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List, or answer what was kept."""
        return super().list(request, *args, **kwargs)


class RetrieveCacheResponseMixin(_Cached):
    """Keeps the answers of ``retrieve``."""

    object_cache_key_func: Callable[..., str] = Setting("DEFAULT_OBJECT_CACHE_KEY_FUNC")
    object_cache_timeout: Any = _Timeout()

    @cache_response("object_cache_timeout", "object_cache_key_func", shared="cache_shared", tables="cache_tables")
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Retrieve, or answer what was kept."""
        return super().retrieve(request, *args, **kwargs)


class CacheResponseMixin(RetrieveCacheResponseMixin, ListCacheResponseMixin):
    """Keeps the answers of ``list`` and ``retrieve``."""
