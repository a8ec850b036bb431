"""What tests of bulk operations share."""

import pytest
from rest_framework.test import APIClient

from core.changes import changes_committed
from tests.bulk_app.api import PersonViewSet, urls
from tests.bulk_app.models import Person

HEADER = {"x-bulk-operation": "true"}
DRY = {"x-bulk-operation": "dry-run"}


def wrong(response):
    """Return the errors of an answer by the place of the object they belong to."""
    assert response.status_code == 400, response.content
    return {int(place): errors for place, errors in response.json().items()}


class Verbs:
    """The verbs at one URL, with the header."""

    def __init__(self, url, headers=None):
        self.url = url
        self.client = APIClient(raise_request_exception=False)
        self.headers = HEADER if headers is None else headers

    def __getattr__(self, method):
        def send(query="", data=None, headers=None):
            chosen = self.headers if headers is None else headers
            return getattr(self.client, method)(self.url + query, data, format="json", headers=chosen)

        return send


@pytest.fixture
def verbs(serve, db):
    """Returns a function that serves a viewset and returns its verbs."""

    def use(viewset, **others):
        serve(urls(rows=viewset, **others))
        return Verbs("/rows/")

    return use


@pytest.fixture
def people(verbs):
    """The verbs of a table of people."""
    return verbs(PersonViewSet)


@pytest.fixture
def crowd(db):
    """Returns a function that makes people: each with an address at one of two providers."""

    def make(count, **attributes):
        hosts = ("gmail.com", "yahoo.com")
        return Person.objects.bulk_create(
            Person(email=f"p{number}@{hosts[number % 2]}", email_provider="other", **attributes)
            for number in range(count)
        )

    return make


class Ear(list):
    """A subscriber of the change stream: what it was told, as (label, kind, keys)."""

    def __call__(self, changes, **_):
        self.extend((each.model, each.kind, each.pks, each.fields) for each in changes)


@pytest.fixture
def ear():
    ear = Ear()
    changes_committed.connect(ear, weak=False, dispatch_uid="bulk ear")
    yield ear
    changes_committed.disconnect(dispatch_uid="bulk ear")
