"""What a profile says of a queryset, made without asking the database."""

import json

import pytest
from django.db.models import Count, Exists, F, FilteredRelation, OuterRef, Prefetch, Q, Subquery, Window
from django.db.models.expressions import RawSQL
from django.db.models.functions import Lower, Now, RowNumber

from core.reactive.matching import ANYTHING, Profile, profile_of
from core.reactive.matching.conditions import FALSE, TRUE, UNKNOWN, All, Comparison, Not, Some
from core.reactive.matching.profile import ANY, CHILD, JOINED, MIDDLE, SHOWN, Use
from polls.models import Choice, Question
from tests.bulk_app.models import Person
from tests.nesting_app.models import Passport, Region, Stamp, Task
from tests.testapp.models import Cafe, Folder, Kiosk, Label, Note, Place, Seat, Shelf, Tag, Ticket

NOTES, FOLDERS, TAGS, CHOICES, QUESTIONS = (
    "testapp_note",
    "testapp_folder",
    "testapp_tag",
    "polls_choice",
    "polls_question",
)


def read(queryset, **options):
    return profile_of(queryset, tables=frozenset(), **options)


def test_a_profile_of_what_is_not_known_is_anything():
    """Unknown tables, SQL written by hand."""
    assert profile_of(Note.objects.all()) is ANYTHING
    for queryset in (
        Note.objects.raw("SELECT * FROM testapp_note"),
        Note.objects.extra(where=["size > 3"]),
        Note.objects.annotate(n=RawSQL("1", ())),
        Note.objects.filter(size__in=[RawSQL("1", ())]),
        Note.objects.filter(size__in=[Subquery(Note.objects.extra(where=["size > 3"]).values("size")[:1])]),
        Folder.objects.prefetch_related(Prefetch("notes", Note.objects.extra(where=["size > 3"]))),
    ):
        assert read(queryset) is ANYTHING
    assert ANYTHING.tables is None


SIZE_3 = Comparison("size", "exact", 3)


@pytest.mark.parametrize(
    ("queryset", "expected"),
    [
        (lambda: Note.objects.all(), TRUE),
        (lambda: Note.objects.none(), FALSE),
        (lambda: Note.objects.filter(size=3), SIZE_3),
        (lambda: Note.objects.filter(size="3"), SIZE_3),
        (lambda: Note.objects.filter(size__gte=2.5), Comparison("size", "gte", 3)),
        (lambda: Note.objects.filter(size=None), Comparison("size", "isnull", True)),
        (lambda: Note.objects.filter(size__in=[1, None]), Comparison("size", "in", (1,))),
        (lambda: Note.objects.filter(folder=4), Comparison("folder", "exact", 4)),
        (lambda: Note.objects.filter(folder=Folder(pk=4)), Comparison("folder", "exact", 4)),
        (lambda: Note.objects.filter(folder__id=4), Comparison("folder", "exact", 4)),
        (lambda: Note.objects.filter(folder__isnull=True), Comparison("folder", "isnull", True)),
        (lambda: Note.objects.filter(pk__lt=4), Comparison("id", "lt", 4)),
        (
            lambda: Note.objects.filter(size__range=(1, 2)),
            All((Comparison("size", "gte", 1), Comparison("size", "lte", 2))),
        ),
        (lambda: Note.objects.filter(~Q(pk=3) | Q(size=3)), Some((Not(Comparison("id", "exact", 3)), SIZE_3))),
        (lambda: Note.objects.filter(Q(pk=3) ^ Q(size=3)), UNKNOWN),
        (lambda: Note.objects.filter(text="a", size=3), All((SIZE_3, UNKNOWN))),
        (lambda: Note.objects.filter(size=F("id")), UNKNOWN),
        (lambda: Note.objects.filter(size__in=[F("id"), 3]), UNKNOWN),
        (lambda: Note.objects.filter(folder__in=Folder.objects.all()), UNKNOWN),
        (lambda: Note.objects.filter(size=10**30), UNKNOWN),  # a column cannot hold it: Django asks for nothing
        (lambda: Note.objects.filter(folder__name="a"), UNKNOWN),
        (lambda: Question.objects.filter(published=True), Comparison("published", "exact", True)),
        (lambda: Question.objects.filter(published__gt=False), UNKNOWN),
        (lambda: Question.objects.filter(created_at__year=2026), UNKNOWN),
        (lambda: Question.objects.filter(created_at__lte=Now()), UNKNOWN),
        (lambda: Cafe.objects.filter(rank=3), Comparison("rank", "exact", 3)),
        (lambda: Kiosk.objects.filter(pk=3), Comparison("place_ptr", "exact", 3)),
        (lambda: Place.objects.filter(cafe__rank=3), UNKNOWN),
        (lambda: Passport.objects.filter(region="CH"), UNKNOWN),  # a text
        (lambda: Stamp.objects.filter(country_code="CH", price=1), All((UNKNOWN, Comparison("price", "exact", 1)))),
        (lambda: Ticket.objects.filter(pk__gt="0" * 32), UNKNOWN),
        (lambda: Seat.objects.filter(row=3), Comparison("row", "exact", 3)),
        (lambda: Folder.objects.annotate(n=Count("notes")).filter(n=3), UNKNOWN),
    ],
)
def test_a_profile_holds_the_conditions_that_can_be_decided(queryset, expected, django_assert_num_queries):
    """Of columns of the row with constants of kinds that compare alike everywhere; the rest is unknown."""
    assert read(queryset()).rows.condition == expected


