"""What clients say that they know already."""

import pytest

from core.reactive import store


@pytest.mark.parametrize(
    ("since", "known"), [(0, None), (10**15 - 1, None), (10**15, []), (10**15 + 1, []), (-1, None)]
)
def test_a_number_of_a_clients_own_costs_nothing(db, since, known):
    """As a list of numbers, what was missed since 0 would not fit into memory."""
    assert store.differences("observer", since, 10**15) == known
