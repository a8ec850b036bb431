"""REST routes of the example, which ``config/urls.py`` finds here and puts under ``api/``."""

from core.routers import ExtendedDefaultRouter
from polls.viewsets import ChoiceViewSet, QuestionViewSet

router = ExtendedDefaultRouter()
questions = router.register("questions", QuestionViewSet)
questions.register("choices", ChoiceViewSet, "question-choice", ["question"])
router.register("choices", ChoiceViewSet)