def test_a_page_of_no_rows_is_not_a_query_without_rows():
    """Django slices an empty list as one that stays empty; rows may come."""
    assert read(Note.objects.filter(size=3)[0:0]).rows.condition == SIZE_3
    assert read(Note.objects.none()[0:5]).rows.condition == FALSE


@pytest.mark.parametrize(
    ("queryset", "expected"),
    [
        (
            lambda: Note.objects.filter(folder__name="a"),
            {Use(FOLDERS, JOINED, frozenset({"id", "name"}), guarded=True)},
        ),
        (
            lambda: Choice.objects.filter(question=17, question__published=True),
            {Use(QUESTIONS, JOINED, frozenset({"id", "published"}), frozenset({17}), guarded=True)},
        ),
        (
            lambda: Choice.objects.filter(question=17).order_by("question__question_text"),
            {Use(QUESTIONS, JOINED, frozenset({"question_text"}), frozenset({17}), guarded=True)},
        ),
        (
            lambda: Choice.objects.filter(question=17).select_related("question"),
            {Use(QUESTIONS, SHOWN, None, frozenset({17}), guarded=True)},
        ),
        (
            lambda: Folder.objects.annotate(n=Count("notes")),
            {Use(NOTES, ANY, frozenset({"id", "folder"}))},
        ),
        (lambda: Note.objects.filter(Exists(Label.objects.filter(folder=OuterRef("folder")))), {Use("testapp_label")}),
        (lambda: Note.objects.filter(size__in=[Subquery(Label.objects.values("pk")[:1])]), {Use("testapp_label")}),
        (
            lambda: Folder.objects.prefetch_related("notes"),
            {Use(NOTES, CHILD, model="testapp.note", via="folder", parent=FOLDERS)},
        ),
        (
            lambda: Folder.objects.prefetch_related("tags"),
            {
                Use("testapp_folder_tags", MIDDLE, model="testapp.folder_tags", via="folder", parent=FOLDERS),
                Use(TAGS, SHOWN),
            },
        ),
        (
            lambda: Folder.objects.prefetch_related(Prefetch("notes", Note.objects.all()[:3])),
            {Use(NOTES), Use(FOLDERS)},
        ),
        (
            lambda: Folder.objects.prefetch_related("children__notes"),
            {
                Use(FOLDERS, CHILD, model="testapp.folder", via="parent", parent=FOLDERS),
                Use(NOTES, CHILD, model="testapp.note", via="folder", parent=FOLDERS, deep=True),
            },
        ),
        (lambda: Note.objects.prefetch_related("folder"), {Use(FOLDERS, SHOWN, guarded=True)}),
        (lambda: Region.objects.prefetch_related("passports"), {Use("nesting_passport"), Use("nesting_region")}),
        (lambda: Task.objects.prefetch_related("comments"), {Use("nesting_task"), Use("nesting_comment")}),
        (lambda: Task.objects.filter(comments__text="a"), {Use("nesting_comment")}),
        (lambda: Note.objects.filter(size=3), set()),
    ],
)
def test_a_profile_says_in_which_way_other_tables_are_used(queryset, expected):
    """Joined, shown, shown under a row, or in any way; by which fields and of which rows."""
    assert set(read(queryset()).uses) == expected


@pytest.mark.parametrize(
    "queryset",
    [
        lambda: Note.objects.values("folder").annotate(n=Count("pk")),
        lambda: Tag.objects.order_by().union(Tag.objects.order_by()),
        lambda: Note.objects.distinct("size"),
        lambda: Note.objects.annotate(place=Window(RowNumber())),
        lambda: Note.objects.order_by("?"),
        lambda: Note.objects.order_by(Lower("text")),
        lambda: Place.objects.select_related("cafe"),
        lambda: Question.objects.annotate(many=FilteredRelation("choices", condition=Q(choices__votes__gt=2))).filter(
            many__choice_text="a"
        ),
    ],
)
def test_rows_that_cannot_be_told_apart_leave_the_tables(queryset):
    """Every change of these tables concerns the query then."""
    profile = read(queryset())
    assert profile.rows is None
    assert all(use == Use(use.table) for use in profile.uses)
    assert queryset().model._meta.db_table in profile.tables


