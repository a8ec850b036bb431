"""Query parameters of the two lists."""

from django_filters.rest_framework.filterset import FilterSet

from polls.models import Choice, Question


class QuestionFilter(FilterSet):
    """``?question_text=``, ``?question_text__icontains=``, ``?published=``."""

    class Meta:
        model = Question
        fields = {"question_text": ["exact", "icontains"], "published": ["exact"]}


class ChoiceFilter(FilterSet):
    """``?question=``, ``?votes__gte=``, ``?choice_text=``, ``?choice_text__icontains=``."""

    class Meta:
        model = Choice
        fields = {"question": ["exact"], "votes": ["gte"], "choice_text": ["exact", "icontains"]}
