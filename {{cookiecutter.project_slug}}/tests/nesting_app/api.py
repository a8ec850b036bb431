"""Short ways to a serializer and a viewset."""

from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.viewsets import ModelViewSet

from core.viewsets import NestedViewSetMixin


def serializer_of(model_class, *names, **declared):
    """Return a serializer of these fields."""
    meta = type("Meta", (), {"model": model_class, "fields": names})
    return type(f"{model_class.__name__}Serializer", (serializers.ModelSerializer,), {"Meta": meta, **declared})


def viewset_of(usual_serializer, /, **attributes):
    """Return a viewset that lets everybody do everything, and can be nested."""
    model = usual_serializer.Meta.model
    given = {
        "queryset": model._default_manager.order_by("pk"),
        "serializer_class": usual_serializer,
        "permission_classes": (AllowAny,),
        "pagination_class": None,
        **attributes,
    }
    return type(f"{model.__name__}ViewSet", (NestedViewSetMixin, ModelViewSet), given)
