"""What each way of writing is told as."""

import uuid

import django
import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import F, signals
from django.test import override_settings

from core.changes import TrackedManager, capture, changes_committed, record_change
from core.changes.querysets import is_tracked
from polls.models import Choice, Question
from tests import threads
from tests.testapp import models
from tests.testapp.models import (
    BigNote,
    Cafe,
    Folder,
    Kiosk,
    Label,
    Ledger,
    LedgerManager,
    Note,
    Place,
    Seat,
    Shelf,
    Tag,
    Ticket,
    Untracked,
)

pytestmark = pytest.mark.django_db(transaction=True)


def short(ear):
    """What was told, without keys."""
    return [(model.removeprefix("testapp."), kind, fields) for model, kind, _, fields in ear.told()]


def test_saving_names_the_fields_that_were_given(ear):
    """``update_fields`` are published, whether they were given as fields or as columns."""
    note = Note.objects.create(text="a")
    note.save()
    note.save(update_fields=["size", "folder_id"])
    Note.objects.only("text").get().save()
    assert short(ear) == [
        ("note", "created", None),
        ("note", "updated", {"folder", "fallback", "text", "size"}),
        ("note", "updated", {"size", "folder"}),
        ("note", "updated", {"text"}),
    ]


def test_a_child_is_a_row_in_each_of_its_tables(ear):
    """With multi-table inheritance each table is told of when it was written, and only then."""
    cafe = Cafe.objects.create(name="a")
    assert short(ear) == [("place", "created", None), ("cafe", "created", None)]
    cafe.save(update_fields=["seats"])
    cafe.save(update_fields=["name"])
    assert short(ear) == [("cafe", "updated", {"seats"}), ("place", "updated", {"name"})]
    Cafe.objects.update(name="b", seats=F("seats") + 1)
    assert sorted(short(ear)) == [("cafe", "updated", {"seats"}), ("place", "updated", {"name"})]
    Kiosk.objects.create(name="k").save()
    assert short(ear)[2:] == [("place", "updated", {"name", "rank"})]  # it has no column of its own
    cafe.delete()
    assert {each[:2] for each in short(ear)} == {("cafe", "deleted"), ("place", "deleted")}


def test_a_child_of_a_parent_that_was_there_is_not_a_new_parent(ear):
    """Each table is told of by the statement that wrote it."""
    place = Place.objects.create(name="a")
    ear.clear()
    Cafe(place_ptr=place, name="b").save()
    assert short(ear) == [("place", "updated", {"name", "rank"}), ("cafe", "created", None)]
    place = Place.objects.create(name="c")
    Cafe(place_ptr_id=place.pk, seats=2).save_base(raw=True)
    assert short(ear) == [("place", "created", None), ("cafe", "created", None)]


def test_a_base_manager_of_ones_own_is_tracked_and_does_what_it_did(ear):
    """A model that names its base manager keeps what that does, and every write through it is seen."""
    kept, hidden = Ledger.objects.create(text="kept"), Ledger.objects.create(text="hidden", hidden=True)
    assert ear.told() == [("testapp.ledger", "created", (row.pk,), None) for row in (kept, hidden)]
    assert [row.pk for row in Ledger._base_manager.all()] == [kept.pk]
    assert Ledger._base_manager.all().shout() == "KEPT"
    kept.text = "still kept"
    kept.save(update_fields=["text"])
    kept.delete()
    assert short(ear) == [("ledger", "updated", {"text"}), ("ledger", "deleted", None)]
    off = {feature: {"ENABLED": False} for feature in ("CACHING", "REACTIVE", "BINDINGS")}
    changes_committed.disconnect(dispatch_uid="ear")
    with override_settings(CORE=off):
        assert type(Ledger._base_manager) is LedgerManager


def test_a_save_is_committed_when_its_handlers_run(ear):
    """As in plain Django: who hears ``post_save`` of a save outside ``atomic`` finds it committed, and published."""
    seen = []

    def handler(**_):
        seen.append((connection.in_atomic_block, len(ear)))
        raise ZeroDivisionError

    signals.post_save.connect(handler, sender=Note)
    try:
        with pytest.raises(ZeroDivisionError):
            Note.objects.create(text="a")
    finally:
        signals.post_save.disconnect(handler, sender=Note)
    assert seen == [(False, 1)]
    assert Note.objects.exists()


def test_a_save_that_finds_no_row_is_not_told(ear):
    """An update of nothing is nothing, and what was tried before an insert is not told."""
    Note(pk=77, text="a").save()
    assert short(ear) == [("note", "created", None)]
    with pytest.raises(DatabaseError):
        Note(pk=78, text="a").save(force_update=True)
    with pytest.raises(IntegrityError):
        Note(pk=77, text="b").save(force_insert=True)
    assert not ear


