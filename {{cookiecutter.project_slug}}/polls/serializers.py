"""How questions and choices are read and written."""

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from rest_framework import serializers

from polls.models import Choice, Question


class VisibleQuestionField(serializers.PrimaryKeyRelatedField[Question]):
    """A question by its key. One that the caller may not see does not exist."""

    def get_queryset(self) -> QuerySet[Question]:
        request = self.context.get("request")
        return Question.objects.visible_to(request.user if request else AnonymousUser())


class ChoiceSerializer(serializers.ModelSerializer[Choice]):
    """A choice. Votes are counted by voting, never written."""

    question = VisibleQuestionField(queryset=Question.objects.all())

    class Meta:
        model = Choice
        fields = ("id", "question", "choice_text", "votes")
        read_only_fields = ("votes",)


class QuestionSerializer(serializers.ModelSerializer[Question]):
    """A question with its choices. It belongs to the one who asked it."""

    choices = ChoiceSerializer(many=True, read_only=True)

    class Meta:
        model = Question
        fields = ("id", "question_text", "published", "owner", "created_at", "choices")
        read_only_fields = ("owner", "created_at")
