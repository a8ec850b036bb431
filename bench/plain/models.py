"""Two tables with the same columns: one that core does not know of, and one that it watches."""

from django.db import models


class Row(models.Model):
    """Of four columns."""

    text = models.CharField(max_length=200)
    number = models.IntegerField(default=0)
    on = models.BooleanField(default=True)

    class Meta:
        abstract = True


class Plain(Row):
    """Django's own manager; excluded from the change stream."""