def test_rows_in_the_middle_written_by_hand_are_told(ear):
    """A row of an automatic model in the middle of a many-to-many field may be saved by hand."""
    folder, tag = Folder.objects.create(name="a"), Tag.objects.create(name="t")
    ear.clear()
    row = Folder.tags.through.objects.create(folder=folder, tag=tag)
    assert ear.told() == [("testapp.folder_tags", "created", (row.pk,), None)]


def test_a_proxy_is_the_model_behind_it(ear):
    """Who writes through a proxy has written the table behind it."""
    note = BigNote.objects.create(text="a")
    BigNote.objects.filter(pk=note.pk).update(text="b")
    note.delete()
    assert [each[0] for each in short(ear)] == ["note"] * 3


def test_cascades_are_told(ear):
    """Rows that go with another, rows whose reference is taken away, and the rows in the middle."""
    folder = Folder.objects.create(name="a")
    child = Folder.objects.create(name="b", parent=folder)
    tag = Tag.objects.create(name="t")
    folder.tags.add(tag)
    label = Label.objects.create(folder=child, tag=tag)
    note, second = Note.objects.create(folder=folder), Note.objects.create(fallback=child)
    ear.clear()
    folder_pk, child_pk = folder.pk, child.pk
    folder.delete()
    (changes,) = ear
    told = {(each.model.removeprefix("testapp."), each.kind): each for each in changes}
    assert told["folder", "deleted"].pks == (child_pk, folder_pk)
    assert told["label", "deleted"].pks == (label.pk,)
    assert set(told["note", "updated"].pks) == {note.pk, second.pk}
    assert told["note", "updated"].fields == {"folder", "fallback"}
    assert len(told["folder_tags", "deleted"].pks) == 1
    assert len(told) == 4


def test_both_ends_of_a_many_to_many_field_are_told(ear):
    """The rows in the middle with their keys, and the rows at both ends as updated, by the field's name there."""
    folder, tag = Folder.objects.create(name="a"), Tag.objects.create(name="t")
    ear.clear()
    folder.tags.add(tag)
    through = Folder.tags.through.objects.get()
    ends = [("testapp.folder", "updated", (folder.pk,), {"tags"}), ("testapp.tag", "updated", (tag.pk,), {"folders"})]
    assert ear.told() == [("testapp.folder_tags", "created", (through.pk,), None), *ends]
    folder.tags.add(tag)
    assert ear.told() == []
    tag.folders.remove(folder)
    assert ear.told() == [("testapp.folder_tags", "deleted", (through.pk,), None), *reversed(ends)]
    tag.folders.set([folder])
    ear.clear()
    tag.folders.clear()
    assert [each[1:] for each in ear.told()][1:] == [
        ("updated", (tag.pk,), {"folders"}),
        ("updated", None, {"tags"}),  # Django does not say which
    ]


def test_rows_in_the_middle_of_ones_own_are_told(ear):
    """A model in the middle that somebody wrote is seen though its manager is not tracked."""
    shelf, tag = Shelf.objects.create(), Tag.objects.create(name="t")
    ear.clear()
    shelf.tags.add(tag)
    assert ("testapp.slot", "created", None, None) in ear.told()
    shelf.tags.clear()
    assert ("slot", "deleted", None) in short(ear)


def test_bulk_create_with_every_option(ear):
    """Rows inserted, rows skipped, rows rewritten."""
    first, second = Tag.objects.bulk_create([Tag(name="a"), Tag(name="b")])
    assert ear.told() == [("testapp.tag", "created", (first.pk, second.pk), None)]
    Tag.objects.bulk_create([Tag(name="a"), Tag(name="c")], ignore_conflicts=True)
    third = Tag.objects.get(name="c")
    assert ear.told() == [("testapp.tag", "created", (third.pk,), None)]
    Tag.objects.bulk_create([Tag(name="a")], ignore_conflicts=True)
    assert ear.told() == []
    Tag.objects.bulk_create(
        [Tag(name="a", weight=5)], update_conflicts=True, unique_fields=["name"], update_fields=["weight"]
    )
    assert ear.told() == [
        ("testapp.tag", "created", (first.pk,), None),
        ("testapp.tag", "updated", (first.pk,), {"weight"}),
    ]
    # It brings a key, and rewrites the row under another.
    Tag.objects.bulk_create(
        [Tag(pk=999, name="a")], update_conflicts=True, unique_fields=["name"], update_fields=["weight"]
    )
    assert [each[2] for each in ear.told()] == [(first.pk,)] * 2
    Ticket.objects.bulk_create([Ticket(title="a")])
    ticket = Ticket.objects.get()
    ear.clear()
    # Here the database does not say which; a unique field of the key itself leaves no doubt.
    Ticket.objects.bulk_create([ticket], update_conflicts=True, unique_fields=["id"], update_fields=["title"])
    assert [each[2] for each in ear.told()] == [(ticket.pk,)] * 2
    assert Tag.objects.bulk_create([]) == []
    assert not ear


