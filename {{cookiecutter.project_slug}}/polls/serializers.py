"""How questions and choices are read and written."""

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from polls.models import Choice, Question

_CHOICE = {"question": 2, "choice_text": "Tea"}
_QUESTION = {"question_text": "Tea or coffee?", "published": True}
_SHOWN_CHOICE = {"id": 4, **_CHOICE, "votes": 18}
_SHOWN_QUESTION = {"id": 2, **_QUESTION, "owner": 1, "created_at": "2026-11-03T09:00:00Z", "choices": [_SHOWN_CHOICE]}


class VisibleQuestionField(serializers.PrimaryKeyRelatedField[Question]):
    """A question by its key. One that the caller may not see does not exist."""

    def get_queryset(self) -> QuerySet[Question]:
        request = self.context.get("request")
        return Question.objects.visible_to(request.user if request else AnonymousUser())


@extend_schema_serializer(
    examples=[
        OpenApiExample("Choice", _CHOICE, request_only=True),
        OpenApiExample("Choice", _SHOWN_CHOICE, response_only=True),
    ]
)
class ChoiceSerializer(serializers.ModelSerializer[Choice]):
    """A choice. Votes are counted by voting, never written."""

    question = VisibleQuestionField(queryset=Question.objects.all())

    class Meta:
        model = Choice
        fields = ("id", "question", "choice_text", "votes")
        read_only_fields = ("votes",)


@extend_schema_serializer(
    examples=[
        OpenApiExample("Question", _QUESTION, request_only=True),
        OpenApiExample("Question", _SHOWN_QUESTION, response_only=True),
    ]
)
class QuestionSerializer(serializers.ModelSerializer[Question]):
    """A question with its choices. It belongs to the one who asked it."""

    choices = ChoiceSerializer(many=True, read_only=True)

    class Meta:
        model = Question
        fields = ("id", "question_text", "published", "owner", "created_at", "choices")
        read_only_fields = ("owner", "created_at")
