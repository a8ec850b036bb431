"""Serializers and viewsets that let everybody do everything, unless told otherwise."""

from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers
from rest_framework.filters import OrderingFilter
from rest_framework.permissions import AllowAny
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ModelViewSet

from core.bulk import ListCreateModelMixin, ListDestroyModelMixin, ListUpdateModelMixin
from core.viewsets import NestedViewSetMixin
from tests.bulk_app.models import Person

PERSON = ("id", "email", "email_provider", "age", "team", "number", "captain", "skills", "written")


class BulkViewSet(NestedViewSetMixin, ListCreateModelMixin, ListUpdateModelMixin, ListDestroyModelMixin, ModelViewSet):
    permission_classes = (AllowAny,)
    authentication_classes = ()
    pagination_class = None
    filter_backends = (DjangoFilterBackend, OrderingFilter)
    ordering_fields = "__all__"


def serializer_of(model_class, *names, **declared):
    """Return a serializer of these fields; ``bases`` go in front of DRF's."""
    bases = declared.pop("bases", ())
    meta = type("Meta", (), {"model": model_class, "fields": names, **declared.pop("meta", {})})
    return type(f"{model_class.__name__}Serializer", (*bases, serializers.ModelSerializer), {"Meta": meta, **declared})


def viewset_of(usual_serializer, /, **attributes):
    """Return a viewset with every bulk verb; ``bases`` go in front of it."""
    model = usual_serializer.Meta.model
    bases = attributes.pop("bases", ())
    given = {
        "queryset": model._default_manager.order_by("pk"),
        "serializer_class": usual_serializer,
        **attributes,
    }
    return type(f"{model.__name__}ViewSet", (*bases, BulkViewSet), given)


class PersonSerializer(serializers.ModelSerializer):
    class Meta:
        model = Person
        fields = PERSON


class PersonViewSet(BulkViewSet):
    queryset = Person.objects.order_by("id")
    serializer_class = PersonSerializer
    filterset_fields = {
        "id": ["exact", "in"],
        "email": ["exact", "endswith"],
        "age": ["exact", "gte", "range"],
        "captain": ["exact"],
        "team": ["exact"],
    }


def urls(**viewsets):
    """Return the URL patterns of viewsets by their prefix."""
    router = SimpleRouter()
    for prefix, viewset in viewsets.items():
        router.register(prefix, viewset, basename=prefix)
    return router.urls