def test_updates_that_change_what_they_filter_by(ear):
    """The rows told of are those that were written, though they do not match any more."""
    notes = Note.objects.bulk_create([Note(size=each) for each in range(3)])
    ear.clear()
    assert Note.objects.filter(size__gte=1).update(size=0) == 2
    assert ear.told() == [("testapp.note", "updated", tuple(note.pk for note in notes[1:]), {"size"})]
    assert Note.objects.filter(size__gte=1).update(size=0) == 0
    assert not ear


def test_above_the_limit_rows_are_counted_and_not_named(ear):
    """An update of more rows than the limit returns their number, and is told as "some rows"."""
    Note.objects.bulk_create([Note(size=each) for each in range(30)])
    ear.clear()
    with override_settings(CORE={"CHANGES": {"MAX_PKS": 10}}):
        assert Note.objects.update(size=1) == 30
        assert Note.objects.filter(size=1).delete()[0] == 30
    assert [each[1:3] for each in ear.told()] == [("updated", None), ("deleted", None)]


def test_writes_through_relations_are_seen(ear):
    """Managers of related rows write through tracked ones."""
    folder, note = Folder.objects.create(name="a"), Note.objects.create()
    ear.clear()
    folder.notes.add(note)
    folder.notes.clear()
    assert ear.told() == [("testapp.note", "updated", (note.pk,), {"folder"})] * 2


def test_votes_of_the_example_are_seen(ear):
    """The example's own queryset is tracked."""
    choice = Choice.objects.create(question=Question.objects.create(question_text="q"), choice_text="c")
    ear.clear()
    Choice.objects.filter(pk=choice.pk).vote()
    assert ear.told() == [("polls.choice", "updated", (choice.pk,), {"votes"})]


def test_changes_are_recorded_by_hand(ear):
    """Raw SQL is reported with ``record_change``; mistakes are refused."""
    record_change("polls.question", "updated", [3, 4], ["question_text"])
    record_change(BigNote, "deleted")
    assert ear.told() == [
        ("polls.question", "updated", (3, 4), {"question_text"}),
        ("testapp.note", "deleted", None, None),
    ]
    with pytest.raises(ValueError, match="created, updated, deleted"):
        record_change(Note, "changed")
    with pytest.raises(LookupError):
        record_change("polls.nothing", "updated")


def test_a_key_is_told_in_the_type_of_its_field(ear):
    """A row saved under the text of its key is told under its key, and is one row with what is done to it by others."""
    ticket, number = uuid.uuid4(), 7
    Ticket.objects.create(id=str(ticket), title="a")
    Ticket.objects.bulk_create([Ticket(id=str(uuid.UUID(int=1)))])
    Ticket(id=str(ticket)).delete()
    assert [pks for _, _, pks, _ in ear.told()] == [(ticket,), (uuid.UUID(int=1),), (ticket,)]
    with transaction.atomic():
        Tag(pk=str(number), name="a").save()
        Tag.objects.filter(pk=number).delete()
    assert not ear
    Tag.objects.create(pk=number, name="a")
    folder = Folder.objects.create(name="a")
    ear.clear()
    Folder(pk=str(folder.pk)).tags.add(str(number))
    told = {(model, pks) for model, _, pks, _ in ear.told()}
    assert {("testapp.folder", (folder.pk,)), ("testapp.tag", (number,))} <= told


def test_an_update_that_rewrites_the_key_is_a_deletion_and_a_creation(ear):
    """Some rows are gone, those with the new keys are there; both in the same table."""
    old, new = uuid.uuid4(), uuid.uuid4()
    Ticket.objects.create(id=old, title="a")
    ear.clear()
    Ticket.objects.filter(pk=old).update(id=new)
    assert ear.told() == [("testapp.ticket", "created", (new,), None), ("testapp.ticket", "deleted", None, None)]


def test_an_update_that_rewrites_a_part_of_the_key_is_a_deletion_and_a_creation(ear):
    """So it is with a key of two columns, and not with a column beside it."""
    Seat.objects.create(row=1, number=2)
    ear.clear()
    Seat.objects.update(row=3)
    assert ear.told() == [("testapp.seat", "created", ((3, 2),), None), ("testapp.seat", "deleted", None, None)]
    Seat.objects.update(guest="a")
    assert ear.told() == [("testapp.seat", "updated", ((3, 2),), {"guest"})]


