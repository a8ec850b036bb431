"""A project with more than one database: each has transactions, publications and a log of its own."""

import itertools

import pytest
from django.db import connections, router, transaction

from core.changes import record_change
from core.changes.process import Process
from core.changes.reader import Reader
from core.models import ChangeLogEntry
from tests.testapp.models import Folder, Note, Tag

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def second(tmp_path, transactional_db, monkeypatch):
    """The alias of a second database, a file of SQLite with the tables that these tests write to."""
    options = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "second.sqlite3")}
    monkeypatch.setitem(connections.databases, "second", {**connections.databases["default"], **options})
    connection = connections["second"]
    connection.settings_dict.update(OPTIONS={"transaction_mode": "IMMEDIATE"}, ATOMIC_REQUESTS=False)
    # Django lets a test use the databases only that were there before it.
    monkeypatch.setattr(connection, "ensure_connection", lambda: connection.connection or connection.connect())
    with connection.schema_editor() as editor:
        for model in (Tag, Folder, Note, ChangeLogEntry):
            editor.create_model(model)
    yield "second"
    connection.close()
    del connections["second"]


def told(ear):
    """What was told by each publication: alias, model and kind."""
    said = [[(each.using, each.model, each.kind) for each in changes] for changes in ear]
    ear.clear()
    return said


def test_each_database_publishes_its_own_transaction(ear, second):
    """Transactions on two databases are two publications, each at its own commit, with its own entry in its own log."""
    with transaction.atomic():
        Tag.objects.create(name="first")
        with transaction.atomic(using=second):
            Tag.objects.using(second).create(name="second")
            Note.objects.using(second).bulk_create([Note(text="a")])
        assert told(ear) == [[("second", "testapp.tag", "created"), ("second", "testapp.note", "created")]]
        Tag.objects.using(second).update(weight=2)
        assert told(ear) == [[("second", "testapp.tag", "updated")]]
    assert told(ear) == [[("default", "testapp.tag", "created")]]
    assert ChangeLogEntry.objects.count() == 1
    assert ChangeLogEntry.objects.using(second).count() == 2


def test_a_rollback_on_one_database_takes_nothing_from_the_other(ear, second):
    """What was rolled back here was committed there."""
    with pytest.raises(ZeroDivisionError), transaction.atomic(), transaction.atomic(using=second):
        Tag.objects.create(name="never")
        with transaction.atomic(using=second):
            Tag.objects.using(second).create(name="never either")
            raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=second):
        Tag.objects.using(second).create(name="never")
        Tag.objects.create(name="kept")
        raise ZeroDivisionError
    assert told(ear) == [[("default", "testapp.tag", "created")]]


def test_a_write_by_hand_is_told_of_the_database_it_was_on(ear, second, monkeypatch):
    """``record_change`` takes an alias, and asks the router without one."""
    record_change(Tag, "updated", [1], using=second)
    monkeypatch.setattr(router, "db_for_write", lambda *_, **__: second)
    record_change(Tag, "deleted", [1])
    assert [alias for ((alias, _, _),) in told(ear)] == [second, second]


def test_a_reader_reads_the_log_of_each(far_ear, second, monkeypatch):
    """One reader per process follows every database, and tells from which a change comes."""
    reader = Reader()
    for alias in ("default", second):
        ChangeLogEntry.objects.using(alias).create(origin="x", number=0, changes="[]")
    reader.poll()
    assert {change.using for changes in far_ear for change in changes} == {"default", second}
    with monkeypatch.context() as patched:
        patched.setattr("core.changes.transactions.this_process", Process("other", itertools.count(1)))
        Tag.objects.create(name="a")
        Tag.objects.using(second).create(name="b")
    far_ear.clear()
    reader.poll()
    assert sorted(told(far_ear)) == [
        [("default", "testapp.tag", "created")],
        [(second, "testapp.tag", "created")],
    ]
