"""What several writes come to."""

import pytest

from core.changes.change import Change, Table, Touch
from core.changes.frames import Frame, settle
from core.changes.ledger import Ledger

NOTE = Table("app.note", "app_note")


def net(*touches, limit=100):
    ledger = Ledger(limit)
    for kind, pks, *fields in touches:
        ledger.add(Touch(NOTE, kind, pks, frozenset(fields[0]) if fields else None))
    return {change.kind: (change.pks, change.fields) for change in ledger.changes("default")}


@pytest.mark.parametrize(
    ("writes", "expected"),
    [
        ([("created", (1,)), ("updated", (1,), ["a"])], {"created": ((1,), None)}),
        ([("created", (1,)), ("deleted", (1,))], {}),
        ([("updated", (1,), ["a"]), ("updated", (2, 1), ["b"])], {"updated": ((1, 2), frozenset("ab"))}),
        ([("updated", (1,), ["a"]), ("updated", (1,))], {"updated": ((1,), None)}),
        ([("updated", (1,), ["a"]), ("deleted", (1,))], {"deleted": ((1,), None)}),
        ([("deleted", (1,)), ("created", (1,))], {"updated": ((1,), None)}),
        ([("created", (1,)), ("deleted", (1,)), ("created", (1,))], {"created": ((1,), None)}),
        ([("upserted", (1,), ["a"])], {"created": ((1,), None), "updated": ((1,), frozenset("a"))}),
        ([("upserted", (1,), ["a"]), ("deleted", (1,))], {"deleted": ((1,), None)}),
        ([("updated", None, ["a"]), ("updated", (1,), ["b"])], {"updated": (None, frozenset("ab"))}),
        ([("deleted", None), ("created", (1,))], {"created": ((1,), None), "deleted": (None, None)}),
    ],
)
def test_writes_to_a_row_add_up(writes, expected):
    """A transaction publishes the net effect on each row."""
    assert net(*writes) == expected


def test_above_the_limit_the_keys_are_given_up():
    """More rows than the limit are "some rows", and take no memory."""
    assert net(("updated", (1, 2, 3), ["a"]), limit=3) == {"updated": ((1, 2, 3), frozenset("a"))}
    assert net(("updated", (1, 2, 3, 4), ["a"]), ("created", (9,)), limit=3) == {
        "created": (None, None),
        "updated": (None, frozenset("a")),
    }


@pytest.mark.parametrize("limit", [4, 100])
@pytest.mark.parametrize(
    "writes",
    [
        [("updated", range(1, 5), ["a"])],
        [("updated", range(1, 5), ["a"]), ("updated", range(3, 7), ["b"])],
        [("created", range(1, 5)), ("deleted", (2,)), ("updated", range(1, 2))],
        [("updated", (9,)), ("created", range(1, 5))],
        [("deleted", range(1, 5)), ("deleted", None)],
        [("created", range(1, 8)), ("updated", range(1, 3))],
        [("upserted", range(1, 5))],
        [("updated", range(0)), ("deleted", range(1, 3))],
    ],
)
def test_keys_given_as_a_range_are_keys(writes, limit):
    """A range of keys comes to what the same keys come to one by one, in one savepoint or in two."""
    listed = [(kind, pks and tuple(pks), *fields) for kind, pks, *fields in writes]
    expected = net(*listed, limit=limit)
    assert net(*writes, limit=limit) == expected
    before, after = Ledger(limit), Ledger(limit)
    for ledger, (kind, pks, *fields) in zip([before, *[after] * len(writes)], writes, strict=False):
        ledger.add(Touch(NOTE, kind, pks, frozenset(fields[0]) if fields else None))
    before.merge(after)
    assert {change.kind: (change.pks, change.fields) for change in before.changes("x")} == expected


def test_merging_is_adding_in_order():
    """What a released savepoint did counts as done after what was done before it."""
    before, after = Ledger(10), Ledger(10)
    before.add(Touch(NOTE, "created", (1, 2)))
    after.add(Touch(NOTE, "deleted", (1,)))
    after.add(Touch(NOTE, "updated", (2, 3), frozenset("a")))
    before.merge(after)
    assert before.changes("x") == [
        Change("app.note", "app_note", "created", (2,), None, "x"),
        Change("app.note", "app_note", "updated", (3,), frozenset("a"), "x"),
    ]


def _stack(*savepoints):
    return [Frame(each, Ledger(10)) for each in savepoints]


def test_released_savepoints_fall_together():
    """Frames of savepoints that are no longer open merge into the nearest one that holds them."""
    frames = _stack((), ("a",), ("a", "b", "c"))
    frames[2].ledger.add(Touch(NOTE, "created", (1,)))
    moved = []
    settle(frames, ("a",), lambda _: True, lambda frame, into: moved.append((frame, into)))
    assert [frame.savepoints for frame in frames] == [(), ("a",)]
    assert frames[1].ledger.changes("x")[0].pks == (1,)
    assert len(moved) == 1


def test_a_frame_without_one_around_it_takes_its_place():
    """When nothing was written outside the savepoint, its frame becomes that of the outside."""
    frames = _stack(("a", "b"))
    settle(frames, ("a", "z"), lambda _: True, lambda *_: None)
    assert [frame.savepoints for frame in frames] == [("a",)]


def test_frames_that_were_rolled_back_are_dropped():
    """Nothing of a rolled-back savepoint remains."""
    frames = _stack((), ("a",))
    dead = frames[1]
    settle(frames, (), lambda frame: frame is not dead, lambda *_: None)
    assert [frame.savepoints for frame in frames] == [()]
