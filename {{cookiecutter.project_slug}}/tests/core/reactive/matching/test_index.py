"""Which observers a commit concerns: cases one by one, what it costs, and who is forgotten."""

import uuid
from dataclasses import replace

import pytest
from django.db import connection
from django.db.models import Count, Prefetch
from django.test.utils import CaptureQueriesContext

from core.changes import Change
from core.reactive.matching import ANYTHING, Index, profile_of, shown_keys
from core.reactive.matching.profile import Use
from core.reactive.matching.rows import fetch_rows
from polls.models import Choice, Question
from tests.testapp.models import Cafe, Folder, Kiosk, Note, Place, Seat, Shelf, Slot, Tag, Ticket


def change(model, kind, pks=None, fields=None, using="default"):
    options = model._meta
    return Change(
        options.label_lower,
        options.db_table,
        kind,
        None if pks is None else tuple(pks),
        None if fields is None else frozenset(fields),
        using,
    )


class Rows:
    """Stands in for the database, and remembers what it was asked."""

    def __init__(self, **by_model):
        self.by_model = by_model
        self.asked = []

    def __call__(self, model, pks, columns, using):
        self.asked.append((model, sorted(pks), list(columns), using))
        rows = self.by_model[model.split(".")[1]]
        return {pk: {name: rows[pk].get(name) for name in columns} for pk in pks if pk in rows}


def is_concerned(queryset, keys, changes, nested=None, tables=frozenset(), rows=None, **options):
    """Whether one observer is, in the eyes of an index with another that never is."""
    index = Index()
    index.put("it", profile_of(queryset, tables=tables, **options), keys, nested)
    index.put("bystander", profile_of(Seat.objects.filter(row=3), tables=frozenset()), [])
    found = index.concerned(changes if isinstance(changes, list) else [changes], Rows(**(rows or {})))
    assert found.keys() <= {"it"}
    return "it" in found


SMALL = {"note": {5: {"size": 3, "folder": 1}, 6: {"size": 4, "folder": 1}}}
NOTES = Note.objects.filter(size=3)
LINKED = {"folder_tags": {9: {"folder": 1}}}


