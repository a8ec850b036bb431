"""The steps from one answer to the next."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.reactive.differences import ADDED, CHANGED, REMOVED, ItemError, Snapshot, difference, make_items
from core.reactive.protocol import difference_messages
from tests.core.reactive.client import applied


def items(*pairs):
    return make_items([{"id": key, "value": value} for key, value in pairs], "id")


def steps(old, new):
    return [(step.msg, step.order, json.loads(step.key)) for step in difference(Snapshot.of(items(*old)), items(*new))]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", []),
        ("abc", "abc", []),
        ("", "ab", [(ADDED, 0, "a"), (ADDED, 1, "b")]),
        ("abc", "ac", [(REMOVED, 1, "b")]),
        ("abc", "", [(REMOVED, 0, "a"), (REMOVED, 1, "b"), (REMOVED, 2, "c")]),
        ("ac", "abc", [(ADDED, 1, "b")]),
        ("abcd", "bcda", [(CHANGED, 3, "a")]),  # moved: one step, whatever lies between
        ("abcd", "dabc", [(CHANGED, 0, "d")]),
        ("abc", "xab", [(REMOVED, 2, "c"), (ADDED, 0, "x")]),  # a window that moves on
    ],
)
def test_every_key_is_named_once_and_only_if_something_happened_to_it(old, new, expected):
    assert steps([(key, 0) for key in old], [(key, 0) for key in new]) == expected


def test_an_item_whose_content_differs_has_changed_in_its_place():
    assert steps([("a", 0), ("b", 0)], [("a", 0), ("b", 1)]) == [(CHANGED, 1, "b")]


answers = st.dictionaries(st.integers(0, 9), st.integers(0, 2)).flatmap(
    lambda found: st.permutations(list(found.items()))
)


@given(answers, answers)
def test_applied_one_by_one_the_messages_make_the_old_answer_the_new_one(old, new):
    found = difference(Snapshot.of(items(*old)), items(*new))
    messages = [json.loads(text) for text in difference_messages("o", "id", 7, found)]
    state = [{"id": key, "value": value} for key, value in old]
    assert applied(state, messages) == [{"id": key, "value": value} for key, value in new]
    assert [message["last"] for message in messages] == [False] * (len(messages) - 1) + [True] * bool(messages)
    places = {key: place for place, (key, _) in enumerate(old)}
    targets = {key: place for place, (key, _) in enumerate(new)}
    for message in messages:
        assert (message["observer"], message["primary_key"], message["seq"]) == ("o", "id", 7)
        key = message["item"]["id"]
        assert message["order"] == (places if message["msg"] == REMOVED else targets)[key]
        assert message["msg"] == (REMOVED if key not in targets else CHANGED if key in places else ADDED)


@given(answers)
def test_what_is_remembered_survives_being_written_down(answer):
    snapshot = Snapshot.of(items(*answer))
    assert Snapshot.read(*snapshot.written()) == snapshot
    assert difference(Snapshot.read(*snapshot.written()), items(*answer)) == []


def test_a_number_and_the_same_digits_as_text_are_different_keys():
    assert [step[0] for step in steps([(1, 0)], [("1", 0)])] == [REMOVED, ADDED]


def test_an_item_without_its_key_is_refused_with_what_to_do():
    with pytest.raises(ItemError, match="has no 'pk': add it to the serializer"):
        make_items([{"id": 1}], "pk")


def test_two_items_with_one_key_are_refused():
    with pytest.raises(ItemError, match="Two items have the key 1"):
        items((1, 0), (1, 1))
