"""What a cached hit and a 304 cost, against views that answer the same bytes out of the same cache.

Through DRF's dispatch, with the authentication and the permissions that the project has by default; and before it, on a
view that is open to all.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.core.handlers.base import BaseHandler
from django.http import HttpResponse, HttpResponseNotModified
from django.test import RequestFactory
from django.urls import path
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ReadOnlyModelViewSet

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
    """What all contenders within DRF have in common: the project's own policies, but for pages and filters."""

    renderer_classes = (JSONRenderer,)
    pagination_class = None
    filter_backends = ()


class Public(Policies):
    """Nobody is asked who they are."""

    permission_classes = (AllowAny,)
    authentication_classes = ()


class WideViewSet(ReadOnlyModelViewSet[Wide]):
    """The list that all answer."""

    queryset = Wide.objects.order_by("id")
    serializer_class = WideSerializer


class Ours(Policies, CacheResponseMixin, WideViewSet):
    """Ours."""


class OursShared(Ours):
    """Ours, the same for all."""

    cache_shared = True


class OursTagged(Policies, ReadOnlyCacheResponseAndETAGMixin, WideViewSet):
    """Ours, with tags."""


class OursPublic(Public, CacheResponseMixin, WideViewSet):
    """Ours, open to all, the same for all."""

    cache_shared = True


class OursPublicTagged(Public, ReadOnlyCacheResponseAndETAGMixin, WideViewSet):
    """The same with tags."""

    cache_shared = True


class Uncached(Policies, WideViewSet):
    """DRF alone."""


class Floor(Policies, GenericAPIView[Wide]):
    """The same policies, which want to know whose rows they are; the same bytes, nothing checked."""

    queryset = Wide.objects.order_by("id")

    def get(self, request: Any) -> HttpResponse:
        """Answer what lies in the cache."""
        return HttpResponse(cache.get("bench"), content_type="application/json")


class Floor304(Floor):
    """The same policies, and a tag out of the cache."""

    def get(self, request: Any) -> HttpResponse:
        """Compare the tag."""
        return _conditional(request)


def bare(_: Any) -> HttpResponse:
    """Answer with nothing around it."""
    return HttpResponse(cache.get("bench"), content_type="application/json")


def bare304(request: Any) -> HttpResponse:
    """Compare the tag, with nothing around it."""
    return _conditional(request)


def _conditional(request: Any) -> HttpResponse:
    tag = cache.get("bench-tag")
    if request.META.get("HTTP_IF_NONE_MATCH") == tag:
        return HttpResponseNotModified(headers={"ETag": tag})
    return HttpResponse(cache.get("bench"), content_type="application/json")


def _peer(name: str, *bases: type) -> Any:
    # A class of its own for each row: it never notices that the rows have changed.
    return type(name, (*bases, WideViewSet), {})


VIEWS = {
    "ours": Ours.as_view({"get": "list"}),
    "shared": OursShared.as_view({"get": "list"}),
    "tagged": OursTagged.as_view({"get": "list"}),
    "public": OursPublic.as_view({"get": "list"}),
    "publictagged": OursPublicTagged.as_view({"get": "list"}),
    "uncached": Uncached.as_view({"get": "list"}),
    "floor": Floor.as_view(),
    "floor304": Floor304.as_view(),
    "bare": bare,
    "bare304": bare304,
}


def rows() -> list[Row]:
    """Hits over lists of 10, 100 and 1,000 rows, and answers of 304."""
    import bench.urls

    bench.urls.urlpatterns += [path(f"cached/{name}/", view) for name, view in VIEWS.items()]
    bench.urls.urlpatterns += [path(f"cached/{name}/", view) for name, view in _peers().items()]
    peers = bool(_peers())
    found = []
    for count in COUNTS:
        uncached = Contender("not cached", _get("uncached"))
        bare_view = Contender("a bare Django view", _get("bare"))
        shared = Contender("ours, shared", _get("shared"))
        found.append(
            Row(
                f"cached list hit, {count} rows, {WHERE}",
                Contender("floor, an APIView", _get("floor")),
                Contender("ours", _get("ours")),
                [bare_view, shared, *([uncached] if count == 100 else [])],
                Contender("drf-extensions, checks nothing", _get(f"peer{count}")) if peers else None,
                times=200,
                aim="≤ 1.15",
                peer_aim="≥ 1",
                setup=_filled(count),
                series=f"cached list hit, {WHERE}, rows",
                size=count,
            )
        )
    found += [
        Row(
            f"cached list hit, open to all, before dispatch, {count} rows, {WHERE}",
            Contender("floor, a bare Django view", _get("bare")),
            Contender("ours", _get("public")),
            [],
            Contender("drf-extensions, checks nothing", _get(f"publicpeer{count}")) if peers else None,
            times=200,
            aim="≤ 1.3",
            peer_aim="≥ 1.8",
            setup=_filled(count),
            series=f"cached list hit, before dispatch, {WHERE}, rows",
            size=count,
        )
        for count in COUNTS
    ]
    for words, floor, ours, peer in (
        ("", "floor304", "tagged", "peer304"),
        (", open to all, before dispatch", "bare304", "publictagged", "publicpeer304"),
    ):
        found.append(
            Row(
                f"GET answered 304{words}, 100 rows, {WHERE}",
                Contender("floor", _get(floor, conditional=True)),
                Contender("ours", _get(ours, conditional=True)),
                [],
                Contender("drf-extensions, hashes the SQL", _get(peer, conditional=True)) if peers else None,
                times=200,
                aim="≤ 1.3",
                peer_aim="≥ 1.5",
                setup=_filled(100),
            )
        )
    return found


def _peers() -> dict[str, Any]:
    try:
        from rest_framework_extensions.cache.mixins import CacheResponseMixin as Cached
        from rest_framework_extensions.etag.mixins import ReadOnlyETAGMixin as Tagged
    except ImportError:  # they live in the environment that `make bench` makes
        return {}
    as_list = {"get": "list"}
    found = {"peer304": _peer("Peer304", Policies, Tagged), "publicpeer304": _peer("PublicPeer304", Public, Tagged)}
    for count in COUNTS:
        found[f"peer{count}"] = _peer(f"Peer{count}", Policies, Cached)
        found[f"publicpeer{count}"] = _peer(f"PublicPeer{count}", Public, Cached)
    return {name: view.as_view(as_list) for name, view in found.items()}


_tags: dict[str, str] = {}


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
        for name in ("ours", "shared", "public"):
            respond(factory.get(f"/cached/{name}/"))
        for name in ("tagged", "publictagged"):
            _tags[name] = respond(factory.get(f"/cached/{name}/"))["ETag"]
        _tags["floor304"] = _tags["bare304"] = _tags["tagged"]
        cache.set("bench-tag", _tags["tagged"])
        for name in ("peer304", "publicpeer304") if _peers() else ():
            _tags[name] = respond(factory.get(f"/cached/{name}/"))["ETag"]

    return fill


def _get(name: str, *, conditional: bool = False) -> Callable[[], object]:
    respond, factory = _respond(), RequestFactory()

    def once() -> object:
        headers = {"HTTP_IF_NONE_MATCH": _tags[name]} if conditional else {}
        response = respond(factory.get(f"/cached/{name}/", **headers))
        return response.status_code, response.content

    return once
