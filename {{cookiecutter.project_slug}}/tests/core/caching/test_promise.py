"""The promise: once a write has been answered, no later GET shows the old state, whoever writes and however."""

import random
import threading

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from core.changes import record_change
from tests.caching_app.api import Books, CachedBooks
from tests.caching_app.models import Book, City, Review
from tests.core.caching.test_freshness import WRITES

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def served(use):
    use(books=CachedBooks, plain=Books)


STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(WRITES)), st.sampled_from(["alone", "commit", "rollback", "savepoint"])),
    min_size=1,
    max_size=6,
)


def write(way, book, end):
    """Write in one of all ways; in a transaction that ends in one of all ways."""
    if end == "alone":
        WRITES[way](book)
        return
    with transaction.atomic():
        with transaction.atomic():
            WRITES[way](book)
            assert disagreements(APIClient()) == []
            transaction.set_rollback(end == "savepoint")
        assert disagreements(APIClient()) == []
        transaction.set_rollback(end == "rollback")


def disagreements(client):
    """Return where the view with a cache answers something else than the one without, of the list and of each row."""
    paths = ["", *(f"{book['id']}/" for book in client.get("/plain/").json()[:3])]
    return [path for path in paths if client.get(f"/books/{path}").content != client.get(f"/plain/{path}").content]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_after_every_write_and_every_end_the_cache_agrees_with_the_database(served, steps):
    for model in (Book, City, Review):
        model.objects.all().delete()
    client = APIClient()
    for way, end in steps:
        book = Book.objects.first() or Book.objects.create(title="first")
        assert disagreements(client) == []
        write(way, book, end)
        assert disagreements(client) == []


def test_with_many_writers_and_readers_nobody_sees_what_was_before_a_write_that_was_answered(served):
    """Every reader sees at least the highest value that was answered before it asked, in each row that it reads."""
    rows = [Book.objects.create(title=f"{n}") for n in range(3)]
    answered = {row.pk: 0 for row in rows}
    late, done = [], threading.Event()

    def write(row):
        chance = random.Random(row.pk)
        try:
            for value in range(1, 31):
                ways = (_update, _save, _patch, _in_transaction)
                chance.choice(ways)(row.pk, value)
                answered[row.pk] = value
        finally:
            connection.close()

    def read():
        client = APIClient()
        try:
            while not done.is_set():
                before = dict(answered)
                shown = {book["id"]: book["pages"] for book in client.get("/books/").json()}
                late.extend((pk, before[pk], shown[pk]) for pk in before if shown[pk] < before[pk])
                before = dict(answered)
                pk = rows[0].pk
                if (shown_one := client.get(f"/books/{pk}/").json()["pages"]) < before[pk]:
                    late.append((pk, before[pk], shown_one))
        finally:
            connection.close()

    writers = [threading.Thread(target=write, args=(row,)) for row in rows]
    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in (*writers, *readers):
        thread.start()
    for thread in writers:
        thread.join(60)
    done.set()
    for thread in readers:
        thread.join(60)
    assert late == []
    assert set(answered.values()) == {30}


def _update(pk, value):
    Book.objects.filter(pk=pk).update(pages=value)


def _save(pk, value):
    book = Book.objects.get(pk=pk)
    book.pages = value
    book.save(update_fields=["pages"])


def _patch(pk, value):
    assert APIClient().patch(f"/books/{pk}/", {"pages": value}).status_code == 200


def _in_transaction(pk, value):
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("UPDATE caching_app_book SET pages = %s WHERE id = %s", [value, pk])
        record_change(Book, "updated", [pk])
