"""Books with reviews, authors and shelves: what cached and tagged views show."""

from django.contrib.auth.models import User
from django.db import models

from core.changes import TrackedManager


class City(models.Model):
    name = models.CharField(max_length=50)

    objects = TrackedManager()

    class Meta:
        ordering = ("id",)


class Book(models.Model):
    title = models.CharField(max_length=50)
    pages = models.IntegerField(default=0)
    owner = models.ForeignKey(User, models.SET_NULL, null=True, blank=True)
    tags = models.ManyToManyField(City, blank=True)

    objects = TrackedManager()

    class Meta:
        ordering = ("id",)


class Review(models.Model):
    book = models.ForeignKey(Book, models.CASCADE, related_name="reviews")
    text = models.CharField(max_length=50)

    objects = TrackedManager()

    class Meta:
        ordering = ("id",)
