"""``POST /api/queryobserver/unsubscribe/?observer=...&subscriber=...``: leave a live query."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.reactive import store
from core.reactive.owners import owner_of_request
from core.reactive.subscribing import subscriber_of

_PARAMETERS = [
    OpenApiParameter("observer", str, required=True, description="The observer, as the answer to ?observe= named it."),
    OpenApiParameter("subscriber", str, required=True, description="The subscriber id."),
]


class UnsubscribeView(APIView):
    """Ends one subscription of a subscriber. Open to all, for the subscriber id says whose it is."""

    permission_classes = (AllowAny,)

    @extend_schema(
        operation_id="queryobserver_unsubscribe",
        parameters=_PARAMETERS,
        request=None,
        responses={200: {"type": "object", "properties": {}}},
    )
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """End the subscription. What has ended already is no error."""
        del args, kwargs
        subscriber = subscriber_of(request, "subscriber")
        observer = subscriber_of(request, "observer")
        try:
            store.check_owner(subscriber, owner_of_request(request))
        except store.NotOwnerError:
            raise PermissionDenied("This subscriber id belongs to another caller.") from None
        store.unsubscribe(observer, subscriber)
        return Response({})
