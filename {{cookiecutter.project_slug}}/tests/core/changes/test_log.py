"""The log and its reader: nothing is missed, nothing is told twice, old entries go."""

import asyncio
import itertools
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection, connections, transaction
from django.db.models.functions import Now
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from core.changes import Change, log, publisher
from core.changes import reader as reader_module
from core.changes.change import KINDS
from core.changes.encoding import decode, encode
from core.changes.position import GRACE, Horizon, Position, advance, begin
from core.changes.process import Process, this_process
from core.changes.reader import Reader
from core.models import ChangeLogEntry
from tests import threads
from tests.testapp.models import Seat, Tag, Ticket

transactional = pytest.mark.django_db(transaction=True)
PATIENCE = 60
"""Seconds that nothing may take, on a machine that does other things as well."""
postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="ids commit in order elsewhere")


@pytest.fixture
def begun(transactional_db):
    """A log that has begun: it is never empty again."""
    ChangeLogEntry.objects.create(origin="x", number=0, changes="[]")


@pytest.fixture
def other(monkeypatch):
    """Makes what is written seem to be another process's; the reader is in this one."""

    def write(*names):
        with monkeypatch.context() as patched:
            patched.setattr("core.changes.transactions.this_process", Process("other", itertools.count(1)))
            return [Tag.objects.create(name=name) for name in names]

    return write


@pytest.fixture
def reader(begun):
    """A reader that has taken its first look."""
    reader = Reader()
    reader.poll()
    return reader


RUNS = st.lists(st.tuples(st.integers(), st.integers(1, 40)))
KEYS = st.lists(st.integers() | st.text()).map(tuple) | RUNS.map(
    lambda runs: tuple(pk for first, count in runs for pk in range(first, first + count))
)


@given(
    st.lists(
        st.builds(
            Change,
            st.sampled_from(["testapp.tag", "gone.model"]),
            st.text(),
            st.sampled_from(KINDS),
            st.none() | KEYS,
            st.none() | st.frozensets(st.text()),
            st.just("default"),
        )
    )
)
def test_an_entry_says_what_was_written(changes):
    """Changes come out of the log as they went in."""
    assert decode(encode(changes), "default", lambda model, pks: tuple(pks)) == changes


def test_the_keys_of_a_bulk_operation_are_a_short_entry():
    """Integers that follow one another are told by the first and their number; the rest as they are."""
    change = Change("testapp.tag", "testapp_tag", "deleted", tuple(range(7, 10_007)), None, "default")
    assert encode([change]) == '[["testapp.tag","testapp_tag","deleted",{"runs":[[7,10000]]},null]]'
    scattered = replace(change, pks=tuple(range(0, 100, 2)))
    assert '"runs"' not in encode([scattered])
    for text in ('{"runs":[[1,9999999]]}', '{"runs":[[1]]}', "{}"):
        with pytest.raises((ValueError, KeyError)):
            decode(f'[["testapp.tag","testapp_tag","deleted",{text},null]]', "default", lambda _, pks: tuple(pks))


@transactional
def test_keys_of_every_type_come_back(begun):
    """UUIDs and composite keys are what they were."""
    position = log.end("default")
    ticket = Ticket.objects.create(title="a")
    seat = Seat.objects.create(row=1, number=2)
    found = [each.changes[0].pks for each in log.changes_since(position, "default").entries]
    assert found == [(ticket.pk,), (seat.pk,)]
    assert isinstance(found[0][0], uuid.UUID)
    assert found[1][0] == (1, 2)


@transactional
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[["testapp.tag","testapp_tag","updated",["Tag object (1)"],null]]', [("testapp.tag", "updated", None, None)]),
        ('[["testapp.seat","testapp_seat","created",[[1,2,3]],null]]', [("testapp.seat", "created", None, None)]),
    ],
)
def test_keys_that_cannot_be_read_are_some_rows_and_stop_nobody(reader, far_ear, other, text, told, caplog):
    """An entry whose keys are none of the model's is told without them, and the next one is told as ever."""
    far_ear.clear()
    ChangeLogEntry.objects.create(origin="x", number=1, changes=text)
    (tag,) = other("next")
    far_ear.clear()
    reader.poll()
    assert far_ear.told() == [*told, ("testapp.tag", "created", (tag.pk,), None)]
    assert "some of its rows count as changed" in caplog.text


