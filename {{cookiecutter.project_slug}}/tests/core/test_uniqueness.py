"""Which of many rows would repeat a unique set of values."""

import pytest
from django.db import connection
from django.db.models import F, Q
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.uniqueness import UniqueSet, Wish, _Judge, _truth, _UndecidedError, clashes
from tests.testapp.models import Note

pytestmark = pytest.mark.django_db

NUMBERS = st.none() | st.integers(0, 2)
WISHES = st.lists(
    st.builds(Wish, st.tuples(NUMBERS, st.sampled_from("ab")), NUMBERS, NUMBERS.map(lambda n: {"size": n}))
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(WISHES, st.sampled_from([None, Q(size__gt=0)]), st.booleans())
def test_a_wish_clashes_with_rows_and_with_wishes_before_it(wishes, condition, nulls_alike):
    """Compared with a plain search through all rows and all wishes."""
    if not Note.objects.exists():
        Note.objects.bulk_create([Note(pk=pk, size=pk, text="ab"[pk % 2]) for pk in range(3)])
    found = clashes(Note.objects.all(), UniqueSet(("size", "text"), condition, nulls_alike=nulls_alike), wishes)
    rows = list(Note.objects.filter(condition or Q()).values_list("pk", "size", "text"))
    expected = {}
    for place, wish in enumerate(wishes):
        counts = [
            condition is None or each.others["size"] is None or each.others["size"] > 0 for each in wishes[: place + 1]
        ]
        if not counts[place] or (None in wish.values and not nulls_alike):
            continue
        if any((size, text) == wish.values and pk != wish.own for pk, size, text in rows):
            expected[place] = None
        elif before := [at for at in range(place) if counts[at] and wishes[at].values == wish.values]:
            expected[place] = before[0]
    assert found == expected


LEAVES = st.one_of(
    st.tuples(st.sampled_from(["n", "n__exact", "n__gt", "n__lte", "n__gte", "n__lt"]), st.integers(0, 2)),
    st.tuples(st.just("n__in"), st.lists(NUMBERS, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["n__isnull", "t__isnull"]), st.booleans()),
    st.tuples(st.sampled_from(["t", "t__exact"]), st.sampled_from(["a", "A", ""])),
    st.tuples(st.just("b"), st.booleans()),
).map(lambda leaf: Q(leaf))
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: two[0] & two[1]),
        st.tuples(inner, inner).map(lambda two: two[0] | two[1]),
        inner.map(lambda one: ~one),
    ),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(CONDITIONS, st.integers(0, 2), st.sampled_from(["a", "A", "b"]), st.booleans())
def test_a_condition_is_judged_in_memory_as_the_database_judges_it(condition, number, text, boolean):
    values = {"n": number, "t": text, "b": boolean}
    assert (_truth(condition, values) is not False) == condition.check(values)


@pytest.mark.parametrize(
    "condition", [Q(n__gt=F("m")), Q(t__startswith="a"), Q(t__gt="a"), Q(n="1"), Q(n=1) ^ Q(n=2), Q(other=1)]
)
def test_what_only_the_database_can_tell_is_left_to_it(condition):
    with pytest.raises(_UndecidedError):
        _truth(condition, {"n": 1, "m": 0, "t": "abc"})


def test_the_database_is_asked_once_for_equal_values(django_assert_num_queries):
    judge = _Judge(Q(t__startswith="a"), "default")
    with django_assert_num_queries(2 * 3):  # each in a savepoint
        assert [judge.met_by({"t": text}) for text in ("abc", "b", "abc", "b")] == [True, False, True, False]
    assert [judge.met_by({"t": "a", "n": []}) for _ in range(2)] == [True, True]  # a value that cannot be remembered
    assert _Judge(None, "default").met_by({})


def test_a_statement_takes_no_more_than_a_block(monkeypatch):
    """However many wishes there are, no statement has more parameters than the database takes."""
    monkeypatch.setattr("core.uniqueness.block_size", lambda _, parameters: 20 // parameters)
    wishes = [Wish((number, "a")) for number in range(35)]
    with CaptureQueriesContext(connection) as captured:
        assert clashes(Note.objects.all(), UniqueSet(("size", "text")), wishes) == {}
    assert len(captured.captured_queries) == 4