@pytest.mark.parametrize(
    ("queryset", "keys", "told", "expected"),
    [
        # Rows that are listed.
        (NOTES, [5], change(Note, "updated", [5], ["text"]), True),
        (NOTES, [5], change(Note, "updated", [5]), True),
        (NOTES, [6], change(Note, "updated", [6], ["size"]), True),
        (NOTES, [5], change(Note, "deleted", [5]), True),
        (NOTES, ["5"], change(Note, "deleted", [5]), True),
        (NOTES, [5], change(Note, "deleted", [6]), False),
        # Rows that may be listed now.
        (NOTES, [], change(Note, "created", [5]), True),
        (NOTES, [], change(Note, "created", [6]), False),
        (NOTES, [], change(Note, "created", [7]), False),  # gone again
        (NOTES, [], change(Note, "updated", [5], ["size"]), True),
        (NOTES, [], change(Note, "updated", [5]), True),
        (NOTES, [], change(Note, "updated", [6]), False),
        (NOTES, [], change(Note, "updated", [5], ["text"]), False),  # whatever kept it out before, keeps it out
        (NOTES, [], change(Note, "updated", [5], ["no such field"]), True),
        (NOTES, [], change(Note, "updated", [5], []), True),
        (NOTES.filter(folder_id=1), [], change(Note, "updated", [5], ["folder_id"]), True),  # by record_change()
        # Rows that nobody knows.
        (NOTES, [], change(Note, "created"), True),
        (NOTES, [5], change(Note, "updated"), True),
        (NOTES, [], change(Note, "deleted"), True),
        (NOTES.none(), [], change(Note, "created"), False),
        (NOTES, [], change(Place, "created"), False),
        # Windows.
        (NOTES.order_by("pk")[:3], [1], change(Note, "created", [5]), True),
        (NOTES.order_by("pk")[:3], [1], change(Note, "created", [6]), False),
        (NOTES.order_by("pk")[:3], [1], change(Note, "deleted", [6]), False),  # it came after them
        (NOTES.order_by("pk")[3:6], [1], change(Note, "deleted", [6]), True),  # it may have come before
        (NOTES.order_by("pk")[3:6], [1], change(Note, "updated", [6], ["size"]), True),
        (NOTES.order_by("pk")[3:6], [1], change(Note, "updated", [6], ["text"]), False),
        (NOTES.order_by("text", "pk")[:3], [1], change(Note, "updated", [5], ["text"]), True),
        (NOTES.order_by("text", "pk")[:3], [1], change(Note, "updated", [6], ["text"]), False),
        (NOTES.order_by("text", "pk"), [1], change(Note, "updated", [5], ["text"]), False),
        (NOTES.order_by("pk")[0:0], [], change(Note, "created", [5]), True),
        # Rows that are not known by their keys.
        (NOTES, None, change(Note, "deleted", [6]), True),
        (NOTES, ["a"], change(Note, "deleted", [6]), True),
        (NOTES.values("text"), [5], change(Note, "deleted", [6]), True),
        (NOTES.values("pk", "size").order_by("pk"), [5], change(Note, "updated", [5], ["text"]), False),
        (NOTES.values("pk", "size").order_by("text", "pk"), [5], change(Note, "updated", [5], ["text"]), True),
        (NOTES.values("pk", "size"), [5], change(Note, "updated", [5], ["size"]), True),
        # Joins along foreign keys.
        (NOTES.filter(folder__name="a"), [5], change(Folder, "updated", [1], ["name"]), True),
        (NOTES.filter(folder__name="a"), [5], change(Folder, "updated", [1], ["parent"]), False),
        (NOTES.filter(folder__name="a"), [5], change(Folder, "created", [1]), False),
        (NOTES.filter(folder__name="a"), [5], change(Folder, "deleted"), False),  # its notes are told of
        (NOTES.filter(folder__name="a"), [], change(Note, "updated", [5], ["folder"]), True),
        (NOTES.filter(folder__name="a"), [], change(Note, "updated", [6], ["folder"]), False),
        (NOTES.filter(folder=1, folder__name="a"), [5], change(Folder, "updated", [2]), False),
        (NOTES.filter(folder=1, folder__name="a"), [5], change(Folder, "updated", [1]), True),
        (NOTES.filter(folder=1, folder__name="a"), [5], change(Folder, "updated"), True),
        (NOTES.filter(folder__in=[1, 3]).order_by("folder__name"), [5], change(Folder, "updated", [2]), False),
        (NOTES.filter(folder__in=[1, 3]).order_by("folder__name"), [5], change(Folder, "updated", [3]), True),
        (NOTES.filter(folder=1).select_related("folder"), [5], change(Folder, "updated", [2]), False),
        (NOTES.select_related("folder"), [5], change(Folder, "updated", [2]), True),  # who knows whose it is
        # Other joins.
        (Folder.objects.filter(notes__size=3), [1], change(Note, "created", [7]), True),
        (Folder.objects.filter(notes__size=3), [1], change(Note, "updated", [7], ["text"]), False),
        (Folder.objects.filter(notes__size=3), [1], change(Note, "updated", [7], ["folder"]), True),
        (Folder.objects.annotate(n=Count("notes")), [1], change(Note, "deleted", [7]), True),
        (Folder.objects.annotate(n=Count("notes")), [1], change(Note, "updated", [7], ["size"]), False),
        (Folder.objects.filter(tags__name="a"), [], change(Folder, "updated", [1], ["tags"]), True),
        (Folder.objects.filter(tags__name="a"), [], change(Folder.tags.through, "deleted", [1]), True),
        (Folder.objects.filter(name="a"), [1], change(Folder, "updated", [1], ["tags"]), False),
        (Folder.objects.filter(name="a"), [1], change(Folder, "updated", [1], ["tags", "parent"]), True),
    ],
)
def test_a_change_concerns_whoever_may_show_something_else_now(queryset, keys, told, expected):
    """Among the notes that there are, 5 has the size that is asked for and 6 has not."""
    rows = SMALL | {"folder": {1: {}}}
    assert is_concerned(queryset, keys, told, rows=rows) is expected


