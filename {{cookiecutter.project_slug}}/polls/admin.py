"""Questions and choices in the admin."""

from django.contrib import admin

from polls.models import Choice, Question


class ChoiceInline(admin.TabularInline):  # type: ignore[type-arg]
    """The choices on the page of their question."""

    model = Choice
    extra = 1


@admin.register(Question)
class QuestionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Questions with their choices."""

    inlines = (ChoiceInline,)
    list_display = ("question_text", "published", "owner", "created_at")
    list_filter = ("published", "created_at")
    list_select_related = ("owner",)
    search_fields = ("question_text",)
    raw_id_fields = ("owner",)


@admin.register(Choice)
class ChoiceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Choices by themselves, to see the votes of all questions in one list."""

    list_display = ("choice_text", "question", "votes")
    list_select_related = ("question",)
    search_fields = ("choice_text", "question__question_text")
    raw_id_fields = ("question",)
