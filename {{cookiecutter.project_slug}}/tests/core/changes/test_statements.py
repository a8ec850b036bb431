"""What a write costs in statements: with nobody to tell, exactly Django's own."""

import contextlib
import re

import pytest
from django.db import connection, connections, transaction
from django.db.models import Case, F, Q, When
from django.db.models.functions import Lower
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from core.changes import capture, returning
from tests.core.changes import programs

OFF = {feature: {"ENABLED": False} for feature in ("CACHING", "REACTIVE", "BINDINGS")}
LOG = "core_changelogentry"


def statements(way, n):
    """The statements of a way of writing, without the values, which are others each time."""
    with contextlib.suppress(programs.BoomError), transaction.atomic():
        programs.empty()
        programs.seed()
        with CaptureQueriesContext(connection) as captured:
            way(n)
        raise programs.BoomError
    queries = [re.sub(r"s\d+_x\d+|'[^']*'", "?", query["sql"]) for query in captured.captured_queries]
    return [re.sub(r"\d+", "0", query) for query in queries]


@pytest.mark.django_db(transaction=True)
def test_with_no_feature_on_django_runs_its_own_statements(monkeypatch):
    """With every reader of changes off, tracked managers and watched models run what plain Django runs."""
    with override_settings(CORE=OFF):
        assert not capture.watched
        ours = {(way, n): statements(way, n) for way in programs.WAYS for n in (3, 4)}
        for name in ("update", "delete", "_raw_delete", "_insert", "_update"):
            monkeypatch.delattr(f"core.changes.querysets.TrackedQuerySet.{name}")
        plain = {(way, n): statements(way, n) for way in programs.WAYS for n in (3, 4)}
    assert ours == plain


@pytest.mark.django_db(transaction=True)
def test_the_log_takes_one_statement_per_transaction(ear):
    """However much a transaction writes, the entry is one INSERT, and the last statement before COMMIT."""
    programs.seed()
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        for way in programs.WAYS:
            way(3)
    queries = [query["sql"] for query in captured.captured_queries]
    assert sum(LOG in query for query in queries) == 1
    assert LOG in queries[-2]
    assert queries[-1] == "COMMIT"


@pytest.mark.django_db(transaction=True)
def test_a_bare_save_is_one_transaction_with_its_entry(ear):
    """Outside ``atomic`` the entry of a save is committed with it, whichever way rows are saved."""
    for write in (
        lambda: programs.Note.objects.create(text="a"),
        lambda: programs.Note.objects.get().save(),
        lambda: programs.Note.objects.bulk_create([programs.Note(text="b"), programs.Note(text="c")]),
        lambda: programs.Cafe.objects.create(name="a"),
    ):
        with CaptureQueriesContext(connection) as captured:
            write()
        first, *between, last = [query["sql"] for query in captured.captured_queries if "SELECT" not in query["sql"]]
        assert (first.split()[0], last) == ("BEGIN", "COMMIT")
        assert [LOG in sql for sql in between] == [False] * (len(between) - 1) + [True]
    assert len(ear) == 4


@pytest.mark.django_db(transaction=True)
def test_the_keys_of_an_update_come_with_it(ear):
    """An update of many rows is the same number of statements with its keys as without."""
    programs.seed()
    ear.clear()
    with CaptureQueriesContext(connection) as captured:
        assert programs.Note.objects.filter(size__lt=4).update(size=9) == 4
    words = ["WITH"] if connection.vendor == "postgresql" else ["UPDATE"]
    said = [query["sql"].split()[0] for query in captured.captured_queries if "RELEASE" not in query["sql"]]
    assert said == ["BEGIN", *words, "INSERT", "COMMIT"]
    ((_, kind, pks, fields),) = ear.told()
    assert (kind, len(pks), fields) == ("updated", 4, {"size"})


@pytest.fixture
def questions(monkeypatch):
    """What was asked before each statement that writes; None where nothing was."""
    asked, question = [], returning._question

    def noted(*args):
        asked.append(question(*args))
        return asked[-1]

    monkeypatch.setattr(returning, "_question", noted)
    return asked


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="asked beforehand on SQLite only")
@pytest.mark.parametrize(
    ("asked", "write"),
    [
        (True, lambda notes: notes.update(size=F("size") + 1)),
        (True, lambda notes: notes.filter(Q(text__startswith="n") | Q(pk__in=[1, 2])).update(text="b")),
        (
            True,
            lambda notes: notes.filter(size__gte=2).update(
                text="a %s WHERE b%", size=Case(When(size=1, then=2), default=5)
            ),
        ),
        (True, lambda notes: notes.filter(folder=None)._raw_delete("default")),
        (False, lambda notes: notes.filter(pk=notes[1].pk).update(size=4)),
        (False, lambda notes: notes.filter(pk__in=notes.order_by("?").values("pk")[:3]).update(size=4)),
        (False, lambda notes: notes.filter(text=Lower("text")).update(size=4)),
        (False, lambda notes: notes.filter(folder__name__contains="seed").update(size=4)),
        (False, lambda _: programs.Ticket.objects.update(id="6" * 32)),
        (False, lambda _: programs.Seat.objects.update(row=2)),
        (True, lambda _: programs.Seat.objects.filter(row=1).update(guest="a")),
    ],
)
def test_rows_are_asked_for_beforehand_only_where_that_is_exact(ear, questions, asked, write):
    """A query before the statement sees the rows of the statement; where it might see others RETURNING tells."""
    programs.seed()
    programs.Note.objects.filter(size=3).update(folder=None)
    programs.Ticket.objects.create(title="a")
    programs.Seat.objects.create(row=1, number=1)
    before = programs.snapshot()
    ear.clear()
    questions.clear()
    rows = write(programs.Note.objects.order_by("pk"))
    assert any(questions) == asked
    after = programs.snapshot()
    ((_, kind, pks, _), *_) = ear.told()
    assert len(pks) == rows
    for table in before:
        changed = {pk for pk, row in before[table].items() if after[table].get(pk) != row}
        if changed and kind in {"updated", "deleted"}:
            assert changed <= set(pks)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("gone", [[], [0], [3, 5], [1, 2, 3, 4, 6]])