FOLDERS = Folder.objects.prefetch_related("notes")


@pytest.mark.parametrize(
    ("told", "blind", "knowing"),
    [
        (change(Note, "created", [5]), True, True),
        (change(Note, "created", [8]), False, False),  # under another folder
        (change(Note, "updated", [5], ["size"]), True, True),
        (change(Note, "updated", [8], ["size"]), False, False),
        (change(Note, "updated", [8], ["folder"]), True, False),  # it may have been under ours
        (change(Note, "updated", [8]), True, False),
        (change(Note, "updated", [9], ["folder"]), True, True),  # it was
        (change(Note, "deleted", [8]), True, False),
        (change(Note, "deleted", [9]), True, True),
        (change(Note, "updated"), True, True),
        (change(Note, "created"), True, True),
        (change(Folder, "updated", [2]), True, True),
        (change(Folder, "deleted", [3]), False, False),
    ],
)
def test_rows_shown_under_others_concern_whoever_shows_those(told, blind, knowing):
    """By the row that they lead to now; and by themselves, if it is known which are shown."""
    rows = {"note": {5: {"folder": 1}, 8: {"folder": 3}, 9: {"folder": None}}, "folder": {}}
    nested = {"testapp_folder": [1, 2], "testapp_note": [5, 9]}
    listed = Folder.objects.filter(pk__in=[1, 2]).prefetch_related("notes")
    assert is_concerned(listed, [1, 2], told, rows=rows) is blind
    assert is_concerned(listed, [1, 2], told, nested, rows=rows) is knowing
    # Where keys are not known, nothing can be told apart.
    assert is_concerned(listed, None, told, rows=rows) is (told.model == "testapp.note" or told.kind != "created")


@pytest.mark.parametrize(
    ("queryset", "told", "blind", "knowing"),
    [
        (Folder.objects.prefetch_related("tags"), change(Tag, "updated", [7]), True, True),
        (Folder.objects.prefetch_related("tags"), change(Tag, "updated", [8]), True, False),
        (Folder.objects.prefetch_related("tags"), change(Folder.tags.through, "created", [9]), True, True),
        (Folder.objects.prefetch_related("tags"), change(Folder.tags.through, "created", [10]), False, False),
        (Folder.objects.prefetch_related("tags"), change(Folder.tags.through, "deleted", [10]), True, True),
        (Folder.objects.prefetch_related("tags"), change(Folder, "updated", [1], ["tags"]), True, True),
        (Folder.objects.prefetch_related("tags"), change(Folder, "updated", [4], ["tags"]), False, False),
        (Folder.objects.prefetch_related("tags"), change(Folder, "updated", None, ["tags"]), True, True),
        (Shelf.objects.prefetch_related("tags"), change(Slot, "created"), True, True),
        (Note.objects.prefetch_related("folder"), change(Folder, "updated", [1]), True, True),
        (Note.objects.prefetch_related("folder"), change(Folder, "updated", [4]), True, False),
        (Note.objects.select_related("folder"), change(Folder, "updated", [4]), True, False),
        (Folder.objects.prefetch_related("children__notes"), change(Note, "updated", [5], ["size"]), True, True),
        (Folder.objects.prefetch_related("children__notes"), change(Note, "updated", [6], ["size"]), True, False),
        (
            Folder.objects.prefetch_related(Prefetch("notes", Note.objects.filter(folder__name="a"))),
            change(Note, "created", [6]),
            True,
            True,
        ),
    ],
)
def test_what_is_shown_with_a_row_concerns_it(queryset, told, blind, knowing):
    """Linked, joined, or deeper down; whether it is known what is shown or not."""
    rows = {
        "folder_tags": {9: {"folder": 1}, 10: {"folder": 4}},
        "note": {5: {"folder": 2}, 6: {"folder": 4}},
        "tag": {7: {}, 8: {}},
        "folder": {1: {}, 4: {}},
    }
    nested = {"testapp_folder": [1, 2], "testapp_tag": [7], "testapp_note": [5]}
    assert is_concerned(queryset, [1], told, rows=rows) is blind
    assert is_concerned(queryset, [1], told, nested, rows=rows) is knowing


