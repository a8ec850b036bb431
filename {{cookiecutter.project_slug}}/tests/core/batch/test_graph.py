"""What items wait for, and which may run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.batch.graph import Schedule, find_cycle, in_line, sequence, waits_for


@pytest.mark.parametrize(
    ("depends_on", "cycle"),
    [
        ([], None),
        ([[], [0], [0, 1]], None),
        ([[1], []], None),
        ([[0]], [0]),
        ([[1], [0]], [0, 1]),
        ([[], [2], [3], [1]], [1, 2, 3]),
        ([[1, 2], [3], [3], []], None),
    ],
)
def test_a_cycle_is_found(depends_on, cycle):
    assert find_cycle(depends_on) == cycle


def test_a_long_chain_needs_no_stack():
    assert find_cycle([[number + 1] for number in range(100_000)] + [[]]) is None


R, W = True, False


@pytest.mark.parametrize(
    ("safe", "ordered", "waits"),
    [
        ([R, R, R], True, [set(), set(), set()]),
        ([W, W, W], True, [set(), {0}, {1}]),
        ([R, W, R, R, W], True, [set(), {0}, {1}, {1}, {1, 2, 3}]),
        ([R, W, R, R, W], False, [set()] * 5),
    ],
)
def test_an_item_that_writes_waits_and_is_waited_for(safe, ordered, waits):
    assert waits_for([()] * len(safe), safe, ordered=ordered) == waits


def test_where_only_one_may_write_those_that_write_take_turns():
    assert waits_for([{3}, (), (), ()], [W, R, W, W], ordered=False, one_writer=True) == [{3}, set(), set(), {2}]


def test_what_is_depended_on_is_waited_for_in_any_case():
    assert waits_for([(), {0}], [R, R], ordered=True) == [set(), {0}]
    assert waits_for([{1}, ()], [W, W], ordered=False) == [{1}, set()]


@st.composite
def graphs(draw):
    count = draw(st.integers(0, 12))
    order = draw(st.permutations(range(count)))
    waits = [set() for _ in range(count)]
    for place, item in enumerate(order):
        waits[item] = draw(st.sets(st.sampled_from(order[:place]))) if place else set()
    return waits


@given(graphs())
def test_every_item_runs_once_and_after_all_it_waits_for(waits):
    assert find_cycle([sorted(each) for each in waits]) is None
    order = sequence(waits)
    assert sorted(order) == list(range(len(waits)))
    for item, others in enumerate(waits):
        assert all(order.index(other) < order.index(item) for other in others)


@given(st.lists(st.booleans(), max_size=12))
def test_ordered_never_lets_a_write_pass_another_item(safe):
    waits = waits_for([()] * len(safe), safe, ordered=True)
    reached = [set() for _ in safe]
    for item, others in enumerate(waits):
        reached[item] = set(others).union(*(reached[other] for other in others))
        wanted = {other for other in range(item) if not (safe[item] and safe[other])}
        assert wanted <= reached[item]


def test_items_are_handed_out_in_the_order_of_the_batch():
    schedule = Schedule([{2}, set(), set()])
    assert (schedule.take(), schedule.take(), schedule.take()) == (1, 2, None)
    schedule.finish(2)
    assert (schedule.ready, schedule.take(), schedule.finished) == (1, 0, False)
    schedule.finish(0)
    schedule.finish(1)
    assert schedule.finished


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        ([], True),
        ([set()], True),
        ([set(), {0}, {0, 1}], True),
        ([set(), {0}, {0}], False),
        ([set(), set()], False),
        ([{1}, set()], False),
    ],
)
def test_items_that_all_wait_for_the_one_before_are_in_line(waits, expected):
    assert in_line(waits) is expected
