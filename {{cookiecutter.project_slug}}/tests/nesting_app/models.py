from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Label(models.Model):
    name = models.CharField(max_length=30)


class Region(models.Model):
    """Addressed by its code, which is no UUID, and owned by somebody."""

    country_code = models.CharField(max_length=8, unique=True)
    name = models.CharField(max_length=30)
    hidden = models.BooleanField(default=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="regions")


class City(models.Model):
    region = models.ForeignKey(Region, models.CASCADE, related_name="cities")
    name = models.CharField(max_length=30)
    hidden = models.BooleanField(default=False)
    labels = models.ManyToManyField(Label, related_name="cities", blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("region", "name"), name="one_name_per_region"),)


class Street(models.Model):
    city = models.ForeignKey(City, models.CASCADE, null=True, blank=True, related_name="streets")
    name = models.CharField(max_length=30)
    hidden = models.BooleanField(default=False)


class Stamp(models.Model):
    """Names its region by a column that is no relation."""

    country_code = models.CharField(max_length=8)
    price = models.IntegerField(default=1)


class Passport(models.Model):
    """Hangs on a region by something else than its primary key."""

    region = models.ForeignKey(Region, models.CASCADE, to_field="country_code", related_name="passports")
    number = models.CharField(max_length=30)


class Task(models.Model):
    title = models.CharField(max_length=30)
    comments = GenericRelation("nesting.Comment", related_query_name="task")


class Book(models.Model):
    title = models.CharField(max_length=30)


class Comment(models.Model):
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveIntegerField()
    content_object = GenericForeignKey()
    text = models.CharField(max_length=30)


class Place(models.Model):
    """The city of the document's chapter on partial updates, with every kind of column."""

    name = models.CharField(max_length=30)
    country = models.CharField(max_length=30)
    street = models.CharField(max_length=30, default="")
    zip_code = models.CharField(max_length=30, default="")
    twin = models.ForeignKey("self", models.SET_NULL, null=True, blank=True)
    labels = models.ManyToManyField(Label, blank=True)
    flag = models.FileField(upload_to="flags", blank=True)
    content_type = models.ForeignKey(ContentType, models.SET_NULL, null=True, blank=True)
    object_id = models.PositiveIntegerField(null=True, blank=True)
    content_object = GenericForeignKey()

    @property
    def address(self) -> str:
        return f"{self.street}, {self.zip_code}"

    @address.setter
    def address(self, value: str) -> None:
        self.street, self.zip_code = value.split(", ")


class Visit(models.Model):
    """Notes when it was last written."""

    place = models.CharField(max_length=30)
    count = models.IntegerField(default=0)
    written = models.DateTimeField(auto_now=True)
