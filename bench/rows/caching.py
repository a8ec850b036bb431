"""What a cached hit and a 304 cost, against views that answer the same bytes out of the same cache."""

import contextlib
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.core.handlers.base import BaseHandler
from django.http import HttpResponse, HttpResponseNotModified
from django.test import RequestFactory
from django.urls import path
from rest_framework.mixins import ListModelMixin
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.serializers import ModelSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet, ReadOnlyModelViewSet

from bench.measure import Contender, Row
from bench.watched.models import Wide
from core.caching import CacheResponseMixin
from core.etags import ReadOnlyCacheResponseAndETAGMixin

COUNTS = (10, 100, 1000)
WHERE = "Redis" if settings.REDIS_URL else "local memory"


class WideSerializer(ModelSerializer[Wide]):
    """All eight fields."""

    class Meta:
        model = Wide
        fields = ("id", "a", "b", "c", "d", "e", "f", "g")


class Policies:
    """What all contenders within DRF have in common."""

    permission_classes = (AllowAny,)
    authentication_classes = ()
    renderer_classes = (JSONRenderer,)
    pagination_class = None
    filter_backends = ()


class Ours(Policies, CacheResponseMixin, ReadOnlyModelViewSet[Wide]):
    """Ours."""

    queryset = Wide.objects.order_by("id")
    serializer_class = WideSerializer


class OursShared(Ours):
    """Ours, the same for all."""

    cache_shared = True


class OursTagged(Policies, ReadOnlyCacheResponseAndETAGMixin, ReadOnlyModelViewSet[Wide]):
    """Ours, with tags."""

    queryset = Wide.objects.order_by("id")
    serializer_class = WideSerializer


class Uncached(Policies, ListModelMixin, GenericViewSet[Wide]):
    """DRF alone."""

    queryset = Wide.objects.order_by("id")
    serializer_class = WideSerializer


class Floor(Policies, APIView):
    """The same policies, the same bytes, nothing checked."""

    def get(self, request: Any) -> HttpResponse:
        """Answer what lies in the cache."""
        return HttpResponse(cache.get("bench"), content_type="application/json")


class Floor304(Policies, APIView):
    """The same policies, and a tag out of the cache."""

    def get(self, request: Any) -> HttpResponse:
        """Compare the tag."""
        tag = cache.get("bench-tag")
        if request.headers.get("If-None-Match") == tag:
            return HttpResponseNotModified(headers={"ETag": tag})
        return HttpResponse(cache.get("bench"), content_type="application/json")


def bare(_: Any) -> HttpResponse:
    """Answer with nothing around it."""
    return HttpResponse(cache.get("bench"), content_type="application/json")


def _peer(count: int) -> Any:
    from rest_framework_extensions.cache.mixins import CacheResponseMixin as Theirs

    return type(
        f"Peer{count}",  # it never notices that the rows have changed
        (Policies, Theirs, ReadOnlyModelViewSet),
        {
            "queryset": Wide.objects.order_by("id"),
            "serializer_class": WideSerializer,
        },
    )


VIEWS = {
    "ours": Ours.as_view({"get": "list"}),
    "shared": OursShared.as_view({"get": "list"}),
    "tagged": OursTagged.as_view({"get": "list"}),
    "uncached": Uncached.as_view({"get": "list"}),
    "floor": Floor.as_view(),
    "floor304": Floor304.as_view(),
    "bare": bare,
}


def rows() -> list[Row]:
    """Hits over lists of 10, 100 and 1,000 rows, and a 304."""
    import bench.urls

    bench.urls.urlpatterns += [path(f"cached/{name}/", view) for name, view in VIEWS.items()]
    found = []
    for count in COUNTS:
        uncached = Contender("not cached", _get("uncached"))
        bare_view = Contender("a bare Django view", _get("bare"))
        shared = Contender("ours, shared", _get("shared"))
        peer = None
        with contextlib.suppress(ImportError):
            view = _peer(count).as_view({"get": "list"})
            bench.urls.urlpatterns.append(path(f"cached/peer{count}/", view))
            peer = Contender("drf-extensions, checks nothing", _get(f"peer{count}"))
        found.append(
            Row(
                f"cached list hit, {count} rows, {WHERE}",
                Contender("floor, an APIView", _get("floor")),
                Contender("ours", _get("ours")),
                [bare_view, shared, *([uncached] if count == 100 else [])],
                peer,
                times=200,
                aim="≤ 1.15",
                peer_aim="≥ 1",
                setup=_filled(count),
            )
        )
    found.append(
        Row(
            f"GET answered 304, 100 rows, {WHERE}",
            Contender("floor, an APIView", _get("floor304", conditional=True)),
            Contender("ours", _get("tagged", conditional=True)),
            times=200,
            aim="≤ 1.3",
            setup=_filled(100),
        )
    )
    return found


_tag = [""]


def _respond() -> Callable[[Any], Any]:
    handler = BaseHandler()
    handler.load_middleware()
    return handler.get_response


def _filled(count: int) -> Callable[[], object]:
    def fill() -> None:
        if Wide.objects.count() != count:
            Wide.objects.all().delete()
            Wide.objects.bulk_create(
                Wide(a=f"row {n}", b="b" * 20, c="c" * 10, d=n, e=n, f=n / 3, g=True) for n in range(count)
            )
        respond, factory = _respond(), RequestFactory()
        cache.set("bench", respond(factory.get("/cached/uncached/")).content)
        for name in ("ours", "shared"):
            respond(factory.get(f"/cached/{name}/"))
        _tag[0] = respond(factory.get("/cached/tagged/"))["ETag"]
        cache.set("bench-tag", _tag[0])

    return fill


def _get(name: str, *, conditional: bool = False) -> Callable[[], object]:
    respond, factory = _respond(), RequestFactory()

    def once() -> object:
        headers = {"HTTP_IF_NONE_MATCH": _tag[0]} if conditional else {}
        response = respond(factory.get(f"/cached/{name}/", **headers))
        return response.status_code, response.content

    return once
