"""The project's HTTP routes."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from core.routers import discovered
from core.tokens import ObtainTokenView

admin.site.site_header = admin.site.site_title = settings.SITE_TITLE

urlpatterns = [
    path("", include("polls.urls")),
    path("", include("core.bindings.urls")),
    path("api/", include(discovered().urls)),
    path("api/", include("core.urls")),
    path("api/auth/", include("rest_framework.urls")),
    path("api/token/", ObtainTokenView.as_view(), name="token"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("admin/", admin.site.urls),
]
