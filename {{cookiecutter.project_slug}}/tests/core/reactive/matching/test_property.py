"""The promise of matching: an observer whose finished list has changed is named."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core.changes import changes_committed
from core.reactive.matching import Index
from tests.core.changes import programs
from tests.core.reactive.matching import queries
from tests.core.reactive.matching.queries import Observed


@pytest.fixture
def commits():
    """What this process commits: one list of changes per commit."""
    told = []

    def hear(changes, **_):
        told.append(changes)

    changes_committed.connect(hear, weak=False, dispatch_uid="matching")
    yield told
    changes_committed.disconnect(dispatch_uid="matching")


def observed(lists):
    """An index of ``lists`` as they are now, and what it knows of them."""
    index = Index()
    known = {}
    for number, each in enumerate(lists):
        known[number] = Observed.now(each)
        known[number].put(index, number)
    return index, known


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@settings(
    max_examples=150,
    phases=(Phase.reuse, Phase.generate),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lists=st.lists(queries.lists(), min_size=4, max_size=12), program=programs.programs)
def test_whoever_shows_something_else_now_is_named(lists, program, commits):
    """After every step of a program of writes, each observer whose list has changed was named by its commits."""
    programs.empty()
    programs.seed()
    for step in program:
        index, known = observed(lists)
        commits.clear()
        programs.run(step)
        named = {}
        for changes in commits:
            named |= index.concerned(changes)
        for number, before in known.items():
            if number not in named and (now := before.text_now()) != before.text:
                pytest.fail(f"{before} was not named by {step}: {commits}. Now it is {now}.")
