"""The examples of the original's document on caching and key constructors, as views on URLs."""

import datetime as dt

import pytest
from django.core.cache import cache
from django.db.models.signals import post_delete, post_save
from rest_framework import serializers, views, viewsets
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from core.caching import CacheResponseMixin, ListCacheResponseMixin, RetrieveCacheResponseMixin, cache_response
from core.keys import (
    DefaultKeyConstructor,
    DefaultListKeyConstructor,
    DefaultObjectKeyConstructor,
    KeyConstructor,
    bits,
)
from core.keys.bits import KeyBitBase, ListSqlQueryKeyBit, PaginationKeyBit, RetrieveSqlQueryKeyBit
from tests.caching_app.api import Books
from tests.caching_app.models import Book, City, Review

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "api_updated_at_timestamp"


def hit(response):
    return "Age" in response


class UpdatedAtKeyBit(KeyBitBase):
    def get_data(self, **kwargs):
        value = cache.get(KEY, None)
        if not value:
            value = str(dt.datetime.now(dt.UTC))
            cache.set(KEY, value=value)
        return value


def change_api_updated_at(sender=None, instance=None, *args, **kwargs):
    cache.set(KEY, str(dt.datetime.now(dt.UTC)))


class CustomObjectKeyConstructor(DefaultKeyConstructor):
    retrieve_sql = RetrieveSqlQueryKeyBit()
    updated_at = UpdatedAtKeyBit()


class CustomListKeyConstructor(DefaultKeyConstructor):
    list_sql = ListSqlQueryKeyBit()
    pagination = PaginationKeyBit()
    updated_at = UpdatedAtKeyBit()


class BookSerializer(serializers.ModelSerializer):
    class Meta:
        model = Book
        fields = ("id", "title")


class ReviewSerializer(serializers.ModelSerializer):
    """The document's ``ProfileSerializer``: a row with the row that it hangs on."""

    book = BookSerializer()

    class Meta:
        model = Review
        fields = ("id", "text", "book")


class ReviewViewSet(viewsets.ReadOnlyModelViewSet):
    serializer_class = ReviewSerializer
    queryset = Review.objects.all()
    permission_classes = (AllowAny,)
    pagination_class = None

    @cache_response(key_func=CustomObjectKeyConstructor())
    def retrieve(self, *args, **kwargs):
        return super().retrieve(*args, **kwargs)

    @cache_response(key_func=CustomListKeyConstructor())
    def list(self, *args, **kwargs):
        return super().list(*args, **kwargs)


@pytest.fixture
def _signals():
    for model in (Book, Review):
        post_save.connect(receiver=change_api_updated_at, sender=model)
        post_delete.connect(receiver=change_api_updated_at, sender=model)
    yield
    for model in (Book, Review):
        post_save.disconnect(receiver=change_api_updated_at, sender=model)
        post_delete.disconnect(receiver=change_api_updated_at, sender=model)


@pytest.mark.usefixtures("_signals")
def test_a_bit_of_ones_own_renews_all_keys_at_every_write(api, use):
    """``UpdatedAtKeyBit`` and its signals, in the two constructors of the document."""
    use(reviews=ReviewViewSet)
    book = Book.objects.create(title="Emma")
    review = Review.objects.create(book=book, text="good")
    for url in ("/reviews/", f"/reviews/{review.pk}/"):
        api.get(url)
        assert hit(api.get(url))
    stamp = cache.get(KEY)
    book.title = "Ulysses"
    book.save()
    assert cache.get(KEY) != stamp
    for url in ("/reviews/", f"/reviews/{review.pk}/"):
        response = api.get(url)
        assert not hit(response)
        shown = response.json()
        assert (shown[0] if isinstance(shown, list) else shown)["book"]["title"] == "Ulysses"
        assert hit(api.get(url))


class Xml(JSONRenderer):
    media_type = "application/xml"
    format = "xml"


def test_each_format_has_an_answer_of_its_own(api, use):
    """JSON, then XML: what went wrong in the document's first key functions."""

    class CityView(views.APIView):
        permission_classes = (AllowAny,)
        renderer_classes = (JSONRenderer, Xml)

        @cache_response()
        def get(self, request, *args, **kwargs):
            return Response(City.objects.values_list("name", flat=True))

    use(cities=CityView.as_view())
    City.objects.create(name="Moscow")
    for media_type in ("application/json", "application/xml"):
        first = api.get("/cities/", HTTP_ACCEPT=media_type)
        assert not hit(first)
        assert first["Content-Type"].startswith(media_type)
        again = api.get("/cities/", HTTP_ACCEPT=media_type)
        assert hit(again)
        assert again["Content-Type"] == first["Content-Type"]


