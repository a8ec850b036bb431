"""Arithmetic of limits."""

from hypothesis import given
from hypothesis import strategies as st

from core.sockets.limits import Allowance, TokenBucket


def test_a_full_bucket_lets_a_burst_through_and_then_the_rate():
    bucket = TokenBucket.full(rate=2, burst=3, now=10.0)
    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(10.4)
    assert bucket.take(10.6)
    assert not bucket.take(10.7)


@given(st.lists(st.floats(min_value=0, max_value=1), max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_a_bucket_never_lets_more_through_than_burst_and_rate_allow(pauses, rate, burst):
    bucket = TokenBucket.full(rate, burst, 0.0)
    now, taken = 0.0, 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now)
        assert taken <= burst + now * rate + 1e-6


def test_an_allowance_begins_anew_with_each_interval_and_carries_what_still_waits():
    allowance = Allowance()
    assert allowance.spend(5, 0, now=0.0, interval=10) == 5
    assert allowance.spend(5, 0, now=9.9, interval=10) == 10
    assert allowance.spend(1, 7, now=10.0, interval=10) == 8
