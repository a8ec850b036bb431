"""Conditional requests: RFC 9110 section 13, on views of every kind."""

import json

import pytest
from django.http import HttpResponse
from django.urls import path as url_path
from django.utils.http import http_date
from rest_framework import generics, status
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ReadOnlyModelViewSet

from core.caching import cache_response
from core.etags import (
    APIDestroyETAGMixin,
    APIETAGMixin,
    APIETAGProcessor,
    APIListETAGMixin,
    APIReadOnlyETAGMixin,
    APIRetrieveETAGMixin,
    APIUpdateETAGMixin,
    CacheResponseAndETAGMixin,
    DestroyETAGMixin,
    ETAGMixin,
    ETAGProcessor,
    ListETAGMixin,
    PreconditionRequiredException,
    ReadOnlyCacheResponseAndETAGMixin,
    ReadOnlyETAGMixin,
    RetrieveETAGMixin,
    UpdateETAGMixin,
    api_etag,
    etag,
)
from core.keys import KeyConstructor, bits, default_api_object_etag_func, default_object_etag_func
from tests.caching_app.api import Books, BookSerializer, CachedTaggedBooks, IsOwner, StoredBooks, TaggedBooks
from tests.caching_app.models import Book, City, Review

pytestmark = pytest.mark.django_db(transaction=True)


class Text(JSONRenderer):
    media_type = "text/plain"
    format = "text"


def tag_of(api, url, **headers):
    return api.get(url, **headers)["ETag"]


@pytest.mark.parametrize("kind", ["books", "both", "stored"])
class TestEveryMixin:
    def test_a_get_gives_a_tag_and_then_304(self, api, tagged, book, kind):
        for url in (f"/{kind}/", f"/{kind}/{book.pk}/"):
            first = api.get(url)
            assert first.status_code == 200
            again = api.get(url, HTTP_IF_NONE_MATCH=first["ETag"])
            assert again.status_code == 304
            assert again.content == b""
            assert again["ETag"] == first["ETag"]
            for name in ("Cache-Control", "Vary"):
                assert again.get(name) == first.get(name) or kind == "stored"
            assert "Content-Type" not in again

    def test_the_tag_a_get_gave_is_the_one_writes_accept(self, api, tagged, book, kind):
        url = f"/{kind}/{book.pk}/"
        for ask, change in ((api.put, {"title": "a"}), (api.patch, {"title": "b"})):
            response = ask(url, change, HTTP_IF_MATCH=tag_of(api, url))
            assert response.status_code == 200
            assert response["ETag"] == tag_of(api, url)
        assert api.delete(url, HTTP_IF_MATCH=tag_of(api, url)).status_code == 204
        assert not Book.objects.exists()

    def test_an_old_tag_is_refused_and_nothing_is_written(self, api, tagged, book, kind):
        url = f"/{kind}/{book.pk}/"
        old = tag_of(api, url)
        Book.objects.update(pages=9)
        for ask in (api.put, api.patch, api.delete):
            response = ask(url, {"title": "lost"}, HTTP_IF_MATCH=old)
            assert response.status_code == 412
            assert response["ETag"] == tag_of(api, url)
            assert response.json()["detail"]
        assert Book.objects.get().title == "Emma"

    def test_weak_forms_lists_stars_and_missing_quotes_are_accepted(self, api, tagged, book, kind):
        url = f"/{kind}/{book.pk}/"
        for form in ("W/{}", '"x", {}', '{}, W/"y"'):
            assert api.get(url, HTTP_IF_NONE_MATCH=form.format(tag_of(api, url))).status_code == 304
            response = api.patch(url, {"pages": 1}, HTTP_IF_MATCH=form.format(tag_of(api, url)))
            assert response.status_code == 200
        bare = tag_of(api, url).strip('"')
        assert api.get(url, HTTP_IF_NONE_MATCH=bare).status_code == 304
        assert api.get(url, HTTP_IF_NONE_MATCH="*").status_code == 304
        assert api.patch(url, {"pages": 2}, HTTP_IF_MATCH="*").status_code == 200
        assert api.patch(url, {"pages": 2}, HTTP_IF_MATCH=bare).status_code == 412

    def test_if_none_match_that_matches_refuses_a_write(self, api, tagged, book, kind):
        url = f"/{kind}/{book.pk}/"
        both = {"HTTP_IF_MATCH": "*", "HTTP_IF_NONE_MATCH": tag_of(api, url)}
        for ask in (api.put, api.patch, api.delete):
            assert ask(url, {"title": "x"}, **both).status_code == 412

    def test_what_is_not_there_is_404_whatever_the_condition(self, api, tagged, book, kind):
        url = f"/{kind}/{book.pk + 1}/"
        for ask in (api.put, api.patch, api.delete):
            assert ask(url, {"title": "x"}, HTTP_IF_MATCH='"x"').status_code == 404
        assert api.get(url, HTTP_IF_MATCH='"x"').status_code == 404

    def test_the_list_tag_sees_every_row(self, api, tagged, book, kind):
        Book.objects.bulk_create(Book(title=f"{n}") for n in range(30))
        before = tag_of(api, f"/{kind}/")
        Book.objects.filter(title="25").update(pages=3)
        assert tag_of(api, f"/{kind}/") != before

    def test_off_means_no_tags_and_no_conditions(self, api, tagged, book, kind, settings):
        settings.CORE = {"ETAGS": {"ENABLED": False}}
        url = f"/{kind}/{book.pk}/"
        assert "ETag" not in api.get(url, HTTP_IF_NONE_MATCH="*")
        assert api.patch(url, {"pages": 1}, HTTP_IF_MATCH='"x"').status_code == 200

    def test_it_works_behind_gzip(self, api, tagged, book, kind, settings):
        settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]
        Book.objects.update(title="x" * 40)
        Book.objects.bulk_create(Book(title="x" * 50) for _ in range(20))
        zipped = api.get(f"/{kind}/", HTTP_ACCEPT_ENCODING="gzip")
        assert zipped["Content-Encoding"] == "gzip"
        assert zipped["ETag"].startswith("W/")
        assert api.get(f"/{kind}/", HTTP_IF_NONE_MATCH=zipped["ETag"]).status_code == 304
        weak = f"W/{tag_of(api, f'/{kind}/{book.pk}/')}"
        assert api.patch(f"/{kind}/{book.pk}/", {"pages": 1}, HTTP_IF_MATCH=weak).status_code == 200


