"""Models that only the tests of caching and tags need."""

from django.apps import AppConfig


class CachingAppConfig(AppConfig):
    name = "tests.caching_app"
    label = "caching_app"
    default_auto_field = "django.db.models.BigAutoField"
