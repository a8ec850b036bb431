"""The tables that a queryset reads: all that its SQL names."""

import re

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    FilteredRelation,
    OuterRef,
    Prefetch,
    Q,
    Subquery,
    Value,
    When,
    Window,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import RowNumber
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from core import queries
from core.queries import tables_read
from polls.models import Choice, Question
from tests.testapp.models import Cafe, Folder, Kiosk, Label, Note, Place, Shelf, Tag

CHOICES, QUESTIONS, USERS = "polls_choice", "polls_question", "auth_user"
NOTES, FOLDERS, TAGS = "testapp_note", "testapp_folder", "testapp_tag"
MIDDLE = "testapp_folder_tags"

# Each query, and the tables that it reads beyond those that its SQL is seen to name.
QUERIES = {
    "all": lambda: Question.objects.all(),
    "none": lambda: Question.objects.none(),
    "filter along a join": lambda: Choice.objects.filter(question__owner__username="a"),
    "exclude along a join": lambda: Question.objects.exclude(choices__votes__gt=3),
    "or": lambda: Note.objects.filter(Q(folder__name="a") | Q(fallback__labels__tag__name="b")),
    "select_related": lambda: Choice.objects.select_related("question__owner"),
    "select_related of all": lambda: Label.objects.select_related(),
    "select_related of a child": lambda: Place.objects.select_related("cafe"),
    "only along a join": lambda: Choice.objects.select_related("question").only("question__question_text"),
    "ordering along a join": lambda: Choice.objects.order_by("-question__owner__username"),
    "ordering by a relation": lambda: Label.objects.order_by("tag"),
    "ordering by an expression": lambda: Note.objects.order_by(F("folder__name").desc(nulls_last=True)),
    "ordering at random": lambda: Note.objects.order_by("?"),
    "annotation": lambda: Question.objects.annotate(n=Count("choices")).order_by("-n"),
    "annotation of a column": lambda: Choice.objects.annotate(who=F("question__owner__username")),
    "values along a join": lambda: Choice.objects.values("question__owner__email"),
    "subquery": lambda: Question.objects.annotate(
        top=Subquery(Choice.objects.filter(question=OuterRef("pk")).order_by("-votes").values("votes")[:1])
    ),
    "exists": lambda: Note.objects.filter(Exists(Label.objects.filter(folder=OuterRef("folder"), tag__name="a"))),
    "not exists": lambda: Note.objects.filter(~Exists(Tag.objects.filter(name=OuterRef("text")))),
    "in a subquery": lambda: Note.objects.filter(folder__in=Folder.objects.filter(tags__name="a")),
    "subqueries in a list": lambda: Note.objects.filter(
        size__in=[Subquery(Tag.objects.values("pk")[:1]), Subquery(Folder.objects.values("pk")[:1]), 3]
    ),
    "subqueries in a range": lambda: Note.objects.filter(size__range=(Subquery(Tag.objects.values("pk")[:1]), 3)),
    "union": lambda: Tag.objects.order_by().values_list("name").union(Folder.objects.values_list("name")),
    "a sliced subquery": lambda: Note.objects.filter(pk__in=Note.objects.filter(folder__name="a").values("pk")[:3]),
    "many-to-many": lambda: Folder.objects.filter(tags__name="a"),
    "many-to-many, the other way": lambda: Tag.objects.filter(folders__name="a"),
    "many-to-many by key": lambda: Folder.objects.filter(tags=3),
    "many-to-many to self": lambda: Folder.objects.filter(friends__friends__name="a"),
    "many-to-many through": lambda: Shelf.objects.filter(tags__name="a"),
    "a child": lambda: Cafe.objects.all(),
    "a child without columns": lambda: Kiosk.objects.filter(name="a"),
    "a child's columns only": lambda: Cafe.objects.values("seats"),
    "filtered relation": lambda: Question.objects.annotate(
        many=FilteredRelation("choices", condition=Q(choices__votes__gt=2))
    ).filter(many__choice_text="a"),
    "an expression among values": lambda: Note.objects.filter(
        size__in=[1, Subquery(Tag.objects.values("weight")[:1])], text__startswith="a"
    ),
    "a subquery in a negated condition": lambda: Note.objects.exclude(Q(size=1) & ~Q(folder__in=Folder.objects.all())),
    "a condition on an expression": lambda: Note.objects.filter(size__gt=F("folder__labels__tag__weight") + 1),
    "case": lambda: Note.objects.annotate(a=Case(When(folder__name="a", then=F("size")), default=Value(0))),
    "values of a subquery": lambda: Note.objects.values(a=Subquery(Tag.objects.values("weight")[:1])),
    "window": lambda: Note.objects.annotate(row=Window(RowNumber(), partition_by="folder__name")),
    "distinct count": lambda: User.objects.annotate(n=Count("groups__permissions", distinct=True)).filter(n__gt=1),
    "dates": lambda: Question.objects.dates("created_at", "year"),
    "prefetch": lambda: Question.objects.prefetch_related("choices"),
    "prefetch in steps": lambda: Folder.objects.prefetch_related("notes__fallback__tags", "children"),
    "prefetch many-to-many": lambda: User.objects.prefetch_related("groups__permissions__content_type"),
    "prefetch the other way": lambda: Group.objects.prefetch_related("user_set"),
    "prefetch a queryset": lambda: Folder.objects.prefetch_related(
        Prefetch("notes", Note.objects.filter(fallback__labels__tag__name="a"), to_attr="some")
    ),
    "prefetch a child": lambda: Place.objects.prefetch_related("cafe"),
}


