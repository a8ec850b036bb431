"""The example's page at ``/``: the newest questions, a button for every choice, and a form for a new question.

It works without a script. With one, ``page.js`` takes over: the list follows the database, votes and questions are
sent without a reload.
"""

from collections.abc import Sequence
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.views.generic import RedirectView
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.conf import core_settings
from polls.models import Choice, Question
from polls.serializers import ChoiceSerializer, QuestionSerializer

PAGE_SIZE = 25
CHOICES_TO_ASK_FOR = 4
PERMISSIONS_TO_ASK = ("polls.add_question", "polls.add_choice")
# Nothing on the page comes from elsewhere, and nothing that people write can become a script. Not every browser
# takes 'self' for sockets too.
POLICY = "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


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
        return self._page(request)

    def post(self, request: Request) -> HttpResponseBase:
        """Count a vote for the choice whose button was pressed, or take a new question; then show the question."""
        data = cast("Any", request.data)
        if "question_text" in data:
            return self._ask(request, data)
        try:
            choice = get_object_or_404(Choice.objects.visible_to(request.user), pk=data["choice"])
        except (KeyError, TypeError, ValueError, OverflowError, ValidationError):
            raise NotFound from None
        Choice.objects.filter(pk=choice.pk).vote()
        return _shown(choice.question_id)

    def _ask(self, request: Request, data: Any) -> HttpResponseBase:
        if not _may_ask(request):
            self.permission_denied(request)
        texts = [text for text in data.getlist("choice_text") if text.strip()] if hasattr(data, "getlist") else []
        question = QuestionSerializer(data={"question_text": data["question_text"]})
        if not question.is_valid():
            return self._page(request, question.errors["question_text"], status=400)
        with transaction.atomic():
            asked = question.save(owner=request.user)
            choices = ChoiceSerializer(
                data=[{"question": asked.pk, "choice_text": text} for text in texts],
                many=True,
                context={"request": request},
            )
            if choices.is_valid():
                choices.save()
                return _shown(asked.pk)
            transaction.set_rollback(True)
        return self._page(request, ["A choice has at most 200 characters."], status=400)

    def _page(self, request: Request, errors: Sequence[str] = (), status: int = 200) -> Response:
        visible = Question.objects.visible_to(request.user)
        newest = visible.prefetch_related("choices").order_by("-id")[:PAGE_SIZE]
        context: dict[str, Any] = {
            "questions": [_with_shares(question, list(question.choices.all())) for question in newest],
            "blank": _with_shares(Question(published=True), [Choice()]),
            "hidden": max(visible.count() - PAGE_SIZE, 0),
            "page_size": PAGE_SIZE,
            "may_ask": _may_ask(request),
            "may_change": request.user.has_perm("polls.change_question"),
            "may_delete": request.user.has_perm("polls.delete_question"),
            "choices_to_ask_for": range(1, CHOICES_TO_ASK_FOR + 1),
            "errors": errors,
            "enabled": sorted(name.lower() for name in core_settings.enabled()),
            "links": _links("debugger", "asyncapi-docs"),
            "site_title": settings.SITE_TITLE,
            "site_description": settings.SITE_DESCRIPTION,
        }
        headers = {"Content-Security-Policy": POLICY}
        return Response(context, status=status, template_name="polls/page.html", headers=headers)


class IconView(RedirectView):
    """Where browsers look for the icon of pages that name none, such as those of the browsable API."""

    def get_redirect_url(self, *args: Any, **kwargs: Any) -> str:
        """Return the address of the icon."""
        return static("polls/icon.svg")


def _may_ask(request: Request) -> bool:
    return request.user.has_perms(PERMISSIONS_TO_ASK)


def _shown(question: Any) -> HttpResponseBase:
    return HttpResponseRedirect(f"{reverse('polls:page')}#question-{question}", status=303)


def _links(*names: str) -> dict[str, str]:
    """Return the addresses of those pages that are there."""
    found = {}
    for name in names:
        try:
            found[name.replace("-", "_")] = reverse(name)
        except NoReverseMatch:
            continue
    return found


def _with_shares(question: Question, choices: Sequence[Choice]) -> dict[str, Any]:
    total = sum(choice.votes for choice in choices)
    most = max((choice.votes for choice in choices), default=0)
    return {
        "question": question,
        "total": total,
        "choices": [
            {
                "choice": choice,
                # Rounded half up, as page.js does.
                "percent": (200 * choice.votes + total) // (2 * total) if total else 0,
                "leads": most and choice.votes == most,
            }
            for choice in choices
        ],
    }