class CityGetKeyConstructor(KeyConstructor):
    unique_method_id = bits.UniqueMethodIdKeyBit()
    format = bits.FormatKeyBit()
    language = bits.LanguageKeyBit()


class CityHeadKeyConstructor(CityGetKeyConstructor):
    user = bits.UserKeyBit()
    request_meta = bits.RequestMetaKeyBit(params=["REMOTE_ADDR"])


def test_get_and_head_have_keys_of_their_own(api, use, author):
    """``CityView`` with two constructors: ``head`` answers by user and address, ``get`` the same to all."""

    class CityView(views.APIView):
        permission_classes = (AllowAny,)

        @cache_response(key_func=CityGetKeyConstructor())
        def get(self, request, *args, **kwargs):
            return Response(City.objects.values_list("name", flat=True))

        @cache_response(key_func=CityHeadKeyConstructor())
        def head(self, request, *args, **kwargs):
            return Response("x", headers={"X-Whose": f"{request.user} {request.META['REMOTE_ADDR']}"})

    use(cities=CityView.as_view())
    api.get("/cities/")
    assert hit(api.get("/cities/"))
    assert api.head("/cities/")["X-Whose"] == "AnonymousUser 127.0.0.1"
    assert api.head("/cities/", REMOTE_ADDR="10.0.0.1")["X-Whose"] == "AnonymousUser 10.0.0.1"
    assert hit(api.head("/cities/"))
    api.force_authenticate(author)
    assert api.head("/cities/")["X-Whose"] == "author 127.0.0.1"


class CityKeyConstructor(DefaultKeyConstructor):
    geoip = bits.RequestMetaKeyBit(params=["GEOIP_CITY"])


def test_params_of_the_constructor_choose_what_counts(api, use):
    """``CityView`` and ``CountryView``: one constructor, other params."""

    def view(constructor):
        class View(views.APIView):
            permission_classes = (AllowAny,)

            @cache_response(key_func=constructor)
            def get(self, request, *args, **kwargs):
                return Response("x")

        return View.as_view()

    use(city=view(CityKeyConstructor()), country=view(CityKeyConstructor(params={"geoip": ["GEOIP_COUNTRY"]})))
    for url, name, other in (("/city/", "GEOIP_CITY", "GEOIP_COUNTRY"), ("/country/", "GEOIP_COUNTRY", "GEOIP_CITY")):
        api.get(url, **{name: "a"})
        assert not hit(api.get(url, **{name: "b"}))
        assert hit(api.get(url, **{name: "b", other: "c"}))


def test_the_default_object_and_list_constructors_serve_viewsets(api, use, shelf):
    """With the SQL bits and the page, as the document describes them."""

    class Constructed(CacheResponseMixin, Books):
        object_cache_key_func = DefaultObjectKeyConstructor()
        list_cache_key_func = DefaultListKeyConstructor()

    use(books=Constructed)
    for url in ("/books/", "/books/?title=Emma", f"/books/{shelf[0].pk}/", f"/books/{shelf[1].pk}/"):
        assert not hit(api.get(url))
        assert hit(api.get(url))
    Book.objects.update(pages=3)
    assert not hit(api.get("/books/"))


@pytest.mark.parametrize(("mixin", "kept"), [(ListCacheResponseMixin, "list"), (RetrieveCacheResponseMixin, "detail")])
def test_half_a_mixin_keeps_half(api, use, shelf, mixin, kept):
    use(books=type("Half", (mixin, Books), {}))
    for kind, url in (("list", "/books/"), ("detail", f"/books/{shelf[0].pk}/")):
        api.get(url)
        assert hit(api.get(url)) is (kind == kept)


def own_key(**kwargs):
    return f"own {kwargs['view_method'].__name__}"


@pytest.mark.parametrize(
    "section", ["DEFAULT_CACHE_KEY_FUNC", "DEFAULT_OBJECT_CACHE_KEY_FUNC", "DEFAULT_LIST_CACHE_KEY_FUNC"]
)
def test_each_setting_names_the_key_function_of_its_own_method(api, use, shelf, settings, section):
    """An own function does not look at the query: only the method that it is for is answered from another's entry."""

    class View(views.APIView):
        permission_classes = (AllowAny,)

        @cache_response()
        def get(self, request):
            return Response("x")

    use(cached=type("Cached", (CacheResponseMixin, Books), {}), view=View.as_view())
    settings.CORE = {"CACHING": {section: f"{__name__}.own_key"}}
    urls = {"CACHE": "/view/", "OBJECT": f"/cached/{shelf[0].pk}/", "LIST": "/cached/"}
    for name, url in urls.items():
        api.get(f"{url}?a=1")
        assert hit(api.get(f"{url}?a=2")) is section.startswith(f"DEFAULT_{name}_")
