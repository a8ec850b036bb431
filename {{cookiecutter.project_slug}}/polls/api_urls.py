"""REST routes of the example, included under ``api/``."""

from rest_framework.routers import DefaultRouter

from polls.viewsets import ChoiceViewSet, QuestionViewSet

router = DefaultRouter()
router.register("questions", QuestionViewSet)
router.register("choices", ChoiceViewSet)

urlpatterns = router.urls
