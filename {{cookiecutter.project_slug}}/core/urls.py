"""HTTP routes of ``core``, to be included under ``api/``: those of the enabled features."""

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
