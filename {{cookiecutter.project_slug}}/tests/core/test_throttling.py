"""Throttles count while there is a cache, and let requests through while there is none."""

import pytest
from django.core.cache import cache
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from core import throttling
from core.outage import guard

ALL = (throttling.AnonRateThrottle, throttling.UserRateThrottle, throttling.ScopedRateThrottle)


def view_with(throttle):
    class View(APIView):
        permission_classes = (AllowAny,)
        authentication_classes = ()
        throttle_classes = (type("Strict", (throttle,), {"THROTTLE_RATES": {"anon": "1/min", "user": "1/min"}}),)
        throttle_scope = "user"

        def get(self, request):
            return Response("x")

    return View.as_view()


@pytest.mark.parametrize("throttle", ALL)
def test_requests_are_counted(throttle):
    view = view_with(throttle)
    assert [view(APIRequestFactory().get("/")).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("throttle", ALL)
def test_without_a_cache_nobody_is_refused_and_one_warning_says_so(throttle, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise ConnectionError("no cache")

    monkeypatch.setattr(type(cache._connections[cache._alias]), "get", fail)
    view = view_with(throttle)
    try:
        assert [view(APIRequestFactory().get("/")).status_code for _ in range(3)] == [200] * 3
    finally:
        guard.recovered()
    assert [record.levelname for record in caplog.records if record.name == "core.outage"].count("WARNING") == 1
