"""The same endpoints over both tables, and one of the example's for live queries."""

from rest_framework.permissions import AllowAny
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet

from bench.plain.models import Plain
from bench.watched.models import Watched
from polls.viewsets import ChoiceViewSet


def viewset(model: type) -> type[ModelViewSet]:
    """Return a viewset that lets everybody do everything with the rows of ``model``."""
    meta = type("Meta", (), {"model": model, "fields": ("id", "text", "number", "on")})
    serializer = type("Serializer", (ModelSerializer,), {"Meta": meta})
    members = {
        "queryset": model.objects.order_by("id"),
        "serializer_class": serializer,
        "permission_classes": (AllowAny,),
        "authentication_classes": (),
        "filter_backends": (),
    }
    return type(f"{model.__name__}ViewSet", (ModelViewSet,), members)


router = SimpleRouter()
router.register("plain", viewset(Plain))
router.register("watched", viewset(Watched))
router.register("api/choices", ChoiceViewSet, "choice")
urlpatterns = router.urls
