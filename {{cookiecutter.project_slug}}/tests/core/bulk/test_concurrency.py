"""Bulk requests at the same time, on a real transaction."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from tests.bulk_app.api import PersonViewSet, urls
from tests.bulk_app.models import Person
from tests.core.bulk.conftest import Verbs

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(tasks):
    def run(task):
        try:
            return task().status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return sorted(pool.map(run, tasks))


def test_the_same_unique_values_posted_at_once_are_written_once(serve):
    serve(urls(rows=PersonViewSet))
    body = [{"email": f"n{number}@x.com", "email_provider": "google"} for number in range(20)]
    statuses = at_once([lambda: Verbs("/rows/").post(data=body)] * 4)
    assert statuses[0] == 201
    assert set(statuses[1:]) <= {400, 409}
    assert Person.objects.count() == 20


def test_rows_are_written_whole_by_one_or_the_other(serve, crowd):
    serve(urls(rows=PersonViewSet))
    rows = crowd(10)
    bodies = [[{"id": row.pk, "age": age, "number": age} for row in rows[::step]] for age, step in ((1, 1), (2, -1))]
    statuses = at_once([lambda body=body: Verbs("/rows/").patch(data=body) for body in bodies * 2])
    assert statuses == [204] * 4
    assert len(set(Person.objects.values_list("age", "number"))) == 1