PARTS = {
    ListETAGMixin: {"list"},
    RetrieveETAGMixin: {"retrieve"},
    UpdateETAGMixin: {"update"},
    DestroyETAGMixin: {"destroy"},
    ReadOnlyETAGMixin: {"list", "retrieve"},
    ReadOnlyCacheResponseAndETAGMixin: {"list", "retrieve"},
    APIListETAGMixin: {"list"},
    APIRetrieveETAGMixin: {"retrieve"},
    APIUpdateETAGMixin: {"update"},
    APIDestroyETAGMixin: {"destroy"},
    APIReadOnlyETAGMixin: {"list", "retrieve"},
}


@pytest.mark.parametrize("mixin", PARTS, ids=lambda mixin: mixin.__name__)
def test_each_mixin_is_for_its_own_methods_and_no_others(api, use, book, mixin):
    use(books=type("Part", (mixin, Books), {}))
    url, other = f"/books/{book.pk}/", {"HTTP_IF_MATCH": '"x"'}
    found = set()
    for name, path in (("list", "/books/"), ("retrieve", url)):
        response = api.get(path)
        if response.has_header("ETag"):
            assert api.get(path, HTTP_IF_NONE_MATCH=response["ETag"]).status_code == 304
            found.add(name)
    codes = {api.put(url, {"title": "x"}, **other).status_code, api.patch(url, {"title": "x"}, **other).status_code}
    assert codes == ({412} if "update" in PARTS[mixin] else {200})
    if mixin is APIUpdateETAGMixin:
        assert api.patch(url, {"title": "x"}).status_code == 428
    if api.delete(url, **other).status_code == 412:
        assert Book.objects.exists()
        found.add("destroy")
    assert found == PARTS[mixin] - {"update"}