@transactional
@pytest.mark.parametrize("text", ["nonsense", "[[1]]", "7"])
def test_an_entry_that_cannot_be_read_means_that_anything_has_changed(reader, far_ear, other, text, caplog):
    """A text of another kind stops nobody: everything counts as changed, and the next entry is told as ever."""
    ChangeLogEntry.objects.create(origin="x", number=1, changes=text)
    (tag,) = other("next")
    far_ear.clear()
    reader.poll()
    everything, following = far_ear
    assert {each.pks for each in everything} == {None}
    assert [each.pks for each in following] == [(tag.pk,)]
    assert "everything counts as changed" in caplog.text


@transactional
def test_every_entry_is_read_once(begun):
    """Reading on from the position of the last reading gives what is new, in order."""
    position = Position(log.end("default").last)  # waits for no id of earlier tests
    for name in "ab":
        Tag.objects.create(name=name)
    reading = log.changes_since(position, "default")
    assert [each.origin for each in reading.entries] == [this_process.origin] * 2
    assert [each.number for each in reading.entries] == sorted(each.number for each in reading.entries)
    assert not log.changes_since(reading.position, "default").entries
    with CaptureQueriesContext(connection) as captured:
        log.changes_since(reading.position, "default")
    assert len(captured.captured_queries) == 1


@transactional
@postgresql
def test_an_entry_that_commits_late_is_read(begun):
    """A transaction that drew its id first and commits last is found, among others that overtook it."""
    position = Position(log.end("default").last)  # waits for no id of earlier tests
    drawn, release = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            log.write(connections["default"], "slow", 1, [])
            drawn.set()
            release.wait(60)

    thread = threads.start(slow)
    assert drawn.wait(60)
    Tag.objects.create(name="overtakes")
    reading = log.changes_since(position, "default")
    assert [each.origin for each in reading.entries] == [this_process.origin]
    assert len(reading.position.missing) == 1
    Tag.objects.create(name="overtakes too")
    second = log.changes_since(reading.position, "default")
    assert [each.origin for each in second.entries] == [this_process.origin]
    release.set()
    thread.join()
    third = log.changes_since(second.position, "default")
    assert [each.origin for each in third.entries] == ["slow"]
    assert not third.position.missing


@contextmanager
def under_way():
    """Hold a transaction open that has drawn its id in the log; it commits at the end of the block."""
    drawn, release = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            text = encode([Change("testapp.tag", "testapp_tag", "created", (1,), None, "default")])
            ChangeLogEntry.objects.create(origin="slow", number=1, changes=text)
            drawn.set()
            release.wait(60)

    thread = threads.start(slow)
    assert drawn.wait(60)
    try:
        yield
    finally:
        release.set()
        thread.join()


@transactional
@postgresql
def test_an_entry_that_was_under_way_when_a_reader_began_is_read(begun, far_ear, other):
    """The reader begins behind an entry with a higher id, and is told of the lower one once, when it commits."""
    reader = Reader()
    with under_way():
        other("overtakes")
        reader.poll()
        far_ear.clear()
        reader.poll()
        assert not far_ear
    reader.poll()
    reader.poll()
    assert far_ear.told() == [("testapp.tag", "created", (1,), None)]


@transactional
@postgresql
def test_an_entry_that_was_under_way_when_a_reader_fell_behind_is_read(reader, far_ear, other):
    """Beginning anew after a pruning misses nothing either."""
    other("pruned", "pruned too")
    ChangeLogEntry.objects.update(created_at=Now() - timedelta(seconds=4000))
    with under_way():
        other("overtakes")
        log.prune("default")
        far_ear.clear()
        reader.poll()
        assert {each.pks for each in far_ear[0]} == {None}
        far_ear.clear()
    reader.poll()
    assert far_ear.told() == [("testapp.tag", "created", (1,), None)]


def test_a_reader_begins_with_the_gaps_among_the_last_ids(monkeypatch):
    """Ids that are not there yet are missing, as far back as may be under way; never where ids commit in order."""
    monkeypatch.setattr("core.changes.position.RECENT", 4)
    horizon = Horizon(oldest_running=100, next_one=110, now=0.0)
    assert begin([9, 7, 6], horizon) == Position(9, {8: horizon})
    assert begin([9], horizon) == Position(9, dict.fromkeys([6, 7, 8], horizon))
    assert begin([2], horizon) == Position(2, {1: horizon})
    assert begin([], horizon) == Position(0)
    assert begin([9, 6], Horizon.settled()) == Position(9)


