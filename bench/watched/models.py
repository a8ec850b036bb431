"""The same table as the floors', watched by the change stream."""

from django.db import models

from bench.plain.models import Row
from core.changes import TrackedManager


class Watched(Row):
    """A tracked manager."""

    objects = TrackedManager()


class Wide(models.Model):
    """A row of eight fields, as lists have them."""

    a = models.CharField(max_length=50)
    b = models.CharField(max_length=50)
    c = models.CharField(max_length=50)
    d = models.IntegerField()
    e = models.IntegerField()
    f = models.FloatField()
    g = models.BooleanField()

    objects = TrackedManager()