def test_reading_mixins_suit_viewsets_that_only_read(api, use, book):
    """The cached one keeps the answers too, tags included."""
    read_only = ReadOnlyModelViewSet, {"queryset": Book.objects.all(), "serializer_class": BookSerializer}
    views = {
        name: type(name, (mixin, read_only[0]), {**read_only[1], "permission_classes": (AllowAny,)})
        for name, mixin in (("plain", ReadOnlyETAGMixin), ("kept", ReadOnlyCacheResponseAndETAGMixin))
    }
    use(**views)
    for path in ("", f"{book.pk}/"):
        tags = [tag_of(api, f"/{name}/{path}") for name in ("plain", "kept", "kept")]
        assert len(set(tags)) == 1
        assert "Age" in api.get(f"/kept/{path}")
        assert "Age" not in api.get(f"/plain/{path}")
    Book.objects.update(pages=3)
    assert tag_of(api, f"/kept/{book.pk}/") != tags[0]
    assert api.put(f"/kept/{book.pk}/", {"title": "x"}).status_code == 405


@pytest.mark.parametrize("kind", ["books", "both", "stored"])
def test_head_has_the_tag_of_get_and_its_304(api, tagged, book, kind):
    for url in (f"/{kind}/", f"/{kind}/{book.pk}/"):
        head = api.head(url)
        assert head["ETag"] == tag_of(api, url)
        assert api.head(url, HTTP_IF_NONE_MATCH=head["ETag"]).status_code == 304
        assert api.head(url, HTTP_IF_NONE_MATCH='"x"').status_code == 200
        assert api.head(url, HTTP_IF_MATCH='"x"').status_code == 412


def test_a_304_has_the_headers_of_the_200_that_a_cache_needs_and_no_others(api, use):
    """RFC 9110, section 15.4.5."""
    needed = {
        "Cache-Control": "max-age=5",
        "Content-Location": "/x",
        "Expires": http_date(2_000_000_000),
        "Last-Modified": http_date(1_000_000),
        "Vary": "X-A",
    }
    other = {"Content-Language": "de", "X-Other": "1"}

    class View(APIView):
        permission_classes = (AllowAny,)

        @etag()
        def get(self, request, pk):
            return Response(pk, headers={**needed, **other})

    use(view=View.as_view())
    tag = tag_of(api, "/view/1/")
    precise = {"HTTP_IF_MATCH": "*", "HTTP_IF_NONE_MATCH": tag}  # which goes the longer way
    for conditions in ({"HTTP_IF_NONE_MATCH": tag}, precise):
        response = api.get("/view/1/", **conditions)
        assert response.status_code == 304
        assert {**needed, "ETag": tag}.items() <= {**response.headers, "Vary": "X-A"}.items()
        assert "X-A" in response["Vary"]
        assert "X-Other" not in response
        assert "Content-Type" not in response


@pytest.mark.parametrize("kind", ["books", "both"])
def test_nested_content_counts(api, tagged, book, kind):
    before = tag_of(api, f"/{kind}/{book.pk}/")
    Review.objects.create(book=book, text="good")
    after = tag_of(api, f"/{kind}/{book.pk}/")
    assert after != before
    book.tags.add(City.objects.create(name="Rome"))
    assert tag_of(api, f"/{kind}/{book.pk}/") != after


def test_api_tags_are_of_the_stored_row_alone(api, tagged, book):
    before = tag_of(api, f"/stored/{book.pk}/")
    Review.objects.create(book=book, text="good")
    assert tag_of(api, f"/stored/{book.pk}/") == before


def test_a_write_without_a_condition_is_refused_by_api_tags_only(api, tagged, book):
    for ask in (api.put, api.patch, api.delete):
        response = ask(f"/stored/{book.pk}/", {"title": "x"})
        assert response.status_code == 428
        assert "If-Match" in response.json()["detail"]
    assert api.patch(f"/books/{book.pk}/", {"title": "x"}).status_code == 200


def test_another_format_has_another_tag_and_may_still_write(api, use, book):
    class Formats(TaggedBooks):
        renderer_classes = (JSONRenderer, Text)

    use(books=Formats)
    url = f"/books/{book.pk}/"
    one, other = tag_of(api, url), tag_of(api, url, HTTP_ACCEPT="text/plain")
    assert one != other
    assert tag_of(api, url, HTTP_ACCEPT="application/json; indent=4") != one
    assert api.get(url, HTTP_IF_NONE_MATCH=other).status_code == 200
    assert api.patch(url, {"pages": 4}, HTTP_IF_MATCH=other).status_code == 200


