from django.db import models
from django.db.models import Q

from core.changes import TrackedManager


class Team(models.Model):
    name = models.CharField(max_length=30)
    code = models.SlugField(unique=True)

    objects = TrackedManager()


class Skill(models.Model):
    name = models.CharField(max_length=30)

    objects = TrackedManager()


class Person(models.Model):
    """The users of the document, with every kind of rule a table can have."""

    email = models.EmailField(unique=True)
    email_provider = models.CharField(max_length=10, choices=[(each, each) for each in ("google", "yahoo", "other")])
    age = models.PositiveSmallIntegerField(default=30)
    team = models.ForeignKey(Team, models.PROTECT, null=True, blank=True, related_name="people")
    number = models.IntegerField(null=True, blank=True)
    captain = models.BooleanField(default=False)
    skills = models.ManyToManyField(Skill, blank=True, related_name="people")
    written = models.DateTimeField(auto_now=True)

    objects = TrackedManager()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("team", "number"), name="one_number_per_team"),
            models.UniqueConstraint(fields=("team",), condition=Q(captain=True), name="one_captain_per_team"),
            models.CheckConstraint(condition=Q(age__lte=150), name="nobody_is_that_old"),
        )


class Loose(models.Model):
    """With Django's own manager, of which nobody hears by itself."""

    text = models.CharField(max_length=30)
    size = models.IntegerField(default=0)


class BinQuerySet(models.QuerySet):
    def delete(self):
        return self.update(binned=True)


class Binned(models.Model):
    """Is never really deleted."""

    text = models.CharField(max_length=30)
    binned = models.BooleanField(default=False)

    objects = BinQuerySet.as_manager()


class Slugged(models.Model):
    """Writes a column of its own when saved."""

    name = models.CharField(max_length=30)
    slug = models.CharField(max_length=30, default="")

    objects = TrackedManager()

    def save(self, *args, **kwargs):
        self.slug = self.name.lower()
        super().save(*args, **kwargs)


class Node(models.Model):
    """Hangs on others of its kind."""

    parent = models.ForeignKey("self", models.CASCADE, null=True, blank=True)
    name = models.CharField(max_length=30)

    objects = TrackedManager()


class Article(models.Model):
    """With values that are unique for a date."""

    slug = models.SlugField(unique_for_date="published")
    title = models.CharField(max_length=30, unique_for_month="published")
    number = models.IntegerField(unique_for_year="published", default=0)
    published = models.DateTimeField()

    objects = TrackedManager()


class Book(models.Model):
    """With links that are more than two keys."""

    name = models.CharField(max_length=30)
    skills = models.ManyToManyField(Skill, through="Mention", related_name="books")
    alike = models.ManyToManyField("self")

    objects = TrackedManager()


class Mention(models.Model):
    book = models.ForeignKey(Book, models.CASCADE)
    skill = models.ForeignKey(Skill, models.CASCADE)
    weight = models.IntegerField(default=1)
