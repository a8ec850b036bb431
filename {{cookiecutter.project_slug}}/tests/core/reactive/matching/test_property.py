"""The promise of matching: an observer whose finished list has changed is named."""

import random

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


FOUND_FAST = settings(
    max_examples=60,
    # Lists and writes are small already; to make them smaller takes minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Observers:
    """Observers of lists, and the commits that happen to them."""

    def __init__(self, lists, commits):
        self.known = [Observed(each) for each in lists]
        self.commits = commits

    def see(self, step):
        """Run ``step``; return who was named, with the reason, and who shows something else, by their numbers."""
        index = Index()
        for number, each in enumerate(self.known):
            each.put(index, number)
        self.commits.clear()
        programs.run(step)
        named = {}
        for changes in self.commits:
            named |= index.concerned(changes)
        return named

    def forgotten(self, step):
        """Run ``step``; return who shows something else now and was not named, each with what was seen."""
        named = self.see(step)
        found = []
        for number, each in enumerate(self.known):
            before, profile = each.text, each.profile
            if not each.evaluate() and number not in named:
                told = f"{step}: {self.commits}.\n{profile}\n{before}\n{each.text}"
                found.append(f"{each.asked} was not named by {told}")
        return found


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", [2])
def test_every_way_of_writing_names_whoever_shows_something_else_now(seed, commits):
    """Every kind of list, with every condition, ordering and shape, under every way of writing."""
    programs.empty()
    programs.seed()
    chance = random.Random(seed)
    observers = Observers(queries.every_kind(chance), commits)
    ways = chance.sample([*programs.WAYS, *queries.MOVES], len(programs.WAYS) + len(queries.MOVES))
    for way in ways:
        assert observers.forgotten(programs.Write(way, chance.randrange(12))) == []


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@FOUND_FAST
@given(
    lists=st.lists(queries.lists(), min_size=4, max_size=12),
    program=st.lists(st.one_of(programs.blocks, queries.moves), min_size=1, max_size=4),
)
def test_whoever_shows_something_else_now_is_named(lists, program, commits):
    """After every step of a program of writes, each observer whose list has changed was named by its commits."""
    programs.empty()
    programs.seed()
    observers = Observers(lists, commits)
    for step in program:
        assert observers.forgotten(step) == []


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@FOUND_FAST
@given(
    lists=st.lists(
        queries.lists(tuple(queries.DECIDABLE), decidable=True, windows=[(None, None), (0, 3)]), min_size=4, max_size=12
    ),
    program=st.lists(st.one_of(programs.writes, queries.moves), min_size=1, max_size=4),
)
def test_whoever_shows_none_of_the_rows_is_left_alone(lists, program, commits):
    """Where conditions can be decided, who is named shows a row that was written, or may show it now."""
    programs.empty()
    programs.seed()
    observers = Observers(lists, commits)
    for step in program:
        named = observers.see(step)
        for number, each in enumerate(observers.known):
            told = [change for changes in commits for change in changes if change.table in each.profile.tables]
            unknown = any(change.pks is None for change in told)
            written = {pk for change in told for pk in change.pks or ()}
            shown = {row.pk for row in each.rows}
            expected = unknown or not written.isdisjoint(shown) or each.whole.filter(pk__in=written).exists()
            if number in named and not expected:
                pytest.fail(f"{each} was named by {step}: {commits}: {named[number]}.")
            each.evaluate()