@pytest.mark.parametrize(
    ("queryset", "keys", "told", "expected"),
    [
        (Cafe.objects.filter(rank=3), [7], change(Place, "updated", [7]), True),
        (Cafe.objects.filter(rank=3), [], change(Place, "updated", [8], ["rank"]), True),
        (Cafe.objects.filter(rank=3), [], change(Place, "updated", [8], ["name"]), False),
        (Cafe.objects.filter(rank=3), [], change(Place, "created", [1]), False),  # no cafe
        (Cafe.objects.filter(rank=3), [], change(Cafe, "created", [8]), True),
        (Place.objects.filter(rank=3), [], change(Cafe, "created", [8]), False),
        (Kiosk.objects.all(), [7], change(Place, "deleted", [7]), True),
        (Kiosk.objects.all(), [7], change(Place, "deleted", [8]), False),
    ],
)
def test_rows_in_several_tables_are_one_row(queryset, keys, told, expected):
    """With multi-table inheritance a change in either table is one of the row."""
    cafes = {8: {"rank": 3}}
    assert is_concerned(queryset, keys, told, rows={"cafe": cafes, "kiosk": {}, "place": cafes}) is expected


def test_keys_compare_in_the_type_of_their_field():
    """Whatever JSON has made of them."""
    key = uuid.uuid4()
    tickets, seats = Ticket.objects.filter(title="a"), Seat.objects.filter(guest="")
    assert is_concerned(tickets, [str(key)], change(Ticket, "deleted", [key]))
    assert not is_concerned(tickets, [str(key)], change(Ticket, "deleted", [uuid.uuid4()]))
    assert is_concerned(seats, [[1, 2]], change(Seat, "deleted", [(1, 2)]))
    assert not is_concerned(seats, [[1, 2]], change(Seat, "deleted", [(2, 1)]))


def test_what_the_view_reads_besides_concerns_it_in_any_way():
    """Even where the queryset alone would not."""
    told = change(Note, "updated", [6], ["text"])
    assert not is_concerned(NOTES, [5], told, rows=SMALL)
    assert is_concerned(NOTES, [5], told, rows=SMALL, tables=frozenset({"testapp_note"}))
    assert is_concerned(NOTES, [5], change(Tag, "created", [1]), tables=frozenset({"testapp_tag"}))


def test_another_database_is_another_world():
    """The same table in another database concerns nobody."""
    assert not is_concerned(NOTES, [5], change(Note, "deleted", [5], using="other"), rows=SMALL)


def test_a_reason_is_a_sentence_that_names_the_row():
    """As it is shown to whoever wants to know why a query ran."""
    index = Index()
    index.put("listed", profile_of(NOTES, tables=frozenset()), [5])
    index.put("entered", profile_of(Note.objects.filter(folder=1), tables=frozenset()), [])
    index.put("before", profile_of(Note.objects.filter(size=9).order_by("pk")[4:], tables=frozenset()), [])
    index.put("blind", ANYTHING, [])
    rows = Rows(**SMALL)
    assert index.concerned([change(Note, "updated", [5])], rows) == {
        "blind": "testapp.note was updated, and it is not known what the list depends on",
        "listed": "row 5 of testapp.note was updated and is in the list",
        "before": "a row of testapp.note was updated, perhaps one that comes before those in the list",
        "entered": "row 5 of testapp.note was updated and may be in the list",
    }
    assert index.concerned([change(Note, "deleted")], rows)["entered"] == (
        "rows of testapp.note were deleted, not known which"
    )


def test_rows_are_fetched_once_per_commit_and_model():
    """However many observers there are, and changes of the same rows."""
    index = Index()
    for number in range(50):
        index.put(f"size {number}", profile_of(Note.objects.filter(size=number), tables=frozenset()), [])
        index.put(f"folder {number}", profile_of(Note.objects.filter(folder=number), tables=frozenset()), [])
        index.put(f"notes {number}", profile_of(Folder.objects.prefetch_related("notes"), tables=frozenset()), [number])
    rows = Rows(**SMALL)
    changes = [change(Note, "created", [6]), change(Note, "updated", [5], ["size", "folder"])]
    assert index.concerned(changes, rows).keys() >= {"size 3", "size 4", "folder 1", "notes 1"}
    assert rows.asked == [("testapp.note", [5, 6], ["folder", "size"], "default")]


