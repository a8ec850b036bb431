"""What a view is seen to read, and what follows from it for who is concerned."""

import pytest
from rest_framework import serializers
from rest_framework.pagination import CursorPagination, LimitOffsetPagination
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ReadOnlyModelViewSet

from core.reactive import observable
from polls.models import Choice, Question
from tests.testapp.models import Folder, Note

pytestmark = pytest.mark.django_db(transaction=True)


class NoteSerializer(serializers.ModelSerializer):
    class Meta:
        model = Note
        fields = ("id", "text", "size")


class Notes(ReadOnlyModelViewSet):
    queryset = Note.objects.order_by("-size", "id")
    serializer_class = NoteSerializer
    filter_backends = ()
    permission_classes = ()
    pagination_class = None


@pytest.fixture
def notes(db):
    return Note.objects.bulk_create([Note(text=f"n{size}", size=size) for size in range(6)])


def observed(world, serve, view, **query):
    """A list that a page has of ``view``."""
    router = SimpleRouter()
    router.register("notes", observable(view), "note")
    serve(router.urls)
    return world.page().observe("/notes/", **query)


@pytest.mark.parametrize("part", [slice(2), slice(2, 4)])
def test_rows_that_a_view_leaves_out_by_itself_may_come_in(world, serve, notes, part):
    """A view that slices its queryset without a paginator shows other rows when others move."""

    class Some(Notes):
        def list(self, request):
            return Response(self.get_serializer(self.filter_queryset(self.get_queryset())[part], many=True).data)

    live = observed(world, serve, Some)
    for write in (
        lambda: Note.objects.filter(pk=notes[0].pk).update(size=10),
        lambda: Note.objects.filter(pk=notes[0].pk).delete(),
        lambda: Note.objects.filter(pk=notes[5].pk).update(size=-1),
    ):
        write()
        world.work()
        assert live.items == live.fresh


class Cursor(CursorPagination):
    ordering = ("-size", "id")
    page_size = 2


class Offset(LimitOffsetPagination):
    default_limit = 2


@pytest.mark.parametrize(("pages", "query"), [(Cursor, {}), (Offset, {"offset": 2})])
def test_a_page_follows_what_comes_before_it(world, serve, notes, pages, query):
    """Whatever pages the list, and whether it tells where the page begins or not."""
    live = observed(world, serve, type("Pages", (Notes,), {"pagination_class": pages}), **query)
    for write in (
        lambda: Note.objects.filter(pk=notes[5].pk).delete(),
        lambda: Note.objects.filter(pk=notes[0].pk).update(size=10),
        lambda: Note.objects.create(text="new", size=11),
    ):
        write()
        world.work()
        assert live.items == live.fresh


def test_the_count_of_another_table_is_not_taken_for_the_count_of_the_pages(world, serve, notes):
    """Both may be the same statement but for the table."""

    class Counting(NoteSerializer):
        folders = serializers.SerializerMethodField()

        class Meta(NoteSerializer.Meta):
            fields = (*NoteSerializer.Meta.fields, "folders")

        def get_folders(self, note):
            return Folder.objects.count()

    live = observed(world, serve, type("Counted", (Notes,), {"serializer_class": Counting, "pagination_class": Offset}))
    Folder.objects.create(name="new")
    world.work()
    assert live.items == live.fresh
    assert live.items[0]["folders"] == 1


def test_the_count_of_the_rows_themselves_may_be_shown(world, serve, notes):
    """And then it concerns the list as any other statement does, though the paginator asks the same."""

    class Counting(NoteSerializer):
        notes = serializers.SerializerMethodField()

        class Meta(NoteSerializer.Meta):
            fields = (*NoteSerializer.Meta.fields, "notes")

        def get_notes(self, note):
            return Note.objects.order_by().count()

    live = observed(world, serve, type("Counted", (Notes,), {"serializer_class": Counting, "pagination_class": Offset}))
    Note.objects.filter(pk=notes[0].pk).delete()  # after the page
    world.work()
    assert live.items == live.fresh
    assert live.items[0]["notes"] == 5


def test_a_page_of_the_example_is_left_alone_by_votes_elsewhere(world, question):
    """The window of one question's choices is not evaluated for those of another."""
    other = Question.objects.create(question_text="Other", owner=question.owner)
    choice = Choice.objects.create(question=other, choice_text="a")
    live = world.page().observe("/api/choices/", question=question.pk, limit=1)
    Choice.objects.filter(pk=choice.pk).vote()
    Choice.objects.create(question=other, choice_text="b")
    assert world.work() == 0
    assert live.items == live.fresh


def test_a_page_of_nothing_is_left_alone_by_what_happens_elsewhere(world, question):
    """A paginator fetches no rows where there are none."""
    empty = Question.objects.create(question_text="Empty", owner=question.owner)
    live = world.page().observe("/api/choices/", question=empty.pk)
    assert live.items == []
    Choice.objects.filter(question=question).vote()
    Choice.objects.filter(question=question).first().delete()
    assert world.work() == 0
    Choice.objects.create(question=empty, choice_text="a")
    assert world.work() == 1
    assert live.items == live.fresh != []
