"""The worked example: questions, their choices, and votes."""

from django.apps import AppConfig


class PollsConfig(AppConfig):
    """Questions and choices."""

    name = "polls"
    default_auto_field = "django.db.models.BigAutoField"