@pytest.mark.parametrize("limit", [3, 8])
@pytest.mark.parametrize("few", [2, 200])
def test_keys_are_exact_whether_they_follow_one_another_or_not(ear, monkeypatch, gone, limit, few):
    """An update and a deletion tell each key once, up to the limit, with gaps and without."""
    monkeypatch.setattr(returning, "FEW", few)
    notes = programs.Note.objects.bulk_create([programs.Note(size=1) for _ in range(8)])
    programs.Note.objects.filter(pk__in=[notes[place].pk for place in gone]).update(size=2)
    left = tuple(note.pk for place, note in enumerate(notes) if place not in gone)
    ear.clear()
    with override_settings(CORE={"CHANGES": {"MAX_PKS": limit}}):
        assert programs.Note.objects.filter(size=1).update(size=3) == len(left)
        assert programs.Note.objects.filter(size=3).delete()[0] == len(left)
        assert programs.Note.objects.filter(size=3).update(size=4) == 0
    known = left if len(left) <= limit else None
    told = [(kind, pks and tuple(sorted(pks))) for _, kind, pks, _ in ear.told()]
    assert told == [("updated", known), ("deleted", known)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("keys", [(-(2**63), 5), (-(2**63), 1 - 2**63), (-1, 0, 1), (5,)])
def test_keys_far_apart_and_far_out_are_told(ear, monkeypatch, keys):
    """Nothing overflows where the first and the last key are compared."""
    monkeypatch.setattr(returning, "FEW", 0)
    for key in keys:
        programs.Note(pk=key, size=1).save(force_insert=True)
    ear.clear()
    assert programs.Note.objects.filter(size=1).update(size=2) == len(keys)
    ((_, _, pks, _),) = ear.told()
    assert tuple(sorted(pks)) == keys


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", [programs.Ticket, programs.Seat, programs.Cafe])
def test_keys_that_are_no_whole_numbers_are_told_as_well(ear, monkeypatch, model):
    """Texts, keys of several columns, and keys that are foreign keys too."""
    monkeypatch.setattr(returning, "FEW", 1)
    for number in range(3):
        model.objects.create(**{programs.Seat: {"row": 1, "number": number}}.get(model, {}))
    expected = {row.pk for row in model.objects.all()}
    ear.clear()
    name = {programs.Ticket: "title", programs.Seat: "guest"}.get(model, "name")
    assert model.objects.update(**{name: "a"}) == 3
    assert expected == set(ear.told()[0][2])


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="asked beforehand on SQLite only")
def test_rows_are_not_asked_for_where_others_may_write_in_between(ear, questions, monkeypatch):
    """Without the lock for writing from the start of the transaction, the statement itself tells."""
    programs.seed()
    monkeypatch.setattr(connections["default"], "transaction_mode", None)
    ear.clear()
    questions.clear()
    programs.Note.objects.filter(size__lt=4).update(size=9)
    assert questions == [None]
    assert len(ear[0][0].pks) == 4


@pytest.mark.django_db(transaction=True)
def test_deletion_keeps_the_fast_path(ear):
    """Rows with nothing hanging on them go in one statement though they are watched, and each is told of."""
    programs.seed()
    ear.clear()
    with CaptureQueriesContext(connection) as captured:
        assert programs.Note.objects.all().delete() == (6, {"testapp.Note": 6})
    words = ["WITH"] if connection.vendor == "postgresql" else ["DELETE"]
    assert [query["sql"].split()[0] for query in captured.captured_queries] == ["BEGIN", *words, "INSERT", "COMMIT"]
    ((_, kind, pks, _),) = ear.told()
    assert (kind, len(pks)) == ("deleted", 6)


@pytest.mark.django_db(transaction=True)
def test_excluded_models_are_left_alone(ear):
    """Models that the settings exclude run Django's statements and are never told of."""
    from tests.testapp.models import Quiet

    with CaptureQueriesContext(connection) as captured:
        Quiet.objects.bulk_create([Quiet(text="a")])
        Quiet.objects.update(text="b")
        Quiet.objects.all().delete()
    assert not any(LOG in query["sql"] for query in captured.captured_queries)
    assert not ear


@pytest.mark.django_db(transaction=True)
def test_without_a_log_receivers_are_told_all_the_same(ear):
    """With the log switched off nothing is written to it."""
    with override_settings(CORE={"CHANGES": {"LOG": False}}), CaptureQueriesContext(connection) as captured:
        programs.save_new(2)
    assert not any(LOG in query["sql"] for query in captured.captured_queries)
    assert ear
