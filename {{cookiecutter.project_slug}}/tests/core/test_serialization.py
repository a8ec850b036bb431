"""What is stored in a shared cache is JSON."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.serialization import JSONCacheSerializer

serializer = JSONCacheSerializer()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_what_goes_in_comes_out(value):
    found = serializer.loads(serializer.dumps(value))
    assert found == value
    assert type(found) is type(value)


def test_an_integer_stays_one_for_incr():
    assert serializer.dumps(7) == 7
    assert serializer.dumps(True) == b"true"


def test_a_pickle_in_the_cache_is_refused_not_run():
    with pytest.raises(ValueError, match="codec can't decode"):
        serializer.loads(pickle.dumps(print))


def test_what_json_cannot_carry_is_refused():
    with pytest.raises(TypeError):
        serializer.dumps(object())
