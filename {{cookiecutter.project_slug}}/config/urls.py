"""The project's HTTP routes."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from core.tokens import ObtainTokenView

urlpatterns = [
    path("", include("polls.urls")),
    path("", include("core.bindings.urls")),
    path("api/", include("polls.api_urls")),
    path("api/", include("core.urls")),
    path("api/auth/", include("rest_framework.urls")),
    path("api/token/", ObtainTokenView.as_view(), name="token"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("admin/", admin.site.urls),
]
