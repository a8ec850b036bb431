"""Models that only the tests of nested routes and of the extras need."""

from django.apps import AppConfig


class NestingConfig(AppConfig):
    name = "tests.nesting_app"
    label = "nesting"
    default_auto_field = "django.db.models.BigAutoField"
