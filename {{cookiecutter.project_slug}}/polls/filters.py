"""Query parameters of the two lists."""

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import HttpRequest
from django_filters.rest_framework.filters import ModelChoiceFilter
from django_filters.rest_framework.filterset import FilterSet

from polls.models import Choice, Question


def visible_questions(request: HttpRequest | None) -> QuerySet[Question]:
    """Return the questions that may be asked for: another one does not exist, in the form and in the answer."""
    return Question.objects.visible_to(request.user if request else AnonymousUser())


class QuestionFilter(FilterSet):
    """``?question_text=``, ``?question_text__icontains=``, ``?published=``."""

    class Meta:
        model = Question
        fields = {"question_text": ["exact", "icontains"], "published": ["exact"]}


class ChoiceFilter(FilterSet):
    """``?question=``, ``?votes__gte=``, ``?choice_text=``, ``?choice_text__icontains=``."""

    question = ModelChoiceFilter(queryset=visible_questions)  # type: ignore[no-untyped-call]

    class Meta:
        model = Choice
        fields = {"question": ["exact"], "votes": ["gte"], "choice_text": ["exact", "icontains"]}