def named(sql):
    """The tables that a statement names."""
    return set(re.findall(r'(?:FROM|JOIN) \(*"(\w+)"', sql))


def rows():
    """Rows behind every relation, so that no step of a prefetch is skipped."""
    user = User.objects.create(username="a")
    user.groups.add(Group.objects.create(name="g"))
    question = Question.objects.create(question_text="q", owner=user)
    Choice.objects.create(question=question, choice_text="c")
    folder, tag = Folder.objects.create(name="a"), Tag.objects.create(name="a")
    folder.tags.add(tag)
    Folder.objects.create(name="b", parent=folder)
    Note.objects.create(folder=folder, fallback=folder)
    Label.objects.create(folder=folder, tag=tag)
    Cafe.objects.create(name="a")


@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore:Calling select_related")  # deprecated in Django 6.1, and still there
@pytest.mark.parametrize("name", QUERIES)
def test_the_answer_holds_every_table_of_the_sql(name):
    """Every table that evaluating the queryset names is in the answer, and the answer costs no statement."""
    rows()
    queryset = QUERIES[name]()
    with CaptureQueriesContext(connection) as nothing:
        found = tables_read(queryset)
    assert not nothing.captured_queries
    with CaptureQueriesContext(connection) as captured:
        list(queryset)
    seen = set().union(*(named(query["sql"]) for query in captured.captured_queries), {queryset.model._meta.db_table})
    assert found is not None
    assert found >= seen
    # And hardly more than that: what prefetches would read if there were rows, and the parents of children.
    assert not found - seen or name.startswith(("prefetch", "a child", "distinct"))
    with CaptureQueriesContext(connection):
        assert tables_read(queryset) == found


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Question.objects.all(), {QUESTIONS}),
        (lambda: Choice.objects.select_related("question__owner"), {CHOICES, QUESTIONS, USERS}),
        (lambda: Folder.objects.prefetch_related("tags"), {FOLDERS, TAGS, MIDDLE}),
        (lambda: Note.objects.filter(folder=3), {NOTES}),
        (lambda: Note.objects.filter(folder__tags__name="a"), {NOTES, FOLDERS, TAGS, MIDDLE}),
        (lambda: Cafe.objects.all(), {"testapp_cafe", "testapp_place"}),
    ],
)
def test_the_answer_is_exact(make, expected):
    """The tables, and no others."""
    assert tables_read(make()) == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: Note.objects.raw("SELECT * FROM testapp_note"),
        lambda: Note.objects.extra(where=["1 = 1"]),
        lambda: Note.objects.extra(select={"a": "1"}),
        lambda: Note.objects.annotate(a=RawSQL("SELECT 1", ())),
        lambda: Note.objects.filter(folder__in=Folder.objects.extra(where=["1 = 1"])),
        lambda: Question.objects.prefetch_related("something_of_ones_own"),
        lambda: Tag.objects.filter(pk__in=[RawSQL("SELECT 1", ())]),
    ],
)
def test_sql_written_by_hand_is_not_known(make):
    """Where SQL was written by hand, or a prefetch is nobody's, the answer is that it is not known."""
    assert tables_read(make()) is None


# Steps that make of a queryset of notes another; each may come several times, in any order.
STEPS = {
    "plain condition": lambda notes: notes.filter(size=1, text__in=["a", "b"]),
    "join": lambda notes: notes.filter(folder__name="a"),
    "longer join": lambda notes: notes.exclude(folder__tags__name="a"),
    "subquery": lambda notes: notes.filter(fallback__in=Folder.objects.filter(labels__note="a")),
    "exists": lambda notes: notes.filter(~Exists(Choice.objects.filter(votes=OuterRef("size")))),
    "annotation": lambda notes: notes.annotate(most=Subquery(Tag.objects.values("weight")[:1])),
    "annotated path": lambda notes: notes.annotate(up=F("folder__parent__name")),
    "select_related": lambda notes: notes.select_related("folder__parent"),
    "ordering": lambda notes: notes.order_by("fallback__name", "-size"),
    "ordering by an expression": lambda notes: notes.order_by(F("folder__labels__tag__name").asc()),
    "slice of itself": lambda notes: Note.objects.filter(pk__in=notes.order_by().values("pk")),
    "only": lambda notes: notes.only("text", "folder"),
}
SHAPED = (queries._of_shape, queries._along, queries._selected, queries._own_tables, queries._prefetch_path)


def forget():
    for each in SHAPED:
        each.cache_clear()


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=6))
def test_what_is_remembered_of_one_query_never_answers_for_another(names):
    """Queries in whatever order, alike in part: the answer is what it is to a memory that is empty."""
    notes = Note.objects.all()
    for name in names:
        notes = STEPS[name](notes)
        warm = tables_read(notes)
        forget()
        cold = tables_read(notes)
        assert warm == cold
        assert cold >= named(str(notes.query))


def test_a_shape_is_worked_out_once_and_memory_is_bounded():
    """Conditions with other values are no other shape; what is remembered has a limit."""
    forget()
    for size in range(50):
        tables_read(Note.objects.filter(size=size, folder__name=str(size)).order_by("fallback__name"))
    assert queries._of_shape.cache_info().misses == 1
    assert all(each.cache_info().maxsize == queries.REMEMBERED for each in SHAPED)
