"""The REST API: ``/api/questions/``, ``/api/choices/`` and ``/api/questions/{pk}/choices/``."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

from core.bulk import ListCreateModelMixin, ListDestroyModelMixin, ListUpdateModelMixin
from core.etags import CacheResponseAndETAGMixin
from core.reactive import observable
from core.viewsets import NestedViewSetMixin
from polls.filters import ChoiceFilter, QuestionFilter
from polls.models import Choice, Question
from polls.serializers import ChoiceSerializer, QuestionSerializer


@observable
class QuestionViewSet(
    CacheResponseAndETAGMixin,
    ListCreateModelMixin,
    ListUpdateModelMixin,
    ListDestroyModelMixin,
    ModelViewSet[Question],
):
    """Questions that the caller may see, each with its choices."""

    queryset = Question.objects.prefetch_related("choices")
    serializer_class = QuestionSerializer
    filterset_class = QuestionFilter
    ordering_fields = ("id", "question_text", "published", "created_at")
    ordering = ("id",)

    def get_queryset(self) -> QuerySet[Question]:
        """Apply the rule of who may see what."""
        return Question.objects.visible_to(self.request.user).prefetch_related("choices")

    def perform_create(self, serializer: BaseSerializer[Question]) -> None:
        """Make the caller the owner, of every question if there are many."""
        serializer.save(owner=self.request.user)


@observable
class ChoiceViewSet(
    CacheResponseAndETAGMixin,
    NestedViewSetMixin,
    ListCreateModelMixin,
    ListUpdateModelMixin,
    ListDestroyModelMixin,
    ModelViewSet[Choice],
):
    """Choices of the questions that the caller may see."""

    queryset = Choice.objects.all()
    serializer_class = ChoiceSerializer
    filterset_class = ChoiceFilter
    ordering_fields = ("id", "choice_text", "votes")
    ordering = ("id",)

    def get_queryset(self) -> QuerySet[Choice]:
        """Apply the rule of who may see what."""
        return Choice.objects.visible_to(self.request.user)

    @extend_schema(request=None, responses=ChoiceSerializer)
    @action(detail=True, methods=["post"], permission_classes=[AllowAny])
    def vote(self, request: Request, pk: str) -> Response:
        """Count one vote for this choice; open to all."""
        Choice.objects.filter(pk=self.get_object().pk).vote()
        # As it is now, with the votes of others; a 404 if somebody has deleted it meanwhile.
        return Response(self.get_serializer(self.get_object()).data)
