"""The example's page at ``/``: the newest questions, and a button for every choice."""

from typing import Any, cast

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.templatetags.static import static
from django.urls import reverse
from django.views.generic import RedirectView
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from polls.models import Choice, Question

PAGE_SIZE = 25


class QuestionsPage(APIView):
    """A page that works without a script.

    It is a view of the API's framework so that authentication and throttles are the API's: voting here gives
    nobody more votes than ``/api/choices/{pk}/vote/`` does.
    """

    schema = None
    permission_classes = (AllowAny,)
    renderer_classes = (TemplateHTMLRenderer,)

    def get(self, request: Request) -> Response:
        """Show the newest questions that the caller may see, with the share of votes of each choice."""
        visible = Question.objects.visible_to(request.user)
        newest = visible.prefetch_related("choices").order_by("-id")[:PAGE_SIZE]
        context: dict[str, Any] = {
            "questions": [_with_shares(question) for question in newest],
            "hidden": max(visible.count() - PAGE_SIZE, 0),
            "site_title": settings.SITE_TITLE,
            "site_description": settings.SITE_DESCRIPTION,
        }
        return Response(context, template_name="polls/page.html")

    def post(self, request: Request) -> HttpResponseBase:
        """Count a vote for the choice whose button was pressed, and show its question again."""
        try:
            pk = cast("dict[str, Any]", request.data)["choice"]
            choice = get_object_or_404(Choice.objects.visible_to(request.user), pk=pk)
        except (KeyError, TypeError, ValueError, OverflowError, ValidationError):
            raise NotFound from None
        Choice.objects.filter(pk=choice.pk).vote()
        return HttpResponseRedirect(f"{reverse('polls:page')}#question-{choice.question_id}", status=303)


class IconView(RedirectView):
    """Where browsers look for the icon of pages that name none, such as those of the browsable API."""

    def get_redirect_url(self, *args: Any, **kwargs: Any) -> str:
        """Return the address of the icon."""
        return static("polls/icon.svg")


def _with_shares(question: Question) -> dict[str, Any]:
    choices = list(question.choices.all())
    total = sum(choice.votes for choice in choices)
    return {
        "question": question,
        "total": total,
        "choices": [
            {"choice": choice, "percent": round(100 * choice.votes / total) if total else 0} for choice in choices
        ],
    }
