"""The endpoints of the benchmarks, a slow one, and the batch of each contender."""

import time

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from bench.urls import urlpatterns as endpoints
from core.batch import BatchView

try:
    from drf_batch_requests.views import BatchView as PeerView
except ImportError:  # the peer lives in the environment that `make bench` makes
    PeerView = None


@csrf_exempt
def slow(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Take 50 ms."""
    time.sleep(0.05)
    return JsonResponse({"slow": True})


urlpatterns = [*endpoints, path("slow/", slow), path("batch/", BatchView.as_view())]
if PeerView is not None:
    urlpatterns.append(path("peer/", PeerView.as_view()))
