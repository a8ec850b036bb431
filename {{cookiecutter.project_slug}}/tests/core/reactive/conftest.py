"""A site in small, for tests of live queries."""

import pytest

from core.reactive import publishing
from polls.models import Question
from tests.core.reactive.world import World


@pytest.fixture
def world(monkeypatch, settings, transactional_db):
    """Processes, workers and pages; evaluations are not throttled."""
    settings.CORE = {**settings.CORE, "REACTIVE": {"THROTTLE_RATE": 0}}
    made = World()
    monkeypatch.setattr(publishing, "send", made.send)
    # A worker's first look makes everything due, and so does a log that has been emptied, as between tests.
    Question.objects.create(question_text="First").delete()
    made.work()
    return made