def test_precedence_and_dates(api, use, book):
    """If-Match goes before If-None-Match; dates count only where there is a Last-Modified."""

    class View(APIView):
        permission_classes = (AllowAny,)

        @etag()
        def get(self, request, pk):
            return Response(pk, headers={"Last-Modified": http_date(1_000_000)})

    use(books=TaggedBooks, dated=View.as_view())
    url = f"/books/{book.pk}/"
    tag = tag_of(api, url)
    assert api.get(url, HTTP_IF_MATCH='"x"', HTTP_IF_NONE_MATCH=tag).status_code == 412
    assert api.get(url, HTTP_IF_MATCH=tag, HTTP_IF_NONE_MATCH=tag).status_code == 304
    assert api.get(url, HTTP_IF_UNMODIFIED_SINCE=http_date(5)).status_code == 200
    assert api.get(url, HTTP_IF_MODIFIED_SINCE=http_date(2_000_000_000)).status_code == 200
    dated = "/dated/1/"
    assert api.get(dated, HTTP_IF_MODIFIED_SINCE=http_date(1_000_000)).status_code == 304
    assert api.get(dated, HTTP_IF_MODIFIED_SINCE=http_date(999_999)).status_code == 200
    assert api.get(dated, HTTP_IF_UNMODIFIED_SINCE=http_date(999_999)).status_code == 412
    both = {"HTTP_IF_NONE_MATCH": '"x"', "HTTP_IF_MODIFIED_SINCE": http_date(1_000_000)}
    assert api.get(dated, **both).status_code == 200


@pytest.mark.parametrize("mixin", [ETAGMixin, APIETAGMixin])
def test_a_write_is_refused_if_what_get_dates_was_modified_since(api, use, book, mixin):
    """RFC 9110, section 13.1.4; and 13.2.2: with If-Match, If-Unmodified-Since does not count."""

    class Dated(Books):
        def retrieve(self, request, *args, **kwargs):
            response = super().retrieve(request, *args, **kwargs)
            response["Last-Modified"] = http_date(1_000_000)
            return response

    class View(mixin, Dated):
        @etag("object_etag_func" if mixin is ETAGMixin else "api_object_etag_func")
        def update(self, request, *args, **kwargs):
            return Dated.update(self, request, *args, **kwargs)

        @etag("object_etag_func" if mixin is ETAGMixin else "api_object_etag_func")
        def destroy(self, request, *args, **kwargs):
            return Dated.destroy(self, request, *args, **kwargs)

    use(books=View)
    url = f"/books/{book.pk}/"
    tag, late, early = tag_of(api, url), http_date(1_000_000), http_date(999_999)
    for ask in (api.put, api.patch, api.delete):
        refused = ask(url, {"title": "lost"}, HTTP_IF_UNMODIFIED_SINCE=early)
        assert refused.status_code == 412
        assert refused["ETag"] == tag
        assert ask(url, {"title": "lost"}, HTTP_IF_MATCH='"x"', HTTP_IF_UNMODIFIED_SINCE=late).status_code == 412
        both = {"HTTP_IF_NONE_MATCH": tag, "HTTP_IF_UNMODIFIED_SINCE": late}
        assert ask(url, {"title": "lost"}, **both).status_code == 412
    assert Book.objects.get().title == "Emma"
    assert api.put(url, {"title": "a"}, HTTP_IF_UNMODIFIED_SINCE=late).status_code == 200
    assert api.patch(url, {"title": "b"}, HTTP_IF_UNMODIFIED_SINCE="no date").status_code == 200
    match = {"HTTP_IF_MATCH": tag_of(api, url), "HTTP_IF_UNMODIFIED_SINCE": early}
    assert api.patch(url, {"title": "c"}, **match).status_code == 200
    assert api.delete(url, HTTP_IF_UNMODIFIED_SINCE=late).status_code == 204


@pytest.mark.parametrize("kind", ["books", "both"])
def test_dates_of_writes_are_ignored_where_get_gives_none(api, tagged, book, kind):
    url = f"/{kind}/{book.pk}/"
    for ask in (api.put, api.patch):
        assert ask(url, {"title": "x"}, HTTP_IF_UNMODIFIED_SINCE=http_date(5)).status_code == 200
    assert api.put(f"/{kind}/{book.pk + 1}/", {}, HTTP_IF_UNMODIFIED_SINCE=http_date(5)).status_code == 404


