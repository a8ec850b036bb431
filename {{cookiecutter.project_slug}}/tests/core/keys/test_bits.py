"""Every bit of the document, with all its params."""

import datetime as dt

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.cache import cache
from django.utils import timezone, translation
from rest_framework import pagination
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from core.keys import bits
from core.keys.bits import KeyBitBase
from tests.caching_app.api import Books
from tests.caching_app.models import Book

factory = APIRequestFactory()


def view_of(path="/", kwargs=None, viewset=Books, **headers):
    request = Request(factory.get(path, **headers))
    request.user = AnonymousUser()
    return viewset(request=request, kwargs=kwargs or {}, args=(), action="list", format_kwarg=None)


def data(bit, view=None, args=(), **kwargs):
    view = view_of() if view is None else view
    given = {"view_instance": view, "view_method": Books.list, "request": view.request, "args": args, "kwargs": kwargs}
    return bit.get_data(params=bit.params, **given)


def test_format_is_the_renderers_and_none_without_one():
    view = view_of()
    assert data(bits.FormatKeyBit(), view) is None
    view.request.accepted_renderer = type("Renderer", (), {"format": "xml"})
    assert data(bits.FormatKeyBit(), view) == "xml"


def test_language_and_time_zone_are_the_active_ones():
    with translation.override("de"), timezone.override("Europe/Berlin"):
        assert data(bits.LanguageKeyBit()) == "de"
        assert data(bits.TimeZoneKeyBit()) == "Europe/Berlin"


def test_user_is_the_id_or_anonymous():
    view = view_of()
    assert data(bits.UserKeyBit(), view) == "anonymous"
    view.request.user = User(pk=7)
    assert data(bits.UserKeyBit(), view) == "7"


def test_a_user_called_anonymous_is_told_from_nobody():
    view = view_of()
    view.request.user = type("Odd", (), {"pk": "anonymous", "is_authenticated": True})()
    assert data(bits.UserKeyBit(), view) != "anonymous"


@pytest.mark.django_db
def test_the_caller_is_the_row_as_loaded_and_the_permissions_as_asked(author):
    view = view_of()
    view.request.user = User.objects.get(pk=author.pk)
    before = data(bits.CallerKeyBit(), view)
    view.request.user.last_login = timezone.now()
    assert data(bits.CallerKeyBit(), view) == before
    view.request.user.has_perm("polls.add_question")
    with_permissions = data(bits.CallerKeyBit(), view)
    assert with_permissions != before
    view.request.user = User.objects.get(pk=author.pk)
    view.request.user.is_staff = True
    assert data(bits.CallerKeyBit(), view) != before


@pytest.mark.parametrize(
    ("bit", "found"),
    [
        (
            bits.RequestMetaKeyBit(["REMOTE_ADDR", "HTTP_USER_AGENT"]),
            {"REMOTE_ADDR": "127.0.0.1", "HTTP_USER_AGENT": "x"},
        ),
        (bits.RequestMetaKeyBit(), {}),
        (bits.RequestMetaKeyBit(["NOWHERE"]), {}),
        (bits.HeadersKeyBit(["user-agent", "x-geobase-id"]), {"user-agent": "x", "x-geobase-id": "5"}),
        (bits.HeadersKeyBit(), {}),
        (bits.HeadersKeyBit(["nowhere"]), {}),
    ],
)
def test_meta_and_headers_are_taken_by_name(bit, found):
    assert data(bit, view_of(HTTP_USER_AGENT="x", HTTP_X_GEOBASE_ID="5")) == found


def test_all_of_meta_and_all_headers_are_taken_by_a_star():
    view = view_of(HTTP_USER_AGENT="x", HTTP_X_GEOBASE_ID="5")
    assert data(bits.RequestMetaKeyBit("*"), view) == {name: str(value) for name, value in view.request.META.items()}
    assert data(bits.HeadersKeyBit("*"), view) == dict(view.request.headers)
    assert data(bits.HeadersKeyBit("*"), view).items() >= {"User-Agent": "x", "X-Geobase-Id": "5"}.items()


@pytest.mark.parametrize(
    ("bit", "found"),
    [
        (bits.ArgsKeyBit(), ["a", "b", "c"]),
        (bits.ArgsKeyBit("*"), ["a", "b", "c"]),
        (bits.ArgsKeyBit([0, 2]), ["a", "c"]),
        (bits.ArgsKeyBit([0, 9]), ["a", None]),
    ],
)
def test_positional_arguments_are_taken_by_place(bit, found):
    assert data(bit, args=("a", "b", "c")) == found


@pytest.mark.parametrize(
    ("bit", "found"),
    [
        (bits.KwargsKeyBit(), {"user_id": "1", "city": "Rome", "x": "2"}),
        (bits.KwargsKeyBit("*"), {"user_id": "1", "city": "Rome", "x": "2"}),
        (bits.KwargsKeyBit(["user_id", "city"]), {"user_id": "1", "city": "Rome"}),
    ],
)
def test_keyword_arguments_are_taken_by_name(bit, found):
    assert data(bit, user_id=1, city="Rome", x=2) == found


@pytest.mark.parametrize(
    ("bit", "found"),
    [
        (bits.QueryParamsKeyBit(["part", "callback"]), {"part": ["1", "2"], "callback": ["f"]}),
        (bits.QueryParamsKeyBit("*"), {"part": ["1", "2"], "callback": ["f"], "z": [""]}),
        (bits.QueryParamsKeyBit(), {"part": ["1", "2"], "callback": ["f"], "z": [""]}),
    ],
)
def test_query_parameters_come_with_all_their_values(bit, found):
    assert data(bit, view_of("/?part=1&part=2&callback=f&z=")) == found


