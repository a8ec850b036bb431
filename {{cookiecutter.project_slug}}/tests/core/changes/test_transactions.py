"""When changes are published: once per transaction, after its commit, in the order of commits."""

import gc
import logging
import threading
import tracemalloc

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import FieldDoesNotExist
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, connection, connections, transaction
from django.db.models import ProtectedError
from django.test import TestCase, override_settings
from rest_framework.exceptions import APIException

from core.changes import changes_committed, log, may_have_written, record_change, written_tables
from core.changes.order import Turnstile, turnstile
from core.changes.publisher import unpublished
from core.models import ChangeLogEntry
from polls.models import Choice, Question
from tests import threads
from tests.testapp.models import Cafe, Folder, Keeper, Note, Tag

transactional = pytest.mark.django_db(transaction=True)


@transactional
def test_one_publication_per_transaction(ear):
    """All writes of a transaction are published together, after the commit."""
    with transaction.atomic():
        tag = Tag.objects.create(name="a")
        tag.weight = 2
        tag.save()
        Note.objects.create(text="b")
        assert not ear
    assert len(ear) == 1
    assert [(each.model, each.kind) for each in ear[0]] == [("testapp.tag", "created"), ("testapp.note", "created")]


@transactional
def test_autocommit_publishes_at_once(ear):
    """Outside of a transaction each write is published when it is done."""
    tag = Tag.objects.create(name="a")
    assert ear.told() == [("testapp.tag", "created", (tag.pk,), None)]


@transactional
def test_a_write_in_autocommit_stands_when_its_log_entry_fails(ear, monkeypatch, caplog):
    """What is committed is published, and the doorbell carries it to those who find nothing in the log.

    So it is with what is told by hand, after the statement. A save fails, as a whole.
    """
    rung = []
    tag = Tag.objects.create(name="a")
    ear.clear()
    unpublished.reset()

    def locked(*_):
        raise OperationalError("database is locked")

    monkeypatch.setattr("core.changes.log.write", locked)
    monkeypatch.setattr("core.changes.doorbell.send", lambda group, message: rung.append(message["changes"]))
    record_change(Tag, "updated", [tag.pk])
    assert ear.told() == [("testapp.tag", "updated", (tag.pk,), None)]
    assert rung == [f'[["testapp.tag","testapp_tag","updated",[{tag.pk}],null]]']
    assert "could not be logged" in caplog.text
    with pytest.raises(OperationalError):
        Tag.objects.create(name="b")
    assert not Tag.objects.filter(name="b").exists()
    assert not ear
    assert not unpublished._since
    assert not turnstile._outstanding


@transactional
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_rolled_back_savepoint_is_never_heard_of(ear, depth):
    """What was rolled back at any depth is not published, and what was around it is."""

    def descend(left):
        with transaction.atomic():
            Tag.objects.create(name=f"inside {left}")
            if left:
                descend(left - 1)

    with transaction.atomic():
        kept = Tag.objects.create(name="kept")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            descend(depth)
            raise ZeroDivisionError
        last = Tag.objects.create(name="last")
    assert ear.told() == [("testapp.tag", "created", (kept.pk, last.pk), None)]


@transactional
def test_set_rollback_and_durable_are_followed(ear):
    """A transaction that is marked for rollback publishes nothing; a durable one publishes."""
    with transaction.atomic():
        Tag.objects.create(name="never")
        transaction.set_rollback(True)
    assert not ear
    with transaction.atomic(durable=True):
        Tag.objects.create(name="durable")
    assert len(ear) == 1
    assert ChangeLogEntry.objects.count() == 1


@transactional
def test_a_refused_write_does_not_spoil_the_transaction(ear):
    """What Django refuses before it writes may be caught within a transaction, which goes on."""
    cafe = Cafe.objects.create(name="a")
    Keeper.objects.create(tag=Tag.objects.create(name="kept"))
    ear.clear()
    with transaction.atomic():
        with pytest.raises(FieldDoesNotExist):
            Tag.objects.update(nothing=1)
        with pytest.raises(ValueError, match="multi-table"):
            Cafe.objects.bulk_create([Cafe(name="b")])
        with pytest.raises(ProtectedError):
            Tag.objects.all().delete()
        cafe.save()
    assert len(ear) == 1