@pytest.mark.parametrize("mixin", [ETAGMixin, APIETAGMixin, CacheResponseAndETAGMixin])
def test_generic_views_that_are_no_viewsets_have_tags_and_conditions_too(api, serve, book, mixin):
    """As the document has it of the mixins: for viewsets and views."""
    rows = {"queryset": Book.objects.all(), "serializer_class": BookSerializer, "permission_classes": (AllowAny,)}
    many = type("Many", (mixin, generics.ListCreateAPIView), {**rows, "pagination_class": None})
    one = type("One", (mixin, generics.RetrieveUpdateDestroyAPIView), rows)
    serve([url_path("books/", many.as_view()), url_path("books/<int:pk>/", one.as_view())])
    url = f"/books/{book.pk}/"
    for path in ("/books/", url):
        tag = tag_of(api, path)
        assert api.get(path, HTTP_IF_NONE_MATCH=tag).status_code == 304
        assert api.head(path)["ETag"] == tag
        assert ("Age" in api.get(path)) is (mixin is CacheResponseAndETAGMixin)
    assert api.post("/books/", {"title": "new"}).status_code == 201
    for ask, change in ((api.put, {"title": "a"}), (api.patch, {"title": "b"})):
        old = tag_of(api, url)
        if mixin is APIETAGMixin:
            assert ask(url, change).status_code == 428
        done = ask(url, change, HTTP_IF_MATCH=old)
        assert (done.status_code, done["ETag"]) == (200, tag_of(api, url))
        refused = ask(url, {"title": "lost"}, HTTP_IF_MATCH=old)
        assert (refused.status_code, refused["ETag"]) == (412, done["ETag"])
    assert api.delete(url, HTTP_IF_MATCH=old).status_code == 412
    assert api.delete(url, HTTP_IF_MATCH=tag_of(api, url)).status_code == 204
    assert api.delete(url, HTTP_IF_MATCH='"x"').status_code == 404


def test_the_date_for_a_tag_of_ones_own_costs_a_get_only_where_it_counts(api, use, book):
    asked = []

    class View(APIView):
        permission_classes = (AllowAny,)

        def get(self, request, pk):
            asked.append(pk)
            return Response(pk, headers={"Last-Modified": http_date(1_000_000)}, status=pk)

        @etag(lambda **_: "mine")
        def put(self, request, pk):
            return Response(pk)

    use(view=View.as_view())
    early = {"HTTP_IF_UNMODIFIED_SINCE": http_date(5)}
    assert api.put("/view/200/", HTTP_IF_MATCH='"mine"', **early).status_code == 200
    assert not asked
    assert api.put("/view/200/", **early).status_code == 412
    assert api.put("/view/404/", **early).status_code == 200  # what is no representation has no date
    assert asked == [200, 404]


def test_what_is_posted_is_judged_where_the_method_is_decorated(api, use, book):
    """By the object's tag where the URL names an object, else by the list's; without a decorator not at all."""

    class Posting(TaggedBooks):
        @etag("list_etag_func")
        def create(self, request, *args, **kwargs):
            return super().create(request, *args, **kwargs)

        @action(detail=True, methods=["post"])
        @etag("object_etag_func")
        def reprint(self, request, pk):
            return Response("again")

        @action(detail=True, methods=["post"])
        def burn(self, request, pk):
            return Response("gone")

    use(books=Posting, free=TaggedBooks)
    url = f"/books/{book.pk}/"
    for path, right, code in (("/books/", "/books/", 201), (f"{url}reprint/", url, 200)):
        for condition in ({"HTTP_IF_MATCH": '"x"'}, {"HTTP_IF_NONE_MATCH": "*"}):
            assert api.post(path, {"title": "x"}, **condition).status_code == 412
        assert Book.objects.count() == 1
        assert api.post(path, {"title": "x"}, HTTP_IF_MATCH=tag_of(api, right)).status_code == code
        Book.objects.exclude(pk=book.pk).delete()
    for path, code in ((f"{url}burn/", 200), ("/free/", 201)):
        assert api.post(path, {"title": "x"}, HTTP_IF_MATCH='"x"').status_code == code


def test_who_may_not_write_is_told_so_and_not_412(api, use, book, stranger):
    class Owned(TaggedBooks):
        permission_classes = (IsOwner,)

    use(books=Owned)
    api.force_authenticate(stranger)
    assert api.patch(f"/books/{book.pk}/", {"title": "x"}, HTTP_IF_MATCH='"x"').status_code == 403


