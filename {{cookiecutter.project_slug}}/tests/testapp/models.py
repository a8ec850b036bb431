"""Models of every kind that the example does not have."""

import uuid
from typing import ClassVar

import django
from django.db import models

from core.changes import TrackedManager


class Tag(models.Model):
    name = models.CharField(max_length=50, unique=True)
    weight = models.IntegerField(default=0)

    objects = TrackedManager()

    class Meta:
        ordering = ("name",)


class Folder(models.Model):
    name = models.CharField(max_length=50)
    parent = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="children")
    tags = models.ManyToManyField(Tag, related_name="folders")
    friends = models.ManyToManyField("self")

    objects = TrackedManager()


class Note(models.Model):
    folder = models.ForeignKey(Folder, models.SET_NULL, null=True, blank=True, related_name="notes")
    fallback = models.ForeignKey(Folder, models.SET_DEFAULT, default=None, null=True, related_name="+")
    text = models.CharField(max_length=50)
    size = models.IntegerField(default=0)

    objects = TrackedManager()


class BigNote(Note):
    class Meta:
        proxy = True


class Place(models.Model):
    name = models.CharField(max_length=50)
    rank = models.IntegerField(default=0)

    objects = TrackedManager()


class Cafe(Place):
    seats = models.IntegerField(default=0)

    objects: ClassVar = TrackedManager()


class Kiosk(Place):
    """A child without a column of its own."""


class Label(models.Model):
    folder = models.ForeignKey(Folder, models.CASCADE, related_name="labels")
    tag = models.ForeignKey(Tag, models.CASCADE)
    note = models.CharField(max_length=50, default="")


class Keeper(models.Model):
    """Keeps its tag from being deleted."""

    tag = models.ForeignKey(Tag, models.PROTECT)


class Shelf(models.Model):
    """Joined to tags by a model somebody wrote."""

    tags = models.ManyToManyField(Tag, through="Slot")


class Slot(models.Model):
    shelf = models.ForeignKey(Shelf, models.CASCADE)
    tag = models.ForeignKey(Tag, models.CASCADE)


class Ticket(models.Model):
    """With a key that JSON has no type for."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    title = models.CharField(max_length=50)

    objects = TrackedManager()


class Seat(models.Model):
    """With a key of two columns."""

    pk = models.CompositePrimaryKey("row", "number")
    row = models.IntegerField()
    number = models.IntegerField()
    guest = models.CharField(max_length=50, default="")

    objects = TrackedManager()


class Quiet(models.Model):
    """Excluded in the settings of the tests."""

    folder = models.ForeignKey(Folder, models.CASCADE, null=True)
    text = models.CharField(max_length=50)

    objects = TrackedManager()


class LedgerQuerySet(models.QuerySet):
    def shout(self):
        return " ".join(self.values_list("text", flat=True)).upper()


class LedgerManager(models.Manager.from_queryset(LedgerQuerySet)):
    """Hides rows from whoever comes through it, and knows nothing of tracking."""

    def get_queryset(self):
        return super().get_queryset().filter(hidden=False)


class Ledger(models.Model):
    """With a base manager that somebody chose."""

    text = models.CharField(max_length=50)
    hidden = models.BooleanField(default=False)

    objects = LedgerManager()

    class Meta:
        base_manager_name = "objects"


class Untracked(models.Model):
    """With Django's own manager."""

    text = models.CharField(max_length=50)


if django.VERSION >= (6, 1):

    class Root(models.Model):
        text = models.CharField(max_length=50)

    class Branch(models.Model):
        root = models.ForeignKey(Root, models.DB_CASCADE)

    class Leaf(models.Model):
        branch = models.ForeignKey(Branch, models.DB_CASCADE)
        root = models.ForeignKey(Root, models.DB_SET_NULL, null=True)
