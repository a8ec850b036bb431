"""Models that only the tests of bulk operations need."""

from django.apps import AppConfig


class BulkConfig(AppConfig):
    name = "tests.bulk_app"
    label = "bulk"
    default_auto_field = "django.db.models.BigAutoField"