def test_a_page_of_the_browsable_api_has_no_tag(api, use, book):
    class Pages(TaggedBooks):
        renderer_classes = (JSONRenderer, BrowsableAPIRenderer)

    use(books=Pages)
    assert "ETag" not in api.get(f"/books/{book.pk}/", HTTP_ACCEPT="text/html")


def test_a_304_on_a_cached_view_costs_what_a_hit_costs(api, tagged, book, django_assert_num_queries):
    for url in ("/both/", f"/both/{book.pk}/"):
        tag = tag_of(api, url)
        with django_assert_num_queries(0):
            assert api.get(url, HTTP_IF_NONE_MATCH=tag).status_code == 304
    Book.objects.update(pages=5)
    assert api.get("/both/", HTTP_IF_NONE_MATCH=tag).status_code == 200


@pytest.mark.parametrize("first", [True, False])
def test_what_is_kept_has_a_tag_exactly_while_tags_are_on(api, tagged, book, settings, first):
    """What was kept with tags is not given out without them, nor the other way round, whichever came first."""
    for enabled in (first, not first, first):
        settings.CORE = {"ETAGS": {"ENABLED": enabled}}
        for path in ("", f"{book.pk}/"):
            for response in [api.get(f"/both/{path}") for _ in range(3)]:
                assert response.has_header("ETag") is enabled
            assert "Age" in response
            if enabled:
                assert response["ETag"] == tag_of(api, f"/books/{path}")
                assert api.get(f"/both/{path}", HTTP_IF_NONE_MATCH=response["ETag"]).status_code == 304


def test_reading_costs_no_query_more_for_the_tag(api, tagged, book, django_assert_num_queries):
    with django_assert_num_queries(4):  # the row, its tags and reviews, and the serializer's own count
        tagged_answer = api.get(f"/books/{book.pk}/")
    with django_assert_num_queries(4):
        plain_answer = api.get(f"/plain/{book.pk}/")
    assert "ETag" in tagged_answer
    assert tagged_answer.content == plain_answer.content


# --- The decorators, as the document has them ---


class CityGetKeyConstructor(KeyConstructor):
    format = bits.FormatKeyBit()
    language = bits.LanguageKeyBit()


@pytest.mark.parametrize(("memoize", "times"), [(True, 1), (False, 2)])
def test_one_function_for_tag_and_cache(api, use, transactional_db, memoize, times):
    """``@etag`` over ``@cache_response``, sharing a constructor; an explicit function is taken at its word.

    The first calculation of the key is enough where it is remembered for the request.
    """
    calls, worked_out = [], []

    class Counting(bits.KeyBitBase):
        def get_data(self, **kwargs):
            worked_out.append(kwargs["request"].path)

    class Constructor(CityGetKeyConstructor):
        counting = Counting()

    class CityView(APIView):
        permission_classes = (AllowAny,)
        key_constructor_func = Constructor(memoize_for_request=memoize)

        @etag(key_constructor_func)
        @cache_response(key_func=key_constructor_func)
        def get(self, request, *args, **kwargs):
            calls.append(1)
            return Response(City.objects.all().values_list("name", flat=True))

    use(cities=CityView.as_view())
    tag = tag_of(api, "/cities/1/")
    assert len(worked_out) == times
    assert api.get("/cities/1/", HTTP_IF_NONE_MATCH=tag).status_code == 304
    assert len(worked_out) == times + 1  # the cache was not asked
    assert tag_of(api, "/cities/1/") == tag
    assert len(worked_out) == 2 * times + 1
    assert len(calls) == 1


def test_functions_and_methods_by_name(api, use):
    def calculate_etag(view_instance, view_method, request, args, kwargs):
        return ".".join([str(len(args)), str(len(kwargs))])

    class ByFunction(APIView):
        permission_classes = (AllowAny,)

        @etag(etag_func=calculate_etag)
        def get(self, request, *args, **kwargs):
            return Response("x")

    class ByName(APIView):
        permission_classes = (AllowAny,)

        @etag(etag_func="calculate_etag_from_method")
        def get(self, request, *args, **kwargs):
            return Response("x")

        def calculate_etag_from_method(self, view_instance, view_method, request, args, kwargs):
            return f"method.{len(kwargs)}"

    use(function=ByFunction.as_view(), name=ByName.as_view())
    assert tag_of(api, "/function/1/") == '"0.1"'
    assert tag_of(api, "/name/1/") == '"method.1"'