@transactional
@postgresql
def test_concurrent_writers_are_all_read(begun):
    """Of many transactions that commit at the same time, a reader beside them reads each once."""
    position, ids, writers = log.end("default"), [], 4

    def write(number):
        for each in range(25):
            with transaction.atomic():
                log.write(connections["default"], str(number), each, [])
                time.sleep(0.002 * (each % 3))
                if each % 5 == 0:
                    transaction.set_rollback(True)

    started = [threads.start(write, number) for number in range(writers)]
    while any(thread.is_alive() for thread in started) or log.changes_since(position, "default").entries:
        reading = log.changes_since(position, "default")
        position = reading.position
        ids += [each.id for each in reading.entries]
    assert len(ids) == len(set(ids)) == writers * 20


def test_a_missing_id_is_given_up_when_it_can_never_come():
    """An id is asked for until all transactions of its time have ended, and for a while longer."""
    position = advance(Position(5), [6, 8], Horizon(oldest_running=100, next_one=110, now=0.0))
    assert position == Position(8, {7: Horizon(100, 110, 0.0)})
    still_running = advance(position, [], Horizon(105, 130, GRACE + 1))
    assert 7 in still_running.missing
    too_early = advance(position, [], Horizon(120, 130, GRACE - 1))
    assert 7 in too_early.missing
    assert not advance(position, [], Horizon(120, 130, GRACE + 1)).missing
    assert not advance(position, [7], Horizon(105, 130, 1.0)).missing


@transactional
def test_pruning_deletes_by_age_and_keeps_the_last(begun):
    """Old entries go; the last one stays, so that a reader knows that it has missed nothing."""
    for name in "abc":
        Tag.objects.create(name=name)
    assert log.prune("default") == 0
    ChangeLogEntry.objects.update(created_at=Now() - timedelta(seconds=4000))
    position = log.end("default")
    assert log.prune("default") == 3
    assert ChangeLogEntry.objects.count() == 1
    assert not log.changes_since(position, "default").missed