def test_a_receiver_that_comes_and_goes_disturbs_no_write(ear):
    """While receivers are connected and disconnected on one thread, every write on another succeeds and is told."""
    errors = []

    def write():
        note = Note.objects.create(text="a")
        for _ in range(50):
            try:
                note.save()
            except KeyError as error:
                errors.append(error)

    def passing(**_):
        pass

    writer = threads.start(write)
    while writer.is_alive():
        changes_committed.connect(passing)
        changes_committed.disconnect(passing)
    assert not errors
    assert len(ear) == 51


def test_rows_may_be_named_by_hand_in_any_way_that_names_them(ear):
    """``record_change`` takes rows, and keys as texts, and tells keys; what is no key fails where it is told."""
    tag = Tag.objects.create(name="a")
    ticket = uuid.uuid4()
    ear.clear()
    record_change(Tag, "updated", [tag, str(tag.pk)])
    record_change("testapp.ticket", "updated", [str(ticket)])
    record_change("testapp.seat", "updated", [["1", 2]])
    assert [pks for _, _, pks, _ in ear.told()] == [(tag.pk,), (ticket,), ((1, 2),)]
    for model, mistake in (
        ("tag", "x"),
        ("tag", None),
        ("tag", Tag()),
        ("seat", 1),
        ("seat", (1, 2, 3)),
        ("tag", (1, 2)),
    ):
        with pytest.raises((ValueError, ValidationError)):
            record_change(f"testapp.{model}", "updated", [mistake])
    assert not ear


def test_what_is_documented_as_unseen(ear):
    """``update()`` on a manager that is not tracked, and raw SQL."""
    row = Untracked.objects.create(text="a")
    ear.clear()
    Untracked.objects.update(text="b")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_untracked SET text = 'c'")
    assert not ear
    row.delete()
    assert short(ear) == [("untracked", "deleted", None)]


def test_nothing_is_watched_for_nobody():
    """With no reader of changes and no receiver there is no handler; the first receiver brings them, the last goes."""
    off = {feature: {"ENABLED": False} for feature in ("CACHING", "REACTIVE", "BINDINGS")}

    def receiver(**_):
        pass

    with override_settings(CORE=off):
        assert not signals.post_delete.has_listeners(Note)
        changes_committed.connect(receiver)
        assert signals.post_delete.has_listeners(Note)
        changes_committed.disconnect(receiver)
        assert not signals.post_delete.has_listeners(Note)
        assert not signals.post_save.has_listeners(Note)
        assert not signals.m2m_changed.has_listeners(Folder.tags.through)
        assert not capture.watched
        record_change(Note, "updated")
    assert capture.watched


def test_managers_are_given_back():
    """A manager that stood in for Django's is gone when nothing is watched; one's own is never replaced."""
    assert is_tracked(Note._base_manager)
    assert isinstance(Note.objects, TrackedManager)
    with override_settings(CORE={f: {"ENABLED": False} for f in ("CACHING", "REACTIVE", "BINDINGS")}):
        assert not is_tracked(Note._base_manager)
        assert not is_tracked(Folder.tags.through._default_manager)


@pytest.mark.skipif(django.VERSION < (6, 1), reason="of Django 6.1")
def test_what_the_database_deletes_by_itself_is_told(ear):
    """Children that the database deletes or rewrites are "some rows" of each table, transitively."""
    root = models.Root.objects.create(text="a")
    branch = models.Branch.objects.create(root=root)
    models.Leaf.objects.create(branch=branch, root=root)
    for delete in (root.delete, models.Root.objects.all().delete):
        ear.clear()
        delete()
        told = {(model.removeprefix("testapp."), kind): pks for model, kind, pks, _ in ear.told()}
        expected = {("root", "deleted"), ("branch", "deleted"), ("leaf", "deleted"), ("leaf", "updated")}
        assert told.keys() == expected or not told
        assert all(pks is None for (model, _), pks in told.items() if model != "root")
    assert not models.Leaf.objects.exists()


def test_a_large_deletion_is_told_in_full(ear):
    """Rows deleted in several statements are one change."""
    folder = Folder.objects.create(name="a")
    Label.objects.bulk_create(
        Label(folder=folder, tag=tag) for tag in Tag.objects.bulk_create(Tag(name=str(each)) for each in range(1200))
    )
    ear.clear()
    Tag.objects.all().delete()
    told = {model: len(pks) for model, _, pks, _ in ear.told()}
    assert told == {"testapp.label": 1200, "testapp.tag": 1200}