def test_a_view_without_etag_func_is_tagged_by_its_data(api, use, transactional_db):
    """The document's ``CityView``: the tag follows the state, which the original's did not."""

    class CityView(APIView):
        permission_classes = (AllowAny,)

        @etag()
        def get(self, request, *args, **kwargs):
            return Response(list(City.objects.values_list("name", flat=True)))

    use(cities=CityView.as_view())
    before = tag_of(api, "/cities/1/")
    assert tag_of(api, "/cities/1/") == before
    City.objects.create(name="Rome")
    assert tag_of(api, "/cities/1/") != before


def test_api_etag_needs_a_function():
    with pytest.raises(AssertionError, match="etag_func"):
        api_etag()


class BookCustomDestroyView(generics.DestroyAPIView):
    queryset = Book.objects.all()
    permission_classes = (AllowAny,)

    @api_etag(etag_func=default_api_object_etag_func)
    def delete(self, request, *args, **kwargs):
        Book.objects.get(id=kwargs["pk"]).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


def test_the_documents_destroy_view(api, use, tagged, book):
    tag = tag_of(api, f"/stored/{book.pk}/")
    use(destroy=BookCustomDestroyView.as_view())
    assert api.delete(f"/destroy/{book.pk}/").status_code == 428
    assert api.delete(f"/destroy/{book.pk}/", HTTP_IF_MATCH='"x"').status_code == 412
    assert api.delete(f"/destroy/{book.pk}/", HTTP_IF_MATCH=tag).status_code == 204


def put_view(**options):
    class View(generics.UpdateAPIView):
        queryset = Book.objects.all()
        serializer_class = BookSerializer
        permission_classes = (AllowAny,)

        @api_etag(etag_func=default_api_object_etag_func, **options)
        def put(self, request, *args, **kwargs):
            return Response(status=status.HTTP_200_OK)

    return View.as_view()


def test_the_map_of_preconditions(api, use, book):
    use(
        custom=put_view(precondition_map={"PUT": ["X-mycorp-custom"]}),
        off=put_view(precondition_map={}),
        default=put_view(precondition_map=None),
    )
    assert api.put(f"/custom/{book.pk}/", {}).status_code == 428
    assert api.put(f"/custom/{book.pk}/", {}, HTTP_X_MYCORP_CUSTOM="1").status_code == 200
    assert api.put(f"/off/{book.pk}/", {}).status_code == 200
    assert api.put(f"/default/{book.pk}/", {}).status_code == 428
    assert PreconditionRequiredException.status_code == 428
    assert APIETAGProcessor.required["PUT"] == ["If-Match"]


@pytest.mark.parametrize(("books", "prefix"), [(TaggedBooks, ""), (StoredBooks, "api_")])
def test_methods_and_constructors_of_a_viewset(api, use, book, books, prefix):
    """Of tags of either kind; a write is compared by the same function, and answers with the tag that it makes then."""
    seen = []

    def of_object(self, **kwargs):
        seen.append(sorted(kwargs))
        return f"some key for object {Book.objects.get(pk=kwargs['kwargs']['pk']).pages}"

    methods = {"object": of_object, "list": lambda self, **kwargs: "some key for list"}
    constructor = CityGetKeyConstructor()
    use(
        methods=type("ByMethods", (books,), {f"{prefix}{name}_etag_func": func for name, func in methods.items()}),
        constructors=type("ByConstructors", (books,), {f"{prefix}{name}_etag_func": constructor for name in methods}),
    )
    url = f"/methods/{book.pk}/"
    assert tag_of(api, "/methods/") == '"some key for list"'
    assert tag_of(api, url) == '"some key for object 0"'
    assert seen == [["args", "kwargs", "request", "view_instance", "view_method"]]
    assert api.patch(url, {"pages": 3}, HTTP_IF_MATCH='"x"')["ETag"] == '"some key for object 0"'
    assert api.patch(url, {"pages": 3}, HTTP_IF_MATCH='"some key for object 0"')["ETag"] == '"some key for object 3"'
    assert api.delete(url, HTTP_IF_MATCH='"some key for object 0"').status_code == 412
    tag = tag_of(api, "/constructors/")
    assert tag == tag_of(api, f"/constructors/{book.pk}/")
    assert api.delete(f"/constructors/{book.pk}/", HTTP_IF_MATCH=tag).status_code == 204


