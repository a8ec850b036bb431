"""What is told of rows that come, change and go, as plain decisions."""

from hypothesis import given
from hypothesis import strategies as st

from core.bindings.audience import Audience, Subscription, Told, Touched
from core.changes import Change


def audience(*, seen=(), whole=True, detail=False, most=100):
    made = Audience(detail, most)
    made.seen, made.whole = {pk: pk for pk in seen}, whole
    return made


def told(made, pks, visible, created=()):
    events = list(made.judge(pks, {pk: pk for pk in visible}, set(created)))
    for event in events:
        made.remember(event, None)
    return [(event.action, event.pk) for event in events]


def test_what_was_in_sight_before_and_is_now_decides_what_is_told():
    made = audience(seen=[1, 2])
    assert told(made, [1, 2, 3, 4], visible=[1, 3]) == [("delete", 2), ("update", 1), ("create", 3)]
    assert set(made.seen) == {1, 3}


def test_a_row_of_another_name_has_gone_by_the_old_one_and_come_by_the_new_one():
    made = audience()
    made.seen = {1: "a", 2: "b"}
    events = list(made.judge([1, 2], {1: "b", 2: "a"}, set()))
    assert events == [("delete", 1, "a"), ("delete", 2, "b"), ("create", 1, "b"), ("create", 2, "a")]


def test_a_single_row_that_is_back_has_changed_and_is_not_new():
    made = audience(detail=True, whole=False)
    made.add("a", Subscription("update", 1))
    assert told(made, [1], [1], created=[1]) == [("update", 1)]
    assert told(made, [1], []) == [("delete", 1)]
    assert told(made, [1], [1]) == [("update", 1)]


def test_the_same_again_is_an_update():
    made = audience()
    assert told(made, [1], [1]) == [("create", 1)]
    assert told(made, [1], [1]) == [("update", 1)]
    assert told(made, [1], []) == [("delete", 1)]
    assert told(made, [1], []) == []


def test_where_not_all_is_remembered_only_new_rows_are_created_and_only_named_ones_deleted():
    made = audience(whole=False)
    assert not made.tracked
    assert told(made, [1, 2, 3], visible=[1, 2], created=[1]) == [("create", 1), ("update", 2)]
    assert told(made, [1, 2, 3], visible=[]) == [("delete", 1), ("delete", 2)]


def test_no_more_is_remembered_than_may_be():
    made = audience(seen=[1, 2, 3], most=3)
    assert told(made, [4], visible=[4]) == [("create", 4)]
    assert set(made.seen) == {2, 3, 4}
    assert not made.tracked


def test_an_audience_that_outgrows_what_it_can_remember_says_so():
    made = audience(seen=[1, 2, 3], most=3)
    told(made, [1], visible=[1])
    assert not made.outgrown
    told(made, [4], visible=[4])
    assert made.outgrown
    untracked = audience(seen=[1, 2, 3], most=3, whole=False)
    told(untracked, [4], visible=[4])
    assert not untracked.outgrown


def test_single_rows_are_told_to_who_has_named_them():
    made = audience(detail=True, whole=False)
    made.add("a", Subscription("update", 1))
    made.add("b", Subscription("delete", 2))
    assert made.concerned([1, 2, 3]) == [1, 2]
    assert made.receivers(Told("update", 1, 1)) == {"a"}
    assert made.receivers(Told("update", 2, 2)) == set()
    assert made.tracked
    assert made.subscriptions("a") == [Subscription("update", 1)]


def test_an_event_goes_to_who_has_subscribed_to_it():
    made = audience()
    made.add("a", Subscription("update"))
    made.add("a", Subscription("update"))  # twice is once
    made.add("b", Subscription("create"))
    assert made.receivers(Told("update", 1, 1)) == {"a"}
    made.remove("a", Subscription("update"))
    made.remove("a", Subscription("update"))
    assert made.receivers(Told("update", 1, 1)) == set()
    assert made
    made.remove("b", Subscription("create"))
    assert not made


def test_a_row_that_nobody_names_any_more_is_forgotten():
    made = audience(detail=True, seen=[1], whole=False)
    made.add("a", Subscription("update", 1))
    made.add("b", Subscription("delete", 1))
    made.remove("a", Subscription("update", 1))
    assert made.seen
    made.remove("b", Subscription("delete", 1))
    assert not made.seen


def test_changes_of_one_commit_are_added_up():
    touched = Touched()
    touched.add(Change("a.b", "t", "created", (1,), None, "default"))
    touched.add(Change("a.b", "t", "updated", (2,), None, "default"))
    touched.add(Change("a.b", "t", "deleted", None, None, "default"))
    touched.add(Change("a.parent", "p", "updated", (9,), None, "default"), same_keys=False)
    assert (touched.pks, touched.created, touched.unknown) == ({1, 2}, {1}, {"deleted", "updated"})


def test_commits_that_become_one_do_not_grow_without_bound():
    one, other = Touched({1}, {1}), Touched({2}, set(), {"deleted"})
    assert one.merged(other, 2) == Touched({1, 2}, {1}, {"deleted"})
    assert one.merged(other, 1) == Touched(set(), set(), {"created", "updated", "deleted"})
    assert one == Touched({1}, {1})


@given(st.lists(st.tuples(st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)))), st.sets(st.integers(0, 5)))
def test_who_applies_the_events_sees_what_is_in_sight(steps, at_first):
    """Whatever changes, and in whatever order it is heard of: each row looks as when it was last looked at."""
    made, client, in_sight = audience(seen=at_first), set(at_first), set(at_first)
    for touched, visible in steps:
        in_sight = (in_sight - touched) | (visible & touched)
        for action, pk in told(made, touched, visible):
            assert (pk in client) == (action != "create")
            client = client - {pk} if action == "delete" else client | {pk}
        assert client == in_sight == set(made.seen)