def test_no_row_is_fetched_that_decides_nothing():
    """Deleted ones, those that nobody asks about, and writes of columns that no condition tests."""
    index = Index()
    index.put("it", profile_of(NOTES, tables=frozenset()), [5])
    rows = Rows(**SMALL)
    index.concerned(
        [change(Note, "deleted", [5]), change(Tag, "created", [5]), change(Note, "updated", [5], ["text"])], rows
    )
    assert rows.asked == []


@pytest.mark.django_db
def test_the_cost_of_a_commit_follows_the_observers_that_it_concerns(django_assert_num_queries):
    """Of 10,000 lists of the choices of different questions, a vote touches one: one condition, one query."""
    question = Question.objects.create(question_text="a")
    choice = Choice.objects.create(question=question, choice_text="a")
    one = profile_of(Choice.objects.filter(question=question.pk, question__published=True), tables=frozenset())
    condition = one.rows.condition
    index = Index()
    for number in range(10_000):
        asked = replace(
            condition,
            parts=tuple(replace(part, value=number) if hasattr(part, "value") else part for part in condition.parts),
        )
        uses = tuple(replace(use, pins=frozenset({number})) for use in one.uses)
        index.put(number, replace(one, uses=uses, rows=replace(one.rows, condition=asked)), [])
    assert len(index) == 10_000
    with django_assert_num_queries(1):
        assert list(index.concerned([change(Choice, "created", [choice.pk])])) == [question.pk]
    assert index.evaluations == 1
    with django_assert_num_queries(0):
        assert list(index.concerned([change(Question, "updated", [17], ["published"])])) == [17]
        assert list(index.concerned([change(Question, "updated", [17], ["question_text"])])) == []
    assert index.evaluations == 1


@pytest.mark.parametrize(
    ("bound", "value", "expected"),
    [("gt", 500, 500), ("gte", 500, 501), ("lt", 500, 499), ("lte", 500, 500), ("lte", None, 0)],
)
def test_comparisons_are_found_by_their_bounds(bound, value, expected):
    """Only the conditions that hold are evaluated, but for those right at the bound."""
    index = Index()
    for number in range(1000):
        index.put(number, profile_of(Note.objects.filter(**{f"size__{bound}": number}), tables=frozenset()), [])
    found = index.concerned([change(Note, "created", [1])], Rows(note={1: {"size": value}}))
    assert len(found) == expected
    assert index.evaluations <= expected + 1


@pytest.mark.parametrize("gone", [{"size": 3}, {"size__gte": 3}, {"size__lte": 3}])
def test_a_field_that_nobody_compares_any_more_is_not_looked_for(gone):
    """It is not fetched either."""
    index = Index()
    index.put("gone", profile_of(Note.objects.filter(**gone), tables=frozenset()), [])
    index.put("here", profile_of(Note.objects.filter(folder=1), tables=frozenset()), [])
    index.discard("gone")
    assert set(index.concerned([change(Note, "created", [7])], Rows(note={7: {"folder": 1}}))) == {"here"}


