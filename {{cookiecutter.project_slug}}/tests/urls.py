"""The routes of a site that no longer serves the example, and after them the example's page."""

from django.urls import include, path

from config.urls import urlpatterns as site

urlpatterns = [*site, path("", include("polls.urls"))]