@transactional
@pytest.mark.filterwarnings("ignore:savepoint")  # has another name from Django 6.1 on
def test_manual_savepoints_behave_as_for_on_commit(ear):
    """A savepoint made by hand and rolled back takes off Django's list nothing, and here nothing either."""
    called = []
    with transaction.atomic():
        sid = transaction.savepoint()
        Tag.objects.create(name="by hand")
        transaction.on_commit(lambda: called.append(1))
        transaction.savepoint_rollback(sid)
    assert called
    assert len(ear) == 1


@pytest.fixture
def by_hand(transactional_db):
    """Autocommit is off, and transactions end where the test says so."""
    transaction.set_autocommit(False)
    yield
    transaction.rollback()
    transaction.set_autocommit(True)


def test_manual_transactions_publish_with_their_commit(ear, by_hand):
    """With autocommit switched off by hand a commit publishes at once, in order; a rollback publishes nothing."""
    Tag.objects.create(name="undone")
    transaction.rollback()
    Tag.objects.create(name="done")
    transaction.commit()
    assert [changes[0].model for changes in ear] == ["testapp.tag"]
    with transaction.atomic():
        Note.objects.create(text="done too")
    assert len(ear) == 1
    transaction.commit()
    assert [changes[0].model for changes in ear] == ["testapp.tag", "testapp.note"]
    assert ChangeLogEntry.objects.count() == 2


def test_a_rollback_takes_nothing_from_what_was_committed_by_hand(ear, by_hand):
    """What was committed before a rollback was published, once."""
    Tag.objects.create(name="done")
    transaction.commit()
    Note.objects.create(text="undone")
    transaction.rollback()
    transaction.set_autocommit(True)
    transaction.set_autocommit(False)
    assert [changes[0].model for changes in ear] == ["testapp.tag"]