def test_a_profile_names_the_fields_that_decide():
    """Who is listed, in which place, and what is shown."""
    rows = read(Note.objects.filter(size=3, folder__name="a").order_by("text", "pk")[2:5]).rows
    assert rows.condition_fields == {"size", "folder"}
    assert rows.order_fields == {"text"}
    assert (rows.read_fields, rows.windowed, rows.offset, rows.keyed) == (None, True, True, True)
    assert read(Note.objects.order_by("text")).rows.order_fields is None  # of equals the database chooses one
    assert read(Question.objects.filter(created_at__lte=Now(), published=True)).rows.condition_fields is None
    assert read(Note.objects.values("pk", "size", "folder_id").order_by("pk")).rows.read_fields == {
        "id",
        "size",
        "folder",
    }
    assert read(Person.objects.order_by("email")[:5]).rows.order_fields == {"email"}  # unique


@pytest.mark.parametrize(
    ("queryset", "options", "expected"),
    [
        (lambda: Note.objects.all(), {}, True),
        (lambda: Note.objects.all(), {"primary_key": "id"}, True),
        (lambda: Kiosk.objects.all(), {"primary_key": "place_ptr_id"}, True),
        (lambda: Note.objects.all(), {"primary_key": "text"}, False),
        (lambda: Note.objects.values("size"), {}, False),
        (lambda: Note.objects.values("id"), {"primary_key": "id"}, True),
        (lambda: Note.objects.values(), {}, True),
        (
            lambda: Question.objects.dates("created_at", "year"),
            {},
            False,
        ),
    ],
)
def test_a_profile_knows_whether_rows_are_known_by_their_keys(queryset, options, expected):
    """Otherwise what is updated or deleted may always be one of them."""
    assert read(queryset(), **options).rows.keyed is expected


def test_a_view_that_pages_by_itself_says_where_it_begins():
    """The rows before its page matter, too."""
    first, later = read(Note.objects.all(), offset=0).rows, read(Note.objects.all(), offset=3).rows
    assert (first.windowed, first.offset, later.windowed, later.offset) == (True, False, True, True)


def test_what_else_a_view_reads_counts_whatever_the_queryset_says_of_it():
    """Even if it is the table of the rows."""
    profile = profile_of(Note.objects.filter(size=3), tables=frozenset({NOTES, "auth_user"}))
    assert set(profile.uses) == {Use(NOTES), Use("auth_user")}
    assert profile.tables == {NOTES, "auth_user"}


QUERYSETS = [
    lambda: Choice.objects.filter(question=17, question__published=True).order_by("-votes", "pk")[5:10],
    lambda: Folder.objects.prefetch_related("children__notes", "tags").select_related("parent"),
    lambda: Question.objects.filter(created_at__gte="2026-01-01T00:00Z", owner__in=[1, 2]),
    lambda: Ticket.objects.filter(pk="12345678123456781234567812345678"),
    lambda: Shelf.objects.values("pk"),
    lambda: Tag.objects.order_by().union(Tag.objects.order_by()),
]


@pytest.mark.parametrize("queryset", QUERYSETS)
def test_a_profile_survives_json(queryset):
    """As it has to, on its way to the other workers."""
    profile = read(queryset())
    assert Profile.from_data(json.loads(json.dumps(profile.as_data()))) == profile
    assert Profile.from_data(json.loads(json.dumps(ANYTHING.as_data()))) == ANYTHING


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: None,
        lambda data: [],
        lambda data: {},
        lambda data: data | {"version": 2},
        lambda data: data | {"uses": [{"table": "a", "kind": "somehow", "fields": None}]},
        lambda data: data | {"rows": {**data["rows"], "condition": ["almost", "size", 3]}},
        lambda data: data | {"rows": {"model": "polls.choice"}},
        lambda data: data | {"using": None},
        lambda data: {name: data[name] for name in data if name != "taken"},
    ],
)
def test_a_profile_of_another_version_reads_as_anything(spoil):
    """Two versions of the code may run at the same time: better once too often than never."""
    data = read(QUERYSETS[0]()).as_data()
    assert Profile.from_data(data) != ANYTHING
    assert Profile.from_data(spoil(data)) == ANYTHING
