"""The promises: a tag changes exactly when the representation does, and of two writers with one tag one wins."""

import threading

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from tests.caching_app.models import Book, City, Review

pytestmark = pytest.mark.django_db(transaction=True)


def together(count, work):
    """Run ``work(number)`` in threads that start at once; return what they returned."""
    start, results = threading.Barrier(count), [None] * count

    def run(number):
        try:
            start.wait(60)
            results[number] = work(number)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


@pytest.mark.parametrize("kind", ["books", "both", "stored"])
def test_of_writers_with_the_same_tag_exactly_one_wins(tagged, book, kind):
    """Round after round, PATCH against PATCH, and against DELETE in the end."""
    url = f"/{kind}/{book.pk}/"
    for round_ in range(6):
        tag = APIClient().get(url)["ETag"]

        def write(number, tag=tag, round_=round_):
            return APIClient().patch(url, {"pages": 10 * round_ + number + 1}, HTTP_IF_MATCH=tag).status_code

        codes = together(4, write)
        assert sorted(codes) == [200, 412, 412, 412]
        assert Book.objects.get().pages == 10 * round_ + codes.index(200) + 1
    tag = APIClient().get(url)["ETag"]

    def end(number):
        ask = APIClient().delete if number else APIClient().put
        return ask(url, {"title": "put"}, HTTP_IF_MATCH=tag).status_code

    put, delete = together(2, end)
    assert (put, delete) in {(200, 412), (404, 204), (412, 204)}


STEPS = st.lists(
    st.sampled_from(["retitle", "same", "review", "tag", "vanish", "other", "user"]), min_size=1, max_size=6
)


def act(step, book, number):
    match step:
        case "retitle":
            Book.objects.filter(pk=book.pk).update(title=f"t{number}")
        case "same":
            Book.objects.get(pk=book.pk).save()
        case "review":
            Review.objects.create(book=book, text=f"{number}")
        case "tag":
            book.tags.add(City.objects.create(name=f"{number}"))
        case "vanish":
            Review.objects.filter(book=book).delete()
        case "other":
            Book.objects.create(title="other")
        case "user":
            City.objects.create(name="unrelated")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_a_tag_changes_exactly_when_the_representation_does(tagged, book, steps):
    """Of an object and of a list, cached and not; and the tag is the same either way."""
    client = APIClient()
    seen = {}
    for number, step in enumerate(steps):
        act(step, book, number)
        for path in ("", f"{book.pk}/"):
            plain, cached = client.get(f"/books/{path}"), client.get(f"/both/{path}")
            assert cached.content == plain.content
            assert cached["ETag"] == plain["ETag"]
            known = seen.setdefault(path, {})
            assert known.setdefault(plain["ETag"], plain.content) == plain.content
            assert len(set(known.values())) == len(known)
    Review.objects.all().delete()
    City.objects.all().delete()