@pytest.mark.parametrize("name", ["ETAG", "OBJECT_ETAG", "LIST_ETAG", "API_OBJECT_ETAG", "API_LIST_ETAG"])
def test_each_setting_names_the_function_of_its_own_methods(api, use, book, settings, name):
    class View(APIView):
        permission_classes = (AllowAny,)

        @etag()
        def get(self, request, pk):
            return Response(pk)

    use(books=TaggedBooks, stored=StoredBooks, view=View.as_view())
    settings.CORE = {"ETAGS": {f"DEFAULT_{name}_FUNC": f"{__name__}.constant_etag_func"}}
    urls = {
        "ETAG": "/view/1/",
        "OBJECT_ETAG": f"/books/{book.pk}/",
        "LIST_ETAG": "/books/",
        "API_OBJECT_ETAG": f"/stored/{book.pk}/",
        "API_LIST_ETAG": "/stored/",
    }
    assert {each for each, url in urls.items() if tag_of(api, url) == '"constant"'} == {name}
    if name == "OBJECT_ETAG":
        assert api.put(urls[name], {"title": "x"}, HTTP_IF_MATCH='"constant"')["ETag"] == '"constant"'
        assert api.delete(urls[name], HTTP_IF_MATCH='"constant"').status_code == 204


def test_a_write_has_a_new_tag_only_where_it_is_rebuilt(api, use, book):
    class View(Books):
        @etag(default_object_etag_func)
        def update(self, request, *args, **kwargs):
            return super().update(request, *args, **kwargs)

    use(books=View, tagged=TaggedBooks)
    url = f"/books/{book.pk}/"
    tag = tag_of(api, f"/tagged/{book.pk}/")
    response = api.put(url, {"title": "x"}, HTTP_IF_MATCH=tag)
    assert (response.status_code, response.has_header("ETag")) == (200, False)
    assert api.put(url, {"title": "y"}, HTTP_IF_MATCH=tag).status_code == 412
    assert not ETAGProcessor().rebuild


def test_what_may_be_required_of_a_write_may_be_required_of_a_read(api, use, book):
    class View(APIView):
        permission_classes = (AllowAny,)

        @etag(precondition_map={"GET": ["If-None-Match", "X-Who"]})
        def get(self, request, pk):
            return Response(pk)

    use(view=View.as_view())
    response = api.get("/view/1/", HTTP_X_WHO="me")
    assert response.status_code == 428
    assert "Send If-None-Match." in response.json()["detail"]
    assert api.get("/view/1/", HTTP_X_WHO="me", HTTP_IF_NONE_MATCH='"x"').status_code == 200


def constant_etag_func(**kwargs):
    return "constant"


def test_a_default_function_may_be_named_and_called(api, use, book):
    """It gives the digest of what GET would answer, without the format."""

    class View(TaggedBooks):
        def object_etag_func(self, **kwargs):
            return f"mine {default_object_etag_func(**kwargs)}"

    use(books=View, plain=TaggedBooks)
    digest = tag_of(api, f"/plain/{book.pk}/").strip('"').partition("-")[0]
    assert tag_of(api, f"/books/{book.pk}/") == f'"mine {digest}"'


def test_a_failed_write_is_rolled_back_as_a_whole(api, tagged, book):
    tag = tag_of(api, f"/books/{book.pk}/")
    assert api.put(f"/books/{book.pk}/", {"title": ""}, HTTP_IF_MATCH=tag).status_code == 400
    assert tag_of(api, f"/books/{book.pk}/") == tag


def test_plain_responses_are_tagged_by_their_bytes(api, use):
    class View(APIView):
        permission_classes = (AllowAny,)

        @etag()
        def get(self, request, pk):
            return HttpResponse(json.dumps(pk))

    use(plain=View.as_view())
    assert tag_of(api, "/plain/1/") != tag_of(api, "/plain/2/")


def test_viewsets_that_answer_no_get_are_compared_by_their_serializer(api, use, book):
    class WriteOnly(TaggedBooks):
        retrieve = None

    assert issubclass(CachedTaggedBooks, Books)
    use(books=TaggedBooks)
    tag = tag_of(api, f"/books/{book.pk}/")
    use(books=WriteOnly)
    assert api.patch(f"/books/{book.pk}/", {"pages": 1}, HTTP_IF_MATCH=tag).status_code == 200
