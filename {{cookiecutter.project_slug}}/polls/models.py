"""Questions and the choices that people vote for."""

from typing import Self

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import F, Q

from core.changes import TrackedQuerySet

Caller = AbstractBaseUser | AnonymousUser


def visible_questions(user: Caller, prefix: str = "") -> Q:
    """Return the one rule of who may see what: published questions, one's own, and all of them for staff.

    ``prefix`` leads from the model that is filtered to the question, as in ``"question__"``.
    """
    if getattr(user, "is_staff", False):
        return Q()
    rule = Q(**{f"{prefix}published": True})
    return rule | Q(**{f"{prefix}owner": user.pk}) if user.is_authenticated else rule


class QuestionQuerySet(TrackedQuerySet["Question"]):
    """Questions, as callers see them."""

    def visible_to(self, user: Caller) -> Self:
        """Keep the questions that ``user`` may see."""
        return self.filter(visible_questions(user))


class ChoiceQuerySet(TrackedQuerySet["Choice"]):
    """Choices, as callers see them."""

    def visible_to(self, user: Caller) -> Self:
        """Keep the choices whose question ``user`` may see."""
        return self.filter(visible_questions(user, "question__"))

    def vote(self) -> int:
        """Count one vote for each of these choices and return how many there are.

        The database adds, so that of two votes at the same moment none is lost.
        """
        return self.update(votes=F("votes") + 1)


class Question(models.Model):
    """Something to vote on."""

    question_text = models.CharField("question", max_length=200)
    published = models.BooleanField(
        default=True, help_text="Unpublished questions are seen by their owner and by staff."
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="questions"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = QuestionQuerySet.as_manager()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.question_text


class Choice(models.Model):
    """One of the answers to a question."""

    question = models.ForeignKey(Question, models.CASCADE, related_name="choices")
    choice_text = models.CharField("choice", max_length=200)
    votes = models.PositiveIntegerField(default=0)

    objects = ChoiceQuerySet.as_manager()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.choice_text