@transactional
def test_how_old_entries_may_get_and_how_often_that_is_looked_at_are_settings(begun, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("core.changes.reader.time.monotonic", lambda: now[0])
    Tag.objects.create(name="a")
    ChangeLogEntry.objects.update(created_at=Now() - timedelta(seconds=200))
    Tag.objects.create(name="b")
    reader = Reader()
    with override_settings(CORE={"CHANGES": {"PRUNE_AGE": 300, "PRUNE_INTERVAL": 1000}}):
        reader.poll()
        assert ChangeLogEntry.objects.count() == 3
    with override_settings(CORE={"CHANGES": {"PRUNE_AGE": 100, "PRUNE_INTERVAL": 1000}}):
        now[0] += 700  # some time around the interval, not the same in all processes
        reader.poll()
        assert ChangeLogEntry.objects.count() == 3
        now[0] += 600
        reader.poll()
        assert ChangeLogEntry.objects.count() == 1


@transactional
def test_a_reader_behind_the_pruning_takes_everything_as_changed(reader, far_ear, other):
    """Entries pruned unread mean that some rows of every watched table may have changed in every way."""
    other("a", "b", "c")
    ChangeLogEntry.objects.update(created_at=Now() - timedelta(seconds=4000))
    other("d")
    log.prune("default")
    reader.poll()
    (changes,) = far_ear
    assert {(each.model, each.kind) for each in changes} >= {("polls.choice", kind) for kind in KINDS}
    assert {each.pks for each in changes} == {None}
    assert not any(each.model.startswith(("core.", "sessions.")) for each in changes)
    other("e")
    far_ear.clear()
    reader.poll()
    assert len(far_ear.told()) == 1


@transactional
def test_a_reader_that_waits_for_missing_ids_notices_the_pruning(begun):
    """Ids that are still asked for do not hide that later ones are gone."""
    first, *rest = [ChangeLogEntry.objects.create(origin="x", number=number, changes="[]").pk for number in range(8)]
    horizon = Horizon(1, 10, time.monotonic())
    position = Position(rest[2], dict.fromkeys([first, rest[0], rest[1]], horizon))
    ChangeLogEntry.objects.filter(pk__lte=rest[2]).delete()
    assert not log.changes_since(position, "default").missed
    ChangeLogEntry.objects.filter(pk__lte=rest[3]).delete()
    assert log.changes_since(position, "default").missed


@transactional
def test_a_log_that_begins_anew_is_noticed(begun, other):
    """When the log is shorter than it was, everything counts as changed."""
    other("a")
    position = log.end("default")
    ChangeLogEntry.objects.filter(pk=position.last).delete()
    assert log.changes_since(position, "default").missed


@transactional
def test_a_reader_begins_by_taking_everything_as_changed(begun, far_ear):
    """What was committed before the process started, and perhaps not told to the cache, is made good."""
    Reader().poll()
    (changes,) = far_ear
    assert {each.pks for each in changes} == {None}


@transactional
def test_others_are_heard_and_ourselves_not(reader, far_ear, ear, other):
    """Each commit reaches a process by one of the two signals."""
    Tag.objects.create(name="own")
    assert len(ear.told()) == 1
    other("foreign", "foreign too")
    ear.clear()
    far_ear.clear()
    reader.poll()
    reader.poll()
    assert [each[:2] for each in far_ear.told()] == [("testapp.tag", "created")] * 2
    assert not ear


@transactional
def test_a_commit_of_ours_that_was_not_published_is_made_good(reader, far_ear, monkeypatch):
    """When the connection breaks after COMMIT nobody is told, until the log is read."""
    far_ear.clear()
    monkeypatch.setattr("core.changes.publisher.Publication.__call__", lambda self: None)
    Tag.objects.create(name="a")
    reader.poll()
    assert not far_ear  # it may be on its way
    monkeypatch.setattr(publisher, "LOST_AFTER", 0)
    monkeypatch.setattr("core.changes.reader.LOST_AFTER", 0)
    reader.poll()
    assert [each[:2] for each in far_ear.told()] == [("testapp.tag", "created")]
    reader.poll()
    assert not far_ear


@transactional
def test_a_database_that_is_down_silences_no_other(reader, far_ear, other, monkeypatch, caplog):
    """The logs of the others are read and pruned; the failure is logged once until the database works again."""

    class Connections(dict):
        def __missing__(self, using):
            return connections[using]

    class Down:
        def close(self):
            pass

    def end(using):
        if using == "down":
            raise OperationalError("is down")
        return Position(0)

    monkeypatch.setattr(log, "aliases", lambda: ["down", "default"])
    monkeypatch.setattr(log, "end", end)
    monkeypatch.setattr(reader_module, "connections", Connections(down=Down()))
    monkeypatch.setattr(reader, "_prune_at", 0.0)
    ChangeLogEntry.objects.update(created_at=Now() - timedelta(seconds=4000))
    other("a")
    far_ear.clear()
    reader.poll()
    other("b")
    reader.poll()
    assert [each[:2] for each in far_ear.told()] == [("testapp.tag", "created")] * 2
    assert ChangeLogEntry.objects.count() == 2
    assert caplog.text.count("cannot be read") == 1


@transactional
def test_an_idle_reader_holds_no_connection(reader):
    """Between two looks the reader's connection is closed, or back in its pool."""
    Tag.objects.create(name="a")
    reader.poll()
    assert connections["default"].connection is None


@transactional
def test_without_a_log_the_reader_does_nothing(reader):
    """Switched off, no statement is run."""
    with override_settings(CORE={"CHANGES": {"LOG": False}}), CaptureQueriesContext(connection) as captured:
        reader.poll()
    assert not captured.captured_queries


@transactional
def test_the_reader_prunes(begun):
    """Nobody else has to."""
    ChangeLogEntry.objects.update(created_at=Now() - timedelta(seconds=4000))
    Tag.objects.create(name="a")
    Reader().poll()
    assert ChangeLogEntry.objects.count() == 1


async def test_the_job_hears_what_others_commit(begun, far_ear, other, channel_layer, database_in_threads):
    """The server's job as a whole: it reads on by itself, within the poll interval, and ends when it is cancelled."""
    with override_settings(CORE={"CHANGES": {"POLL_INTERVAL": 0.1}, "CACHING": {"ENABLED": False}}):
        job = asyncio.create_task(reader_module.run())
        async with asyncio.timeout(PATIENCE):
            await asyncio.sleep(0)
            await reader_module.begun()
            far_ear.clear()
            await sync_to_async(other)("a")
            while not far_ear:
                await asyncio.sleep(0.02)
        assert [each[:2] for each in far_ear.told()] == [("testapp.tag", "created")]
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
