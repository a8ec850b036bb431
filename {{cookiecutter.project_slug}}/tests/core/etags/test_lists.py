"""Bulk PATCH and DELETE of a list with tags: held to the list's tag, in the transaction of the write."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils.http import http_date
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.response import Response
from rest_framework.test import APIClient

from core.bulk import ListCreateModelMixin, ListDestroyModelMixin, ListUpdateModelMixin
from core.etags import APIETAGMixin, CacheResponseAndETAGMixin, ETAGMixin, ListETAGMixin
from tests.caching_app.api import Books, IsOwner
from tests.caching_app.models import Book, Review
from tests.core.etags.test_promise import together

pytestmark = pytest.mark.django_db
concurrent = pytest.mark.django_db(transaction=True)

HEADER = {"HTTP_X_BULK_OPERATION": "true"}


class BulkBooks(ListCreateModelMixin, ListUpdateModelMixin, ListDestroyModelMixin, Books):
    pass


class Tagged(ETAGMixin, BulkBooks):
    pass


class TaggedBehind(ListCreateModelMixin, ListUpdateModelMixin, ListDestroyModelMixin, ETAGMixin, Books):
    pass


class Cached(CacheResponseAndETAGMixin, BulkBooks):
    pass


class Stored(APIETAGMixin, BulkBooks):
    pass


class ListOnly(ListETAGMixin, BulkBooks):
    pass


KINDS = {"tagged": Tagged, "behind": TaggedBehind, "cached": Cached, "stored": Stored, "listonly": ListOnly}


@pytest.fixture
def shelf(use, db):
    """Five books on every kind of URL; returns their keys."""
    use(**KINDS, plain=BulkBooks)
    return [Book.objects.create(title="a" if number % 2 else "b").pk for number in range(5)]


def writes(api, url, keys):
    """Return the three ways of writing a list, as functions of the conditions."""

    def one_body(**conditions):
        return api.patch(url, {"pages": 7}, format="json", **HEADER, **conditions)

    def objects(**conditions):
        return api.patch(url, [{"id": key, "pages": key} for key in keys], format="json", **HEADER, **conditions)

    def delete(**conditions):
        return api.delete(url, **HEADER, **conditions)

    return one_body, objects, delete


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_the_tag_that_get_gave_the_list_is_the_one_bulk_writes_accept(self, api, shelf, kind):
        for query, keys in (("", shelf), ("?title=a", shelf[1::2])):
            url = f"/{kind}/{query}"
            for write in writes(api, url, keys):
                response = write(HTTP_IF_MATCH=api.get(url)["ETag"])
                assert response.status_code == 204
                assert response["X-Bulk-Rows"] == str(len(keys))
            for number, key in enumerate(shelf):
                Book.objects.get_or_create(pk=key, defaults={"title": "a" if number % 2 else "b"})

    def test_an_old_tag_is_refused_with_the_current_one_and_nothing_is_written(self, api, shelf, kind):
        url = f"/{kind}/"
        for change in (lambda: Book.objects.create(title="new"), lambda: Book.objects.filter(pk=shelf[0]).delete()):
            old = api.get(url)["ETag"]
            change()
            before = list(Book.objects.values())
            for write in writes(api, url, shelf[1:]):
                response = write(HTTP_IF_MATCH=old)
                assert response.status_code == 412
                assert response["ETag"] == api.get(url)["ETag"] != old
                assert "read it again" in response.json()["detail"]
            assert list(Book.objects.values()) == before

    def test_stars_lists_and_if_none_match(self, api, shelf, kind):
        url = f"/{kind}/"
        for write in writes(api, url, shelf):
            tag = api.get(url)["ETag"]
            for none in ("*", tag, f'"x", W/{tag}'):
                assert write(HTTP_IF_NONE_MATCH=none).status_code == 412
                assert write(HTTP_IF_MATCH=tag, HTTP_IF_NONE_MATCH=none).status_code == 412
        for write in writes(api, url, shelf)[:2]:
            assert write(HTTP_IF_MATCH="*").status_code == 204
            assert write(HTTP_IF_MATCH=f'"x", W/{api.get(url)["ETag"]}').status_code == 204
            assert write(HTTP_IF_NONE_MATCH='"x"').status_code == 204
        assert Book.objects.count() == 5

    def test_the_tag_of_another_query_is_not_that_of_this_one(self, api, shelf, kind):
        narrow = api.get(f"/{kind}/?title=a")["ETag"]
        for write in writes(api, f"/{kind}/", shelf):
            assert write(HTTP_IF_MATCH=narrow).status_code == 412
        assert Book.objects.count() == 5

    def test_a_rehearsal_is_judged_too(self, api, shelf, kind):
        dry = {"HTTP_X_BULK_OPERATION": "dry-run"}
        assert api.delete(f"/{kind}/", **dry, HTTP_IF_MATCH='"x"').status_code == 412
        assert api.delete(f"/{kind}/", **dry, HTTP_IF_MATCH=api.get(f"/{kind}/")["ETag"]).status_code == 200

    def test_without_conditions_nothing_is_paid(self, api, shelf, kind):
        counts = []
        for url in ("/plain/", f"/{kind}/"):
            for write in writes(api, url, shelf):
                with CaptureQueriesContext(connection) as captured:
                    assert write().status_code == 204
                counts.append(len(captured))
                for key in shelf:
                    Book.objects.update_or_create(pk=key, defaults={"title": "a"})
        assert counts[:3] == counts[3:]

    def test_off_means_no_conditions(self, api, shelf, kind, settings):
        settings.CORE = {"ETAGS": {"ENABLED": False}}
        for write in writes(api, f"/{kind}/", shelf):
            assert write(HTTP_IF_MATCH='"x"').status_code == 204


def test_what_would_be_refused_without_conditions_is_not_412(api, use, shelf):
    """RFC 9110, section 13.2.1: a missing header, a misspelt filter; nothing untagged is judged."""
    stale = {"HTTP_IF_MATCH": '"x"'}
    assert api.delete("/tagged/", **stale).status_code == 400
    assert api.delete("/tagged/?titel=a", **HEADER, **stale).status_code == 400
    assert api.delete("/plain/", **HEADER, **stale).status_code == 204


def test_a_permission_is_asked_for_each_row_after_the_list_was_compared(api, use, shelf, stranger):
    use(books=type("Owned", (ETAGMixin, BulkBooks), {"permission_classes": (IsOwner,)}))
    api.force_authenticate(stranger)
    assert api.delete("/books/", **HEADER, HTTP_IF_MATCH=api.get("/books/")["ETag"]).status_code == 403
    assert Book.objects.count() == 5


def test_nested_content_counts_and_the_list_is_shown_as_get_shows_it(api, use, shelf):
    """What a viewset decides by its action decides the list that is compared, not the rows of the write."""

    class Choosy(ETAGMixin, BulkBooks):
        def get_queryset(self):
            rows = super().get_queryset()
            return rows if self.detail or self.action != "list" else rows.filter(title="a")

    use(books=Choosy)
    tag = api.get("/books/")["ETag"]
    assert len(api.get("/books/").json()) == 2
    review = Review.objects.create(book_id=shelf[1], text="good")
    assert api.delete("/books/", **HEADER, HTTP_IF_MATCH=tag).status_code == 412
    review.delete()
    assert api.delete("/books/", **HEADER, HTTP_IF_MATCH=tag)["X-Bulk-Rows"] == "5"


def test_the_tag_of_a_page_stands_for_that_page(api, use, shelf):
    """Its count of all rows included, where it has one."""

    class Pages(LimitOffsetPagination):
        default_limit = 2

    use(books=type("Paged", (ETAGMixin, BulkBooks), {"pagination_class": Pages}))
    tag, last = api.get("/books/")["ETag"], api.get("/books/?offset=4")["ETag"]
    Book.objects.filter(pk=shelf[4]).update(pages=3)
    one_body = writes(api, "/books/?offset=4", shelf)[0]
    assert one_body(HTTP_IF_MATCH=last).status_code == 412
    assert writes(api, "/books/", shelf)[0](HTTP_IF_MATCH=tag)["X-Bulk-Rows"] == "5"


def test_a_list_with_a_date_is_held_to_it(api, use, shelf):
    class Dated(ListETAGMixin, BulkBooks):
        def list(self, request, *args, **kwargs):
            return Response([], headers={"Last-Modified": http_date(1_000_000)})

    use(books=Dated)
    for write in writes(api, "/books/", shelf):
        assert write(HTTP_IF_UNMODIFIED_SINCE=http_date(999_999)).status_code == 412
        assert write(HTTP_IF_UNMODIFIED_SINCE=http_date(1_000_000)).status_code == 204
        for key in shelf:
            Book.objects.get_or_create(pk=key)


def test_verbs_that_are_mapped_by_hand_are_judged_by_the_list(api, serve, shelf):
    serve([path("only/", Tagged.as_view({"delete": "destroy_bulk"})), path("books/", Tagged.as_view({"get": "list"}))])
    assert api.delete("/only/", **HEADER, HTTP_IF_MATCH='"x"').status_code == 412
    assert api.delete("/only/", **HEADER, HTTP_IF_MATCH=api.get("/books/")["ETag"]).status_code == 204


# --- At the same time ---


@concurrent
@pytest.mark.parametrize("kind", ["tagged", "cached", "stored"])
def test_of_bulk_writers_with_the_same_tag_exactly_one_wins(shelf, kind):
    url = f"/{kind}/"
    for round_ in range(4):
        tag = APIClient().get(url)["ETag"]

        def write(number, tag=tag, round_=round_):
            pages = 10 * round_ + number + 1
            body = [{"id": key, "pages": pages} for key in shelf] if number % 2 else {"pages": pages}
            return APIClient().patch(url, body, format="json", **HEADER, HTTP_IF_MATCH=tag).status_code

        codes = together(4, write)
        assert sorted(codes) == [204, 412, 412, 412]
        assert set(Book.objects.values_list("pages", flat=True)) == {10 * round_ + codes.index(204) + 1}
    tag = APIClient().get(url)["ETag"]

    def end(number):
        ask = APIClient().delete if number else APIClient().patch
        return ask(url, {"pages": 99}, format="json", **HEADER, HTTP_IF_MATCH=tag).status_code

    assert sorted(together(2, end)) == [204, 412]


@concurrent
def test_a_bulk_writer_and_writers_of_single_rows_with_tags_of_one_moment(shelf):
    """Either the list wins, or rows do; nobody waits for the other forever, and nobody overwrites unseen."""
    for round_ in range(4):
        client = APIClient()
        whole = client.get("/tagged/")["ETag"]
        tags = [client.get(f"/tagged/{key}/")["ETag"] for key in shelf[:3]]

        def write(number, whole=whole, tags=tags, round_=round_):
            pages = 10 * round_ + number + 1
            if number == 3:
                answer = APIClient().patch("/tagged/", {"pages": pages}, format="json", **HEADER, HTTP_IF_MATCH=whole)
            else:
                url = f"/tagged/{shelf[number]}/"
                answer = APIClient().patch(url, {"pages": pages}, format="json", HTTP_IF_MATCH=tags[number])
            return answer.status_code

        codes = together(4, write)
        assert codes in ([412, 412, 412, 204], [200, 200, 200, 412])
        pages = list(Book.objects.order_by("pk").values_list("pages", flat=True))
        first = 10 * round_ + 1
        assert pages == [first + 3] * 5 if codes[3] == 204 else pages[:3] == [first, first + 1, first + 2]


@concurrent
def test_rows_that_are_added_while_a_list_is_compared_and_deleted_stay(use, shelf):
    """Who adds a row waits until the list is deleted; or has added it before, and the list's tag is another."""
    for round_ in range(6):
        tag = APIClient().get("/tagged/")["ETag"]

        def write(number, tag=tag, round_=round_):
            if number:
                return APIClient().delete("/tagged/", **HEADER, HTTP_IF_MATCH=tag).status_code
            return APIClient().post("/tagged/", {"title": f"new {round_}"}, format="json").status_code

        posted, deleted = together(2, write)
        assert posted == 201
        assert deleted in {204, 412}
        assert Book.objects.filter(title=f"new {round_}").exists()
