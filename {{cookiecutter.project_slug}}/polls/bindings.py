"""The streams of the resource socket: each has the rules of its viewset, whose extra actions it takes along."""

from core.bindings import ResourceBinding
from polls.viewsets import ChoiceViewSet, QuestionViewSet


class QuestionBinding(ResourceBinding):
    """Questions that the caller may see, each with its choices."""

    stream = "questions"
    viewset_class = QuestionViewSet


class ChoiceBinding(ResourceBinding):
    """Choices of the questions that the caller may see, and ``vote``, which is open to all."""

    stream = "choices"
    viewset_class = ChoiceViewSet
