"""REST routes of the example, included under ``api/``."""

from core.routers import ExtendedDefaultRouter
from polls.viewsets import ChoiceViewSet, QuestionViewSet

router = ExtendedDefaultRouter()
questions = router.register("questions", QuestionViewSet)
questions.register("choices", ChoiceViewSet, "question-choice", ["question"])
router.register("choices", ChoiceViewSet)

urlpatterns = router.urls
