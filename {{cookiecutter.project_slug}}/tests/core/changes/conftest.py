"""What tests of the change stream share."""

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from core.changes import changes_committed, changes_heard
from tests.threads import close_caches


class Ear(list):
    """A toy subscriber: the list of what it was told, one list of changes per publication."""

    def __call__(self, changes, **_):
        self.append(changes)

    def told(self):
        """Everything told so far as tuples that compare well, and forget it."""
        said = [(each.model, each.kind, each.pks, each.fields) for changes in self for each in changes]
        self.clear()
        return said


@pytest.fixture
def ear():
    """A subscriber of what this process commits."""
    ear = Ear()
    changes_committed.connect(ear, weak=False, dispatch_uid="ear")
    yield ear
    changes_committed.disconnect(dispatch_uid="ear")


@pytest.fixture
def far_ear():
    """A subscriber of what other processes commit."""
    ear = Ear()
    changes_heard.connect(ear, weak=False, dispatch_uid="far ear")
    yield ear
    changes_heard.disconnect(dispatch_uid="far ear")


@pytest.fixture
async def database_in_threads(transactional_db):
    """For asynchronous tests that write: closes the connection of the thread in which their writes ran."""
    yield
    await sync_to_async(connections.close_all)()
    await sync_to_async(close_caches)()