def test_who_is_discarded_leaves_nothing_behind():
    """No observer, no key, no condition; and to put one again is to forget what it was."""
    queries = [
        (Note.objects.filter(size=3, folder__name="a").order_by("text", "pk")[3:6], [1, 2], {"testapp_note": [1]}),
        (Note.objects.filter(size__gt=3), [5], None),
        (Note.objects.filter(size__lt=3, folder__in=[4, 5]).select_related("folder"), [5], None),
        (Note.objects.filter(text="a"), None, None),
        (Folder.objects.prefetch_related("children__notes", "tags"), [1], None),
        (Folder.objects.prefetch_related("children__notes", "tags"), [1], {"testapp_folder": [1], "testapp_tag": [3]}),
        (Choice.objects.filter(question__in=[1, 2], question__published=True), [1], None),
        (Note.objects.raw("SELECT 1"), [], None),
    ]
    index = Index()
    for _ in range(2):
        for number, (queryset, keys, nested) in enumerate(queries):
            index.put(number, profile_of(queryset, tables=frozenset({"auth_user"})), keys, nested)
    assert len(index) == len(queries)
    assert 3 in index
    everything = [
        change(model, kind)
        for model in (Note, Folder, Tag, Question, Choice)
        for kind in ("created", "updated", "deleted")
    ]
    assert set(index.concerned(everything)) == set(range(len(queries)))
    for number in range(len(queries)):
        index.discard(number)
        index.discard(number)
    assert len(index) == 0
    assert index.concerned(everything) == {}
    for listed in index._listed.values():
        left = (listed.members, listed.offsets, listed.unkeyed, listed._rest, listed._relevant, listed.columns)
        assert not any(left)
        assert not any(map(len, listed._floors.values()))
        assert not any(map(len, listed._ceilings.values()))
        assert not any(map(len, listed._values.values()))
    for table in index._tables.values():
        assert not any((table.shown, table.children, table._any, table._joined, table._showing))
        assert not any(map(len, table._pinned.values()))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda profile: replace(profile, rows=replace(profile.rows, model="testapp.gone")),
        lambda profile: replace(profile, rows=replace(profile.rows, tables=("testapp_gone",))),
        lambda profile: replace(
            profile, rows=replace(profile.rows, condition=replace(profile.rows.condition, field="gone"))
        ),
        lambda profile: replace(profile, uses=(Use("a", "child", model="testapp.note", via="gone", parent="b"),)),
    ],
)
def test_a_profile_of_other_models_is_one_of_anything(spoil):
    """Two migrations apart, a worker evaluates rather than errs."""
    index = Index()
    index.put("it", spoil(profile_of(NOTES, tables=frozenset())), [5])
    assert index.concerned([change(Tag, "created", [1])], Rows()).keys() == {"it"}


@pytest.mark.django_db
def test_rows_come_in_blocks_of_the_parameters_of_the_database(monkeypatch):
    """As they are in the database, past managers, with foreign keys as keys; those that are gone are left out."""
    folder = Folder.objects.create(name="a")
    notes = Note.objects.bulk_create([Note(size=each, folder=folder) for each in range(5)])
    monkeypatch.setattr(type(connection.features), "max_query_params", 2)
    with CaptureQueriesContext(connection) as captured:
        found = fetch_rows("testapp.note", [*(note.pk for note in notes), 10**6], ["size", "folder"], "default")
    assert len(captured) == 3
    assert found == {note.pk: {"size": note.size, "folder": folder.pk} for note in notes}
    seat = Seat.objects.create(row=1, number=2)
    assert fetch_rows("testapp.seat", [(1, 2), (2, 1)], ["row"], "default") == {seat.pk: {"row": 1}}


@pytest.mark.django_db
def test_the_keys_of_all_that_is_shown_are_collected_without_a_query(django_assert_num_queries):
    """Joined, prefetched, prefetched into a list, in circles, and in the tables of parents."""
    parent = Folder.objects.create(name="parent")
    folder = Folder.objects.create(name="a", parent=parent)
    tag = Tag.objects.create(name="t")
    folder.tags.add(tag)
    note = Note.objects.create(folder=folder, fallback=parent)
    rows = Folder.objects.filter(pk=folder.pk).select_related("parent")
    shown = list(
        rows.prefetch_related("tags", Prefetch("notes", Note.objects.select_related("fallback"), to_attr="some"))
    )
    with django_assert_num_queries(0):
        found = shown_keys(shown)
    assert {table: sorted(keys) for table, keys in found.items()} == {
        "testapp_folder": [parent.pk, folder.pk],
        "testapp_tag": [tag.pk],
        "testapp_note": [note.pk],
    }
    cafe = Cafe.objects.create(name="c")
    assert shown_keys(Cafe.objects.all()) == {"testapp_cafe": [cafe.pk], "testapp_place": [cafe.pk]}
