"""HTTP routes of ``core``, to be included under ``api/``: those of the enabled features."""

from django.urls import URLPattern, URLResolver, path

from core.asyncapi.views import AsyncAPIPage, AsyncAPIView
from core.batch import BatchView
from core.conf import core_settings
from core.reactive.views import UnsubscribeView

urlpatterns: list[URLPattern | URLResolver] = []
if core_settings.BATCH.ENABLED:
    urlpatterns.append(path("batch/", BatchView.as_view(), name="batch"))
if core_settings.REACTIVE.ENABLED:
    urlpatterns.append(path("queryobserver/unsubscribe/", UnsubscribeView.as_view(), name="queryobserver-unsubscribe"))
if core_settings.BINDINGS.ENABLED or core_settings.REACTIVE.ENABLED:
    urlpatterns.append(path("asyncapi/", AsyncAPIView.as_view(), name="asyncapi"))
    urlpatterns.append(path("asyncapi/docs/", AsyncAPIPage.as_view(), name="asyncapi-docs"))
