"""The tables of ``core``. They exist whatever the toggles say."""

from django.db import models
from django.db.models.functions import Now


class ChangeLogEntry(models.Model):
    """What one transaction has changed, written with it: see ``core.changes``."""

    origin = models.CharField(max_length=32, help_text="The process that wrote it.")
    number = models.BigIntegerField(help_text="Counts the entries of that process.")
    changes = models.TextField(help_text="The changes, as JSON.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        verbose_name_plural = "change log entries"

    def __str__(self) -> str:
        return f"entry {self.pk}"
