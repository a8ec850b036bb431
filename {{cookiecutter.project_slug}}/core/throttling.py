"""DRF's throttles, which let requests through while the cache they count in does not answer.

A limit that fails closed would take the site down with its cache. The outage is logged once, by ``core.outage``.
"""

from typing import TYPE_CHECKING

from rest_framework import throttling
from rest_framework.request import Request

from core.outage import guard

if TYPE_CHECKING:  # it imports the throttles
    from rest_framework.views import APIView


class AnonRateThrottle(throttling.AnonRateThrottle):
    """Limits callers that have not logged in, by address."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """Tell whether the request is within the limit; yes, if nobody can count."""
        allow = super().allow_request
        return guard.call(lambda: allow(request, view), default=True)


class UserRateThrottle(throttling.UserRateThrottle):
    """Limits users, and anonymous callers by address."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """Tell whether the request is within the limit; yes, if nobody can count."""
        allow = super().allow_request
        return guard.call(lambda: allow(request, view), default=True)


class ScopedRateThrottle(throttling.ScopedRateThrottle):
    """Limits views that name a ``throttle_scope``."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """Tell whether the request is within the limit; yes, if nobody can count."""
        allow = super().allow_request
        return guard.call(lambda: allow(request, view), default=True)