@transactional
def test_a_connection_that_breaks_after_the_commit_holds_up_nobody(ear, monkeypatch):
    """Where autocommit cannot be switched on again nobody waits for the publication that cannot come."""
    switch, failing = connection.set_autocommit, [True]

    def set_autocommit(autocommit, **kwargs):
        if autocommit and failing:
            failing.clear()
            raise OperationalError("gone")
        return switch(autocommit, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(connection, "set_autocommit", set_autocommit)
        with pytest.raises(OperationalError), transaction.atomic():
            Tag.objects.create(name="a")
        assert not turnstile._outstanding
        assert connection.set_autocommit is set_autocommit
    connection.close()
    Tag.objects.create(name="b")
    assert len(ear) == 1
    assert "set_autocommit" not in connection.__dict__


@transactional
def test_an_interrupt_takes_nothing_from_what_was_committed(ear):
    """A receiver that writes and is interrupted: its write is published, and nobody waits for it."""

    def interrupted(changes, **_):
        if changes[0].model == "testapp.tag":
            with transaction.atomic():
                Note.objects.create(text="a")
            raise KeyboardInterrupt

    changes_committed.connect(interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            Tag.objects.create(name="a")
    finally:
        changes_committed.disconnect(interrupted)
    assert [changes[0].model for changes in ear] == ["testapp.tag", "testapp.note"]
    assert not turnstile._outstanding


@transactional
def test_nobody_waits_for_a_log_entry_of_somebody_else(ear, monkeypatch):
    """While an entry is being written, which may take as long as a lock does, its transaction has no ticket."""
    outstanding, write = [], log.write

    def watched(*args):
        outstanding.append(dict(turnstile._outstanding))
        write(*args)

    monkeypatch.setattr(log, "write", watched)
    with transaction.atomic():
        Tag.objects.create(name="a")
    assert outstanding == [{}]
    assert len(ear) == 1


@transactional
def test_a_commit_that_fails_publishes_nothing(ear, monkeypatch):
    """When COMMIT fails the transaction is rolled back, nothing is told, and the next one works."""

    def fail():
        raise IntegrityError("deferred")

    with monkeypatch.context() as patched:
        patched.setattr(connection, "_commit", fail)
        with pytest.raises(IntegrityError), transaction.atomic():
            Tag.objects.create(name="a")
    assert not Tag.objects.exists()
    assert not ear
    assert not ChangeLogEntry.objects.exists()
    Tag.objects.create(name="b")
    assert len(ear) == 1


@transactional
def test_nothing_is_left_on_the_connection(ear):
    """``commit`` is Django's own again after a transaction."""
    with transaction.atomic():
        Tag.objects.create(name="a")
        assert "commit" in connections["default"].__dict__
    assert "commit" not in connections["default"].__dict__


@transactional
def test_changes_come_before_other_functions_of_on_commit(ear):
    """Whoever looks after the commit finds the changes published, and one that fails does not stop them."""
    seen = []

    def fail():
        seen.append(len(ear))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        transaction.on_commit(fail)
        Tag.objects.create(name="a")
    assert seen == [1]


@transactional
def test_a_failing_receiver_is_logged_with_the_change_and_hurts_nobody(ear, caplog):
    """The write stands, other receivers are told, and the log names the receiver and the change once."""

    def clumsy(**_):
        raise ZeroDivisionError

    changes_committed.connect(clumsy)
    try:
        with caplog.at_level(logging.ERROR):
            tag = Tag.objects.create(name="a")
    finally:
        changes_committed.disconnect(clumsy)
    assert Tag.objects.exists()
    assert len(ear) == 1
    (line,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert "clumsy" in line.getMessage()
    assert f"created 1 of testapp.tag (default) [{tag.pk}]" in line.getMessage()


@transactional
def test_a_receiver_may_write(ear):
    """What a receiver writes is published after what it was told of."""

    def answer(changes, **_):
        if changes[0].model == "testapp.tag":
            Note.objects.create(text="answer")

    changes_committed.connect(answer)
    try:
        Tag.objects.create(name="a")
    finally:
        changes_committed.disconnect(answer)
    assert [changes[0].model for changes in ear] == ["testapp.tag", "testapp.note"]


@transactional
def test_a_million_savepoints_take_no_memory(ear):
    """Savepoints that were released leave one frame; above the limit the keys are given up."""
    with override_settings(CORE={"CHANGES": {"MAX_PKS": 50}}), transaction.atomic():
        for number in range(200):
            with transaction.atomic():
                Tag.objects.create(name=str(number))
        assert len(connection.run_on_commit) <= 2
    assert ear.told() == [("testapp.tag", "created", None, None)]


@transactional
def test_threads_are_told_apart_and_all_are_heard(ear):
    """Writes of several threads are published each once."""

    def write(number):
        for _ in range(5):
            with transaction.atomic():
                Note.objects.create(text=str(number))

    started = [threads.start(write, number) for number in range(4)]
    for thread in started:
        thread.join()
    assert len(ear) == 20
    assert len({changes[0].pks for changes in ear}) == 20


@pytest.fixture
def patient(monkeypatch):
    """Lets nobody overtake a thread that a busy machine keeps waiting: publications wait for as long as it takes."""
    monkeypatch.setattr("core.changes.order.PATIENCE", 60)


@transactional
@pytest.mark.usefixtures("patient")
def test_publication_follows_the_order_of_commits(ear):
    """Threads that write to one row publish in the order in which they committed."""
    note = Note.objects.create(text="contended")
    ear.clear()
    order = []

    def add():
        for _ in range(10):
            with transaction.atomic():
                locked = Note.objects.select_for_update().get(pk=note.pk)
                locked.size += 1
                locked.save(update_fields=["size"])
                record_change(Note, "created", [-locked.size])

    changes_committed.connect(lambda changes, **_: order.append(-changes[0].pks[0]), weak=False, dispatch_uid="order")
    try:
        started = [threads.start(add) for _ in range(3)]
        for thread in started:
            thread.join()
    finally:
        changes_committed.disconnect(dispatch_uid="order")
    assert order == list(range(1, 31))


@pytest.fixture
def history(transactional_db):
    """Has the database itself write down in which order the sizes of notes are committed; returns how to read that.

    A trigger runs while its row is locked, so that the order in which it fires is the order of commits.
    """
    made = ["CREATE TABLE history (place SERIAL, size integer)" if connection.vendor == "postgresql"
            else "CREATE TABLE history (place INTEGER PRIMARY KEY AUTOINCREMENT, size integer)"]  # fmt: skip
    gone = ["DROP TRIGGER history ON testapp_note", "DROP FUNCTION history()", "DROP TABLE history"]
    insert = "INSERT INTO history (size) VALUES (NEW.size);"
    if connection.vendor == "postgresql":
        body = f"BEGIN {insert} RETURN NULL; END"
        made += [
            f"CREATE FUNCTION history() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
            "CREATE TRIGGER history AFTER UPDATE ON testapp_note FOR EACH ROW EXECUTE FUNCTION history()",
        ]
    else:
        made += [f"CREATE TRIGGER history AFTER UPDATE ON testapp_note BEGIN {insert} END"]
        gone = ["DROP TRIGGER history", "DROP TABLE history"]

    def run(statements):
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def read():
        with connection.cursor() as cursor:
            cursor.execute("SELECT size FROM history ORDER BY place")
            return [size for (size,) in cursor.fetchall()]

    run(made)
    yield read
    run(gone)


def in_autocommit(way, note, size):
    """Write ``size`` to ``note`` outside of ``atomic``, in one of several ways."""
    if way == "save":
        Note(pk=note.pk, text="a", size=size).save()
    elif way == "some fields":
        Note(pk=note.pk, size=size).save(update_fields=["size"])
    elif way == "update":
        Note.objects.filter(pk=note.pk).update(size=size)
    else:
        Note.objects.bulk_update([Note(pk=note.pk, size=size)], ["size"])


AUTOCOMMIT = ("save", "some fields", "update", "bulk_update")


@pytest.mark.usefixtures("patient")
def test_publication_follows_the_order_of_commits_in_autocommit(ear, history):
    """Threads that save one row outside ``atomic`` publish in the order in which the row got its values."""
    note, mine, order = Note.objects.create(text="contended"), threading.local(), []
    changes_committed.connect(lambda **_: order.append(mine.size), weak=False, dispatch_uid="order")

    def write(number):
        for each in range(20):
            mine.size = 100 * number + each
            in_autocommit(AUTOCOMMIT[each % 4], note, mine.size)

    try:
        started = [threads.start(write, number) for number in range(4)]
        for thread in started:
            thread.join()
    finally:
        changes_committed.disconnect(dispatch_uid="order")
    assert len(order) == 80
    assert order == history()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("way", AUTOCOMMIT)
def test_a_thread_that_is_held_up_after_its_statement_is_not_overtaken(ear, history, way):
    """Whatever happens between a statement in autocommit and its publication, a later write is published later."""
    note, mine, order = Note.objects.create(text="contended"), threading.local(), []
    changes_committed.connect(lambda **_: order.append(mine.size), weak=False, dispatch_uid="order")
    written, overtaken = threading.Event(), threading.Event()

    def hold_up(execute, sql, *args):
        result = execute(sql, *args)
        if "UPDATE" in sql:
            written.set()
            overtaken.wait(0.3)
        return result

    def slow():
        mine.size = 1
        with connections["default"].execute_wrapper(hold_up):
            in_autocommit(way, note, 1)

    def fast():
        mine.size = 2
        in_autocommit(way, note, 2)
        overtaken.set()

    try:
        first = threads.start(slow)
        assert written.wait(60)
        second = threads.start(fast)
        first.join()
        second.join()
    finally:
        changes_committed.disconnect(dispatch_uid="order")
    assert order == history() == [1, 2]


def test_the_turnstile_keeps_the_order_of_tickets():
    """A later ticket waits for an earlier one, and not for one that was given back."""
    turnstile, done = Turnstile(), []
    first, second, third = (turnstile.draw() for _ in range(3))
    late = threading.Thread(target=turnstile.let, args=(third, lambda: done.append(3)))
    late.start()
    turnstile.give_back(second)
    turnstile.let(first, lambda: done.append(1))
    late.join(60)
    assert done == [1, 3]


def test_the_turnstile_is_not_stopped_by_a_lost_ticket(monkeypatch, caplog):
    """A ticket whose thread died stops the others for a limited time only."""
    monkeypatch.setattr("core.changes.order.PATIENCE", 0.05)
    turnstile, done = Turnstile(), []
    turnstile.draw()
    turnstile.let(turnstile.draw(), lambda: done.append(2))
    assert done == [2]
    assert "does not wait" in caplog.text


async def test_asynchronous_code_is_seen(ear, database_in_threads):
    """The asynchronous methods, and synchronous code in a thread, are part of the stream."""
    await Tag.objects.acreate(name="a")
    await Tag.objects.abulk_create([Tag(name="b")])
    await Tag.objects.filter(name="a").aupdate(weight=3)
    await Tag.objects.aupdate_or_create(name="b", defaults={"weight": 4})
    await Tag.objects.aget_or_create(name="c")
    await sync_to_async(Tag.objects.filter(name="c").delete)()
    assert [each[1] for each in ear.told()] == ["created", "created", "updated", "updated", "created", "deleted"]
    first, second = [tag async for tag in Tag.objects.order_by("name")]
    first.weight = 9
    await Tag.objects.abulk_update([first], ["weight"])
    await second.asave(update_fields=["weight"])
    await second.adelete()
    await Tag.objects.filter(name="nobody").adelete()
    await Tag.objects.all().adelete()
    assert [each[1] for each in ear.told()] == ["updated", "updated", "deleted", "deleted"]


async def test_many_to_many_fields_are_seen_in_asynchronous_code(ear, database_in_threads):
    """The asynchronous methods of many-to-many managers are part of the stream, from both sides."""
    folder, tag = await Folder.objects.acreate(name="a"), await Tag.objects.acreate(name="t")
    for manager, other in ((folder.tags, tag), (tag.folders, folder)):
        ear.clear()
        await manager.aadd(other)
        await manager.aremove(other)
        await manager.aset([other])
        await manager.aclear()
        through = [kind for model, kind, _, _ in ear.told() if model == "testapp.folder_tags"]
        assert through == ["created", "deleted", "created", "deleted"]


@transactional
def test_a_transaction_of_very_many_rows_takes_little_memory(ear):
    """Keys above the limit are given up as they come; what is kept of 200,000 rows is what is kept of the limit."""
    with override_settings(CORE={"CHANGES": {"MAX_PKS": 1000}}), transaction.atomic():
        record_change(Tag, "created", range(1000))
        tracemalloc.start()
        try:
            for number in range(1000, 201_000, 100):
                record_change(Tag, "created", range(number, number + 100))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 500_000
    assert ear.told() == [("testapp.tag", "created", None, None)]


@transactional
def test_management_commands_are_seen(ear):
    """A fixture that a command loads is one publication, of what it has written."""
    call_command("loaddata", "example", verbosity=0)
    assert len(ear) == 1
    assert {(each.model, each.kind) for each in ear[0]} >= {("polls.question", "created"), ("polls.choice", "created")}


@transactional
def test_requests_in_a_transaction_are_seen(ear, api, monkeypatch):
    """With ``ATOMIC_REQUESTS`` a request is one publication; one that fails is none."""
    question = Question.objects.create(question_text="q")
    choice = Choice.objects.create(question=question, choice_text="c")
    ear.clear()
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert api.post(f"/api/choices/{choice.pk}/vote/").status_code == 200
    assert ear.told() == [("polls.choice", "updated", (choice.pk,), {"votes"})]

    def fail(*_, **__):
        Choice.objects.filter(pk=choice.pk).vote()
        raise APIException

    monkeypatch.setattr("polls.viewsets.ChoiceViewSet.vote", fail)
    assert api.post(f"/api/choices/{choice.pk}/vote/").status_code == 500
    assert Choice.objects.get(pk=choice.pk).votes == 1
    assert not ear


class InATestCase(TestCase):
    """In a ``TestCase`` there is no commit; Django's own way of doing as if works."""

    def setUp(self):
        self.told = []
        changes_committed.connect(self._hear)
        self.addCleanup(changes_committed.disconnect, self._hear)
        Tag.objects.create(name="set up")

    def _hear(self, changes, **_):
        self.told.append([(change.kind, change.model) for change in changes])

    def test_captured_callbacks_publish(self):
        """One publication per transaction of the code under test, one per write where it is in none."""
        with self.captureOnCommitCallbacks(execute=True):
            Tag.objects.create(name="a")
            with transaction.atomic():
                Note.objects.create(text="b")
                with transaction.atomic():
                    Tag.objects.create(name="c")
                try:
                    with transaction.atomic():
                        Note.objects.create(text="never")
                        raise ZeroDivisionError
                except ZeroDivisionError:
                    pass
            Note.objects.all().delete()
        note, tag = ("created", "testapp.note"), ("created", "testapp.tag")
        assert self.told == [[tag], [note, tag], [("deleted", "testapp.note")]]

    def test_without_capturing_nothing_is_published(self):
        """No commit, no publication, no entry in the log."""
        Tag.objects.create(name="a")
        assert self.told == []
        assert not ChangeLogEntry.objects.exists()


@transactional
def test_a_quick_look_tells_whether_anything_is_written_and_not_committed():
    """Of any thread; never "nothing" while there is something, whatever became of savepoints on the way."""
    with transaction.atomic():  # after which nothing is left of what other tests have rolled back
        Tag.objects.create(name="first")
    gc.collect()
    with transaction.atomic():
        assert not may_have_written()
        Tag.objects.create(name="a")
        assert may_have_written()
        assert written_tables("default") == {"testapp_tag"}
        with transaction.atomic():
            Note.objects.create(text="b")
            transaction.set_rollback(True)
        seen = []
        threads.start(lambda: seen.append(may_have_written())).join()
        assert seen == [True]
        assert written_tables("default") == {"testapp_tag"}
    assert not may_have_written()
    assert written_tables("default") == set()
