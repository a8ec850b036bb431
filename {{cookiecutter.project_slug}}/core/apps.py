"""Puts the enabled features together when Django starts."""

from django.apps import AppConfig
from django.core import checks


class CoreConfig(AppConfig):
    """The application that holds every feature."""

    name = "core"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from core.checks import check_settings

        checks.register(check_settings)