class Sized(pagination.PageNumberPagination):
    page_size_query_param = "size"


@pytest.mark.parametrize(
    ("paginator", "query", "found"),
    [
        (pagination.PageNumberPagination, "page=2&x=1", {"page": ["2"]}),
        (Sized, "page=2&size=5&x=1", {"page": ["2"], "size": ["5"]}),
        (pagination.LimitOffsetPagination, "limit=2&offset=4&x=1", {"limit": ["2"], "offset": ["4"]}),
        (pagination.CursorPagination, "cursor=abc&x=1", {"cursor": ["abc"]}),
        (None, "page=2", {}),
    ],
)
def test_the_paginators_own_parameters_are_taken(paginator, query, found):
    viewset = type("Paginated", (Books,), {"pagination_class": paginator})
    assert data(bits.PaginationKeyBit(), view_of(f"/?{query}", viewset=viewset)) == found


@pytest.mark.django_db
class TestRows:
    def test_the_sql_of_a_list_follows_its_filters(self):
        bit = bits.ListSqlQueryKeyBit()
        assert data(bit, view_of("/?title=a")) != data(bit, view_of("/?title=b")) != data(bit, view_of())

    def test_an_empty_result_set_is_no_error(self):
        viewset = type("Empty", (Books,), {"queryset": Book.objects.none()})
        assert data(bits.ListSqlQueryKeyBit(), view_of(viewset=viewset)) is None
        assert data(bits.RetrieveSqlQueryKeyBit(), view_of(kwargs={"pk": "1"}, viewset=viewset)) is None
        assert data(bits.ListModelKeyBit(), view_of(viewset=viewset)) == []

    def test_an_invalid_lookup_is_no_error(self):
        assert data(bits.RetrieveSqlQueryKeyBit(), view_of(kwargs={"pk": "no number"})) is None
        assert data(bits.RetrieveModelKeyBit(), view_of(kwargs={"pk": "no number"})) is None

        class Refusing(Books):
            def filter_queryset(self, queryset):
                raise ValidationError("no such filter")

        assert data(bits.ListSqlQueryKeyBit(), view_of(viewset=Refusing)) is None

    def test_the_sql_of_one_object_names_it(self):
        bit = bits.RetrieveSqlQueryKeyBit()
        assert data(bit, view_of(kwargs={"pk": "1"})) != data(bit, view_of(kwargs={"pk": "2"}))

    def test_one_object_is_found_by_the_lookup_and_the_argument_of_its_view(self):
        """``lookup_field`` names the column, ``lookup_url_kwarg`` the argument of the URL."""
        by_title = type("ByTitle", (Books,), {"lookup_field": "title"})
        by_name = type("ByName", (by_title,), {"lookup_url_kwarg": "name"})
        bit = bits.RetrieveSqlQueryKeyBit()
        emma = data(bit, view_of(kwargs={"title": "Emma"}, viewset=by_title))
        assert ["str", "Emma"] in emma[1]
        assert data(bit, view_of(kwargs={"name": "Emma"}, viewset=by_name)) == emma
        assert data(bit, view_of(kwargs={"name": "Faust"}, viewset=by_name)) != emma
        book = Book.objects.create(title="Emma")
        view = view_of(kwargs={"name": "Emma"}, viewset=by_name)
        assert ["id", "int", str(book.pk)] in data(bits.RetrieveModelKeyBit(), view)

    def test_the_stored_values_of_a_row_change_with_the_row(self):
        book = Book.objects.create(title="a")
        view = view_of(kwargs={"pk": book.pk})
        before = data(bits.RetrieveModelKeyBit(), view)
        Book.objects.update(pages=3)
        assert data(bits.RetrieveModelKeyBit(), view) != before

    def test_the_stored_values_of_a_list_hold_every_row(self):
        Book.objects.bulk_create(Book(title=f"{n}") for n in range(30))
        before = data(bits.ListModelKeyBit())
        assert len(before) == 30
        Book.objects.filter(title="25").update(pages=3)
        assert data(bits.ListModelKeyBit()) != before


def test_views_and_methods_have_ids():
    assert data(bits.UniqueViewIdKeyBit()) == "tests.caching_app.api.Books"
    assert data(bits.UniqueMethodIdKeyBit()) == "tests.caching_app.api.Books.list"


def test_the_documents_bit_of_ones_own_is_a_time_in_the_cache():
    """``UpdatedAtKeyBit``: one value until somebody writes another."""

    class UpdatedAtKeyBit(KeyBitBase):
        def get_data(self, **kwargs):
            key = "api_updated_at_timestamp"
            value = cache.get(key, None)
            if not value:
                value = str(dt.datetime.now(dt.UTC))
                cache.set(key, value=value)
            return value

    first = data(UpdatedAtKeyBit())
    assert data(UpdatedAtKeyBit()) == first
    cache.set("api_updated_at_timestamp", "later")
    assert data(UpdatedAtKeyBit()) == "later"


def test_outside_of_drf_credentials_are_another_caller_and_are_not_kept_in_the_open():
    """Nobody has judged the header: whoever it names is not the one without it."""
    plain = factory.get("/", HTTP_AUTHORIZATION="Token secret")
    plain.user = AnonymousUser()
    known = bits.CallerKeyBit().get_data(request=plain)
    assert known[0] == "anonymous"
    assert "secret" not in str(known)
    other = factory.get("/", HTTP_AUTHORIZATION="Token other")
    other.user = AnonymousUser()
    without = factory.get("/")
    without.user = AnonymousUser()
    assert len({str(bits.CallerKeyBit().get_data(request=each)) for each in (plain, other, without)}) == 3
