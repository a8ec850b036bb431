"""Conditional writes where a router reads from a replica: they are compared with, and made of, what is written to."""

import pytest
from django.contrib.auth.models import User
from django.db import connections, router, transaction
from rest_framework.test import APIClient

from tests.caching_app.models import Book, City, Review

pytestmark = pytest.mark.django_db(transaction=True)


class Replicated:
    """Reads from the replica whatever is asked for, writes to the primary."""

    def db_for_read(self, model, **hints):
        return "replica" if model._meta.app_label == "caching_app" else None

    def db_for_write(self, model, **hints):
        return "default"

    def allow_relation(self, *rows, **hints):
        return True


@pytest.fixture
def replica(book, settings):
    """A second database that shows ``book`` as it was when the test began."""
    memory = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    connections.settings["replica"] = connections.configure_settings({"default": memory})["default"]
    connection = connections["replica"]
    try:
        connection.connect()  # Django's tests let nobody open a database that they were not told of
        with connection.constraint_checks_disabled(), connection.schema_editor() as editor:
            for model in (User, City, Book, Review):
                editor.create_model(model)
        with connection.cursor() as cursor:  # as replication does it, which nobody hears of
            cursor.execute("INSERT INTO caching_app_book (id, title, pages) VALUES (%s, %s, 0)", [book.pk, book.title])
        settings.DATABASE_ROUTERS = [f"{__name__}.Replicated"]
        yield
    finally:
        if connection.connection is not None:
            connection.connection.close()  # an in-memory database survives Django's own close()
        del connections["replica"]
        del connections.settings["replica"]


def on_primary(book):
    return Book.objects.using("default").get(pk=book.pk)


@pytest.mark.parametrize("kind", ["books", "both", "stored"])
def test_a_write_is_compared_with_the_primary(tagged, book, replica, kind):
    """The replica still shows the state of the client's tag; the row has been written since."""
    client, url = APIClient(), f"/{kind}/{book.pk}/"
    old = client.get(url)["ETag"]
    Book.objects.using("default").filter(pk=book.pk).update(pages=7)
    assert client.get(url)["ETag"] == old  # of the replica, which lags behind
    for ask in (client.put, client.patch, client.delete):
        refused = ask(url, {"title": "lost"}, HTTP_IF_MATCH=old)
        assert refused.status_code == 412
    assert (on_primary(book).title, on_primary(book).pages) == ("Emma", 7)
    # The refusal tells the tag of what is there.
    accepted = client.patch(url, {"title": "kept"}, HTTP_IF_MATCH=refused["ETag"])
    assert accepted.status_code == 200
    # Made of the row on the primary: nothing of the replica's is written back.
    assert accepted.json()["pages"] == 7
    assert (on_primary(book).title, on_primary(book).pages) == ("kept", 7)
    assert client.patch(url, {"title": "again"}, HTTP_IF_MATCH=accepted["ETag"]).status_code == 200


def test_nested_content_is_compared_with_the_primary_too(tagged, book, replica):
    client, url = APIClient(), f"/books/{book.pk}/"
    old = client.get(url)["ETag"]
    Review(book_id=book.pk, text="new").save(using="default")
    assert client.patch(url, {"title": "lost"}, HTTP_IF_MATCH=old).status_code == 412


def test_a_row_that_only_the_primary_knows_can_be_written(tagged, book, replica):
    with transaction.atomic(using="default"):
        new = Book(title="new")
        new.save(using="default")
    response = APIClient().patch(f"/books/{new.pk}/", {"title": "newer"}, HTTP_IF_MATCH="*")
    assert response.status_code == 200
    assert response.json()["title"] == "newer"


def test_other_reads_stay_with_the_replica(tagged, book, replica):
    """Before the write and after it, refused or not."""
    client, url = APIClient(), f"/books/{book.pk}/"
    for _ in range(2):
        assert router.db_for_read(Book) == "replica"
        assert client.patch(url, {"title": "x"}, HTTP_IF_MATCH='"x"').status_code == 412


def test_what_is_read_from_a_replica_is_not_kept(tagged, book, replica):
    client = APIClient()
    client.get("/both/")
    assert "Age" not in client.get("/both/")
