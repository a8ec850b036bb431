"""The promise of the stream: who listens to it knows what was committed, and nothing of what was not."""

import pytest
from hypothesis import HealthCheck, example, given, settings

from tests.core.changes import programs
from tests.core.changes.programs import Block, Write, tables

MAY_SAY_SOME = {"testapp_tag", "testapp_folder"}  # clear() does not tell who was at the other end

UPSERTED = {"testapp_tag", "testapp_note", "testapp_place"}


def check(published, before, after):
    """Compare what was published with what the tables show."""
    kinds = {}
    refreshed = {}
    for changes in published:
        seen = {(change.table, change.kind) for change in changes}
        assert len(seen) == len(changes), "not coalesced"
        for change in changes:
            assert change.model == tables()[change.table]._meta.label_lower
            assert change.pks is None or (change.pks and len(set(change.pks)) == len(change.pks))
            kinds.setdefault((change.table, change.kind), []).append(change)
            refreshed.setdefault(change.table, set()).update(
                after[change.table].keys() | before[change.table].keys() if change.pks is None else change.pks
            )
    for table, rows in after.items():
        old = before[table]
        # Who fetches the rows that were named, and only those, knows the table as it is now.
        mirror = {pk: row for pk, row in old.items() if pk not in refreshed.get(table, ())}
        mirror |= {pk: rows[pk] for pk in refreshed.get(table, ()) if pk in rows}
        assert mirror == rows, f"{table}: not all was told"
        for kind in ("created", "updated", "deleted"):
            told = kinds.get((table, kind), [])
            # Rows in the middle of somebody's own many-to-many are created without a word about their keys.
            if len(published) == 1 and table != "testapp_slot":
                told_truly(table, kind, told, old, rows, kinds)


def told_truly(table, kind, told, old, rows, kinds):
    """Nothing was told of rows to which it did not happen."""
    if not told:
        return
    (change,) = told
    if change.pks is None:
        assert kind == "updated"
        assert table in MAY_SAY_SOME
        return
    pks = set(change.pks)
    if kind == "deleted":
        assert pks >= old.keys() - rows.keys()
        assert pks.isdisjoint(rows)
        # A row that an upsert may have created or found, and that was deleted after it, may have been there or not.
        assert table in UPSERTED or pks <= old.keys()
    elif kind == "created":
        both = {pk for other in kinds.get((table, "updated"), []) for pk in other.pks or pks}
        fresh = rows.keys() - old.keys()
        assert fresh <= pks
        assert pks - fresh <= both  # which of the two an upsert did is not known
    else:
        both = {pk for other in kinds.get((table, "created"), []) for pk in other.pks or ()}
        assert pks - both <= old.keys() & rows.keys()
        for pk in pks & old.keys() & rows.keys():
            if change.fields is not None:
                names = {column for column in rows[pk] if rows[pk][column] != old[pk][column]}
                assert names <= {f"{each}{end}" for each in change.fields for end in ("", "_id")}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@example(
    program=[
        *(Write(way, n) for way in programs.WAYS for n in (5, 3)),
        Block([Write(way, n) for way in programs.WAYS for n in (7, 4)], True, "commit"),
    ]
)
@example(
    program=[Block([Write(way, 5), Block([Write(way, 7)], True, "raise")], True, "commit") for way in programs.WAYS]
)
@given(program=programs.programs)
def test_whoever_listens_knows_what_was_committed(program, ear):
    """After every program of writes, a listener's mirror of the tables is right, and a rollback was not heard of."""
    programs.empty()
    programs.seed()
    for step in program:
        before = programs.snapshot()
        ear.clear()
        programs.run(step)
        after = programs.snapshot()
        if isinstance(step, Block):
            assert len(ear) <= 1, "more than one publication for one transaction"
            if step.end != "commit":
                assert not ear
        check(list(ear), before, after)
