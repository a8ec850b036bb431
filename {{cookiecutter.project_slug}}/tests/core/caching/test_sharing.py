"""Nobody is given somebody else's answer, and what proxies are told is true."""

import threading
import time

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.test import Client
from django.urls import path
from django.utils import timezone, translation
from rest_framework.authentication import BaseAuthentication, TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.decorators import action, api_view, authentication_classes, permission_classes, renderer_classes
from rest_framework.exceptions import APIException, NotFound
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.throttling import AnonRateThrottle
from rest_framework.versioning import QueryParameterVersioning, URLPathVersioning
from rest_framework.views import APIView

from core.caching import CacheResponseMixin, EarlyAnswersMixin, cache_response
from core.caching.plans import PREFIX
from core.keys import KeyConstructor, bits
from tests.caching_app.api import Books, CachedBooks, IsOwner
from tests.caching_app.models import Book, City, Review

pytestmark = pytest.mark.django_db(transaction=True)


def hit(response):
    return "Age" in response


def view_of(get, **options):
    """A view whose ``get`` is cached with ``options``."""

    class View(APIView):
        permission_classes = (AllowAny,)

        @cache_response(**options)
        def get(self, request, *args, **kwargs):
            return get(request)

    return View.as_view()


def test_a_stranger_gets_403_though_the_owners_answer_is_kept(
    api, cached_books, author, stranger, django_assert_num_queries
):
    """The object permission is asked on a hit: one query for the row."""
    book = Book.objects.create(title="Emma", owner=author)
    api.force_authenticate(author)
    assert api.get(f"/owned/{book.pk}/").status_code == 200
    with django_assert_num_queries(1):
        assert hit(api.get(f"/owned/{book.pk}/"))
    api.force_authenticate(stranger)
    assert api.get(f"/owned/{book.pk}/").status_code == 403


def test_object_permissions_hold_even_where_the_key_is_shared(api, use, author, stranger):
    class Shared(CachedBooks):
        permission_classes = (IsOwner | IsOwner,)
        cache_shared = True

    use(books=Shared)
    book = Book.objects.create(title="Emma", owner=author)
    api.force_authenticate(author)
    api.get(f"/books/{book.pk}/")
    assert hit(api.get(f"/books/{book.pk}/"))
    api.force_authenticate(stranger)
    assert api.get(f"/books/{book.pk}/").status_code == 403


def test_an_object_that_is_named_by_another_field_is_asked_about_on_a_hit_too(api, use, author, stranger):
    class ByTitle(CachedBooks):
        permission_classes = (IsOwner,)
        cache_shared = True
        lookup_field = "title"
        lookup_url_kwarg = "name"

    use(books=ByTitle)
    Book.objects.create(title="Emma", owner=author)
    for user, status in ((author, 200), (author, 200), (stranger, 403)):
        api.force_authenticate(user)
        response = api.get("/books/Emma/")
        assert response.status_code == status
    api.force_authenticate(author)
    assert hit(api.get("/books/Emma/"))


class OfReviews(BasePermission):
    """Asks whose book a review is of."""

    def has_object_permission(self, request, view, obj):
        return not isinstance(obj, Review) or obj.book.owner_id == request.user.pk


def reviewing(view, request, pk):
    review = get_object_or_404(Review, book=pk)
    view.check_object_permissions(request, review)
    return Response(review.text)


class PlainReview(APIView):
    permission_classes = (OfReviews,)

    @cache_response(shared=True)
    def get(self, request, pk):
        return reviewing(self, request, pk)


class BooksWithReview(CachedBooks):
    permission_classes = (OfReviews,)

    @action(detail=True)
    @cache_response(shared=True)
    def review(self, request, pk):
        return reviewing(self, request, pk)


class OddReview(BooksWithReview):
    def get_object(self):
        return Book.objects.get(pk=self.kwargs["pk"])


class BooksWithNext(CachedBooks):
    permission_classes = (IsOwner,)

    @action(detail=True)
    @cache_response(shared=True)
    def next(self, request, pk):
        book = Book.objects.filter(pk__gt=pk).first()
        self.check_object_permissions(request, book)
        return Response(book.title)


@pytest.mark.parametrize("url", ["/plain/{}/", "/books/{}/review/", "/odd/{}/review/", "/nexts/{}/next/"])
def test_a_view_that_asks_for_another_object_than_its_own_is_not_answered_without_it(serve, author, stranger, url):
    """Whatever the permission would say of the object that the URL names, which is not the one that is shown."""
    router = SimpleRouter()
    for name, viewset in (("books", BooksWithReview), ("odd", OddReview), ("nexts", BooksWithNext)):
        router.register(name, viewset, basename=name)
    serve(router.urls, [path("plain/<int:pk>/", PlainReview.as_view())])
    book = Book.objects.create(title="Emma", owner=stranger if "next" in url else author)
    Book.objects.create(title="Faust", owner=author)
    Review.objects.create(book=book, text="good")
    for user, status in ((author, 200), (stranger, 403), (author, 200)):
        client = APIClient()
        client.force_authenticate(user)
        for _ in range(2):
            assert client.get(url.format(book.pk)).status_code == status


def test_users_do_not_share_unless_the_view_says_so(api, use, author, stranger):
    class Mine(CacheResponseMixin, Books):
        def get_queryset(self):
            return Book.objects.filter(owner=self.request.user)

    class Same(CachedBooks):
        cache_shared = True

    use(mine=Mine, same=Same)
    Book.objects.create(title="Emma", owner=author)
    api.force_authenticate(author)
    assert len(api.get("/mine/").json()) == 1
    assert not hit(api.get("/same/"))
    api.force_authenticate(stranger)
    assert api.get("/mine/").json() == []
    assert hit(api.get("/same/"))


class Grant:
    """What some authentications give for ``request.auth``: an object of no further meaning."""

    def __init__(self, name):
        self.name = name


GRANTS = {
    "a row": lambda name: City.objects.get(name=name),
    "a text": str,
    "a mapping": lambda name: {"scope": name},
    "an object": Grant,
}


@pytest.mark.parametrize("who", ["somebody", "nobody"])
@pytest.mark.parametrize("kind", GRANTS)
def test_two_tokens_of_one_user_do_not_share(use, author, kind, who):
    """One may open what the other does not."""

    class Authentication(BaseAuthentication):
        def authenticate(self, request):
            name = request.META["HTTP_AUTHORIZATION"]
            return author if who == "somebody" else AnonymousUser(), GRANTS[kind](name)

    class View(APIView):
        authentication_classes = (Authentication,)
        permission_classes = (AllowAny,)

        @cache_response()
        def get(self, request):
            return Response(request.META["HTTP_AUTHORIZATION"])

    City.objects.bulk_create([City(name="read"), City(name="write")])
    use(view=View.as_view())
    for name, kept in (("read", False), ("write", False), ("read", True), ("write", True)):
        response = APIClient().get("/view/", HTTP_AUTHORIZATION=name)
        assert response.json() == name
        assert hit(response) is kept


def test_a_token_that_may_do_more_or_less_is_another_one_but_not_one_that_was_used(author):
    """As with the user: the row as loaded."""
    token = Token.objects.create(user=author)

    def data():
        request = APIView().initialize_request(APIRequestFactory().get("/"))
        request.user, request.auth = author, token
        return bits.CallerKeyBit().get_data(request=request)

    before = data()
    token.created = timezone.now()
    assert data() == before
    assert token.key not in str(before)
    token.key = "another"
    assert data() != before


def test_who_loses_a_right_loses_what_was_kept_with_it(api, use, author):
    """Which rights a user has is no part of the query; it is a part of the key."""

    class ForStaff(CacheResponseMixin, Books):
        def get_queryset(self):
            return Book.objects.all() if self.request.user.is_staff else Book.objects.none()

    use(books=ForStaff)
    Book.objects.create(title="Emma")
    author.is_staff = True
    author.save()
    browser = Client()
    browser.force_login(author)
    assert len(browser.get("/books/").json()) == 1
    author.is_staff = False
    author.save()
    assert browser.get("/books/").json() == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"path": "/echo/?n=a&n=b"}, {"path": "/echo/?n=b"}),
        ({"path": "/echo/?n=a&n=b"}, {"path": "/echo/?n=a,+b"}),
        ({"HTTP_HOST": "localhost"}, {"HTTP_HOST": "127.0.0.1"}),
        ({"HTTP_ACCEPT_LANGUAGE": "de"}, {"HTTP_ACCEPT_LANGUAGE": "fr"}),
        ({"HTTP_ACCEPT": "application/json"}, {"HTTP_ACCEPT": "application/json; indent=4"}),
        ({"HTTP_X_TENANT": "a"}, {"HTTP_X_TENANT": "b"}),
    ],
)
def test_what_a_request_asks_for_is_what_it_gets(api, use, one, other):
    def echo(request):
        headers = {"Vary": "X-Tenant"}
        said = [
            request.get_full_path(),
            request.get_host(),
            request.headers.get("X-Tenant"),
            translation.get_language(),
        ]
        return Response(said, headers=headers)

    use(echo=view_of(echo))
    one, other = ({"path": "/echo/", **each} for each in (one, other))
    first = api.get(**one).content
    second = api.get(**other)
    assert not hit(second)
    assert second.content != first


def test_the_arguments_of_the_url_and_the_version_are_told_apart(serve):
    def version(versioning):
        class View(APIView):
            permission_classes = (AllowAny,)
            versioning_class = versioning

            @cache_response()
            def get(self, request, *args, **kwargs):
                return Response([request.version, *args, kwargs])

        return View.as_view()

    serve(
        [
            path("places/<str:country>/<int:number>/", version(None)),
            path("asked/", version(QueryParameterVersioning)),
            path("<str:version>/path/", version(URLPathVersioning)),
        ]
    )
    urls = ("/places/a/1/", "/places/a/2/", "/places/b/1/", "/asked/?version=1", "/asked/?version=2")
    seen = set()
    for url in (*urls, "/v1/path/", "/v2/path/"):
        first = APIClient().get(url)
        assert not hit(first)
        assert hit(again := APIClient().get(url))
        assert again.content == first.content
        seen.add(first.content)
    assert len(seen) == 7


def test_the_version_counts_where_only_a_header_names_it(use):
    class View(APIView):
        permission_classes = (AllowAny,)

        def determine_version(self, request, *args, **kwargs):
            return request.headers["X-Version"], None

        @cache_response()
        def get(self, request):
            return Response(request.version)

    use(view=View.as_view())
    for version in ("1", "2"):
        assert APIClient().get("/view/", headers={"X-Version": version}).json() == version
        assert hit(APIClient().get("/view/", headers={"X-Version": version}))


def in_a_zone(get_response):
    """Middleware that activates the caller's time zone."""

    def middleware(request):
        with timezone.override(request.headers.get("X-Zone", "UTC")):
            return get_response(request)

    return middleware


def test_the_time_zone_that_is_active_is_told_apart(use, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.in_a_zone"]
    use(zone=view_of(lambda request: Response(timezone.get_current_timezone_name())))
    for zone in ("Europe/Berlin", "Asia/Tokyo"):
        assert APIClient().get("/zone/", headers={"X-Zone": zone}).json() == zone
        assert hit(APIClient().get("/zone/", headers={"X-Zone": zone}))


def put_into_the_basket(request):
    request.session["basket"] = request.GET["what"]
    return HttpResponse()


def basket(request):
    return HttpResponse(request.session.get("basket", "nothing"))


@pytest.mark.parametrize("engine", ["db", "cache"])
@pytest.mark.parametrize("kind", ["function", "view", "early", "later"])
def test_who_has_no_name_is_not_shown_the_session_of_another(use, settings, engine, kind):
    """All visitors are the same user: none. What a view finds in the session is for that session all the same."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"

    class View(APIView):
        permission_classes = (AllowAny,)

        @cache_response()
        def get(self, request):
            return basket(request)

    class Early(EarlyAnswersMixin, View):
        pass

    @cache_response()
    async def later(request):
        return HttpResponse(await request.session.aget("basket", "nothing"))

    views = {"function": cache_response()(basket), "view": View.as_view(), "early": Early.as_view(), "later": later}
    use(basket=views[kind], put=put_into_the_basket)
    one, other = Client(), Client()
    for browser, what in ((one, "apples"), (other, "pears")):
        browser.get(f"/put/?what={what}")
        for _ in range(2):
            assert browser.get("/basket/").content == what.encode()
        assert hit(browser.get("/basket/"))
    assert Client().get("/basket/").content == b"nothing"
    assert one.get("/basket/").content == b"apples"


def test_what_is_shared_may_look_into_the_session(use, settings):
    """Who says that an answer is the same for all is taken at their word."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"

    @cache_response(shared=True)
    def view(request):
        request.session.get("basket")
        return HttpResponse("x")

    use(view=view, put=put_into_the_basket)
    one, other = Client(), Client()
    one.get("/put/?what=apples")
    one.get("/view/")
    assert hit(other.get("/view/"))


def test_the_browsable_api_is_made_for_each_visitor(api, use, shelf):
    class Pages(CachedBooks):
        renderer_classes = (JSONRenderer, BrowsableAPIRenderer)

    use(books=Pages)
    for _ in range(2):
        page = api.get("/books/", HTTP_ACCEPT="text/html")
        assert page.status_code == 200
        assert not hit(page)


def cookies(request):
    response = Response("x")
    response.set_cookie("a", "b")
    return response


def with_header(**headers):
    return lambda request: Response("x", headers={name.replace("_", "-"): value for name, value in headers.items()})


def forms(request):
    return Response(get_token(request))


def session(request):
    request.session["x"] = 1
    return Response("x")


NOT_KEPT = {
    "cookies": (cookies, {}),
    "streams": (lambda request: StreamingHttpResponse(["x"]), {}),
    "no-store": (with_header(Cache_Control="no-store"), {}),
    "private and shared": (with_header(Cache_Control="private"), {"shared": True}),
    "Vary: *": (with_header(Vary="*"), {}),
    "a token against forgery": (forms, {}),
    "something put into the session": (session, {}),
    "an error": (lambda request: Response("x", status=500), {}),
    "not modified": (lambda request: Response(status=304), {"cache_errors": True}),
}


@pytest.mark.parametrize("what", NOT_KEPT)
def test_what_is_for_one_request_is_not_kept(api, use, what):
    get, options = NOT_KEPT[what]
    calls = []

    def counted(request):
        calls.append(1)
        return get(request)

    use(view=view_of(counted, **options))
    api.get("/view/")
    assert not hit(api.get("/view/"))
    assert len(calls) == 2


def test_cookies_are_set_for_everybody_and_replayed_for_nobody(use, shelf):
    """The first answer has its cookie as well; that of one visitor is not given to the next."""
    visitors = iter(range(3))

    def numbered(request):
        response = Response(Book.objects.count())
        response.set_cookie("visitor", next(visitors))
        return response

    use(view=view_of(numbered, shared=True))
    assert [APIClient().get("/view/").cookies["visitor"].value for _ in range(3)] == ["0", "1", "2"]


def test_private_answers_are_kept_for_the_one_caller(api, use):
    use(view=view_of(with_header(Cache_Control="private")))
    api.get("/view/")
    assert hit(api.get("/view/"))


def test_errors_are_kept_only_when_asked(api, use, settings):
    def error(request):
        raise NotFound

    def fault(request):
        raise APIException

    asked = {"cache_errors": True}
    never = view_of(error, cache_errors=False)
    use(no=view_of(error), yes=view_of(error, **asked), fault=view_of(fault, **asked), never=never)
    for url, status, kept in (("/no/", 404, False), ("/yes/", 404, True), ("/fault/", 500, True)):
        assert api.get(url).status_code == status
        again = api.get(url)
        assert (again.status_code, hit(again)) == (status, kept)
    settings.CORE = {"CACHING": {"DEFAULT_CACHE_ERRORS": True}}
    for url, kept in (("/no/", True), ("/never/", False)):
        api.get(url)
        assert hit(api.get(url)) is kept


def test_headers_tell_the_truth(api, use, shelf, monkeypatch):
    class Same(CachedBooks):
        cache_shared = True

    use(books=CachedBooks, same=Same, short=view_of(with_header(Cache_Control="max-age=60")))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    first = api.get("/books/")
    assert first["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "Cookie"} <= {name.strip() for name in first["Vary"].split(",")}
    same = api.get("/same/")
    assert same["Cache-Control"] == "public, no-cache"
    assert "Authorization" not in same.get("Vary", "")
    assert api.get("/short/")["Cache-Control"] == "max-age=60"
    monkeypatch.setattr(time, "time", lambda: now + 7)
    assert api.get("/books/")["Age"] in {"7", "6"}


@pytest.fixture
def kept(monkeypatch):
    """The timeouts of the entries that are kept, in their order."""
    timeouts = []
    backend = type(cache._connections[cache._alias])
    standing = backend.set

    def set_(self, key, value, timeout=None, **kwargs):
        if key.startswith(PREFIX):
            timeouts.append(timeout)
        return standing(self, key, value, timeout, **kwargs)

    monkeypatch.setattr(backend, "set", set_)
    return timeouts


def test_an_entry_ends_with_its_timeout_each_view_having_its_own(api, use, kept):
    decorator = cache_response("keeps")

    def sharing(seconds):
        """Two views under one decorator: at the peer the first one's timeout served both."""

        class View(APIView):
            permission_classes = (AllowAny,)
            keeps = seconds

            @decorator
            def get(self, request):
                return Response(seconds)

        return View.as_view()

    class Short(CachedBooks):
        list_cache_timeout = 60
        object_cache_timeout = 30

    book = Book.objects.create(title="Emma")
    use(
        books=CachedBooks,
        short=Short,
        long=view_of(lambda request: Response(1), timeout=60 * 15),
        ever=view_of(lambda request: Response(2), timeout=None),
        age=view_of(with_header(Cache_Control="max-age=9")),
        never=view_of(lambda request: Response(3), timeout=0),
        one=sharing(11),
        two=sharing(22),
    )
    for url in ("/books/", "/short/", f"/short/{book.pk}/", "/long/", "/ever/", "/age/", "/never/", "/one/", "/two/"):
        api.get(url)
    assert kept == [3600, 60, 30, 900, None, 9, 11, 22]


@pytest.mark.parametrize("seconds", [900, 0, None])
def test_who_names_no_timeout_has_that_of_the_settings(api, use, settings, kept, seconds):
    """The decorator and both methods of the mixin, read when an answer is kept; one's own goes before it."""
    own = type("Own", (CachedBooks,), {"list_cache_timeout": 60, "object_cache_timeout": None})
    use(books=CachedBooks, own=own, city=view_of(lambda request: Response("x")))
    settings.CORE = {"CACHING": {"DEFAULT_CACHE_RESPONSE_TIMEOUT": seconds}}
    book = Book.objects.create(title="Emma")
    for url in ("/city/", "/books/", f"/books/{book.pk}/"):
        api.get(url)
        assert hit(api.get(url)) is (seconds != 0)
    assert kept == ([] if seconds == 0 else [seconds] * 3)
    kept.clear()
    for url in ("/own/", f"/own/{book.pk}/"):
        api.get(url)
    assert kept == [60, None]


def test_another_cache_may_be_named(api, use, settings, shelf):
    other = {**settings.CACHES["default"], "LOCATION": settings.CACHES["default"].get("LOCATION", "special")}
    settings.CACHES = {**settings.CACHES, "special_cache": {**other, "KEY_PREFIX": f"{other['KEY_PREFIX']}-special"}}
    use(special=view_of(lambda request: Response(City.objects.count()), cache="special_cache"))
    api.get("/special/")
    assert hit(api.get("/special/"))
    City.objects.create(name="new")
    assert api.get("/special/").json() == 1


def test_the_cache_may_be_named_in_the_settings_and_be_a_dummy(api, use, settings, shelf):
    """As the document has it for test suites: nothing is kept, and versions stay where they are."""
    dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    settings.CACHES = {**settings.CACHES, "special_cache": dummy}
    use(books=CachedBooks, own=view_of(lambda request: Response(1), cache="default"))
    settings.CORE = {"CACHING": {"DEFAULT_USE_CACHE": "special_cache"}}
    for _ in range(2):
        assert not hit(api.get("/books/"))
    api.get("/own/")
    assert hit(api.get("/own/"))
    settings.CORE = {}
    api.get("/books/")
    assert hit(api.get("/books/"))


def test_a_key_function_is_given_the_arguments_of_the_url(serve):
    """All five that the document names, and two calls with the same key share their answer."""
    seen = []

    def calculate_cache_key(view_instance, view_method, request, args, kwargs):
        seen.append((type(view_instance).__name__, view_method.__name__, request.path, args, kwargs))
        return f"{len(args)}.{len(kwargs)}"

    view = view_of(lambda request: Response(request.path), timeout=60 * 15, key_func=calculate_cache_key)
    serve([path("cities/<str:country>/<int:number>/", view)])
    assert APIClient().get("/cities/it/1/").json() == "/cities/it/1/"
    assert hit(response := APIClient().get("/cities/fr/2/"))
    assert response.json() == "/cities/it/1/"
    assert seen == [
        ("View", "get", "/cities/it/1/", (), {"country": "it", "number": 1}),
        ("View", "get", "/cities/fr/2/", (), {"country": "fr", "number": 2}),
    ]


def test_an_exception_that_is_no_answer_is_not_kept(use):
    """Django makes the 500 of it outside of the view; ``cache_errors`` keeps the answers that DRF makes."""
    calls = []

    def fails(request):
        calls.append(1)
        raise RuntimeError("500 error comes from here")

    use(view=view_of(fails, cache_errors=True))
    client = Client(raise_request_exception=False)
    assert [client.get("/view/").status_code for _ in range(2)] == [500, 500]
    assert len(calls) == 2


def test_key_functions_of_every_kind(api, use, shelf):
    """A function, a method by its name, a constructor, and the methods and attributes of the document's viewsets."""
    seen = []

    def calculate_cache_key(view_instance, view_method, request, args, kwargs):
        seen.append((type(view_instance).__name__, view_method.__name__, args, kwargs))
        return ".".join([str(len(args)), str(len(kwargs))])

    class CityView(APIView):
        permission_classes = (AllowAny,)

        @cache_response(60 * 15, key_func="calculate_cache_key")
        def get(self, request, *args, **kwargs):
            return Response("by name")

        def calculate_cache_key(self, view_instance, view_method, request, args, kwargs):
            return "by name"

    class ByMethods(CachedBooks):
        def object_cache_key_func(self, **kwargs):
            return "some key for object"

        def list_cache_key_func(self, **kwargs):
            return "some key for list"

    class CustomListKeyConstructor(KeyConstructor):
        method = bits.UniqueMethodIdKeyBit()
        list_sql = bits.ListSqlQueryKeyBit()

    class ByConstructors(CachedBooks):
        list_cache_key_func = CustomListKeyConstructor()

    use(
        function=view_of(lambda request: Response(1), key_func=calculate_cache_key),
        name=CityView.as_view(),
        methods=ByMethods,
        constructors=ByConstructors,
    )
    for url in ("/function/", "/name/", "/methods/", "/constructors/", f"/methods/{shelf[0].pk}/"):
        assert not hit(api.get(url))
        assert hit(api.get(url))
    assert seen[0] == ("View", "get", (), {})
    # An explicit function is taken at its word: the same key for other objects and users.
    assert hit(api.get(f"/methods/{shelf[1].pk}/"))
    assert hit(api.get("/constructors/?irrelevant=1"))


def test_permissions_and_throttles_are_asked_on_a_hit(api, use, shelf, author):
    class Private(CachedBooks):
        permission_classes = (IsAuthenticated,)

    use(books=Private)
    api.force_authenticate(author)
    api.get("/books/")
    assert hit(api.get("/books/"))
    api.force_authenticate(None)
    assert api.get("/books/").status_code == 401


def test_a_hit_costs_the_authentication_and_nothing_else(use, shelf, author, django_assert_num_queries):
    class Private(CachedBooks):
        permission_classes = (IsAuthenticated,)
        authentication_classes = (TokenAuthentication,)

    use(books=Private)
    client = APIClient(headers={"Authorization": f"Token {Token.objects.create(user=author).key}"})
    for url in ("/books/", f"/books/{shelf[0].pk}/"):
        client.get(url)
        with django_assert_num_queries(1):
            assert hit(client.get(url))


def test_a_hit_is_counted_by_throttles(api, use, shelf):
    class Twice(AnonRateThrottle):
        scope = "twice"
        rate = "2/min"

    class Counted(CachedBooks):
        throttle_classes = (Twice,)

    use(books=Counted)
    assert [api.get("/books/").status_code for _ in range(3)] == [200, 200, 429]
    assert api.get("/books/", REMOTE_ADDR="10.0.0.1")["Age"]


def test_of_ten_misses_at_once_one_makes_the_answer(use, shelf):
    """The others wait for it, and are given it."""
    made, answered = [], []
    start = threading.Barrier(10)

    class Slow(CachedBooks):
        def list(self, request, *args, **kwargs):
            return super().list(request, *args, **kwargs)

        def filter_queryset(self, queryset):
            made.append(1)
            time.sleep(0.2)
            return super().filter_queryset(queryset)

    use(books=Slow)

    def ask():
        client = APIClient()
        start.wait()
        answered.append(client.get("/books/").content)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(answered)) == 1
    assert len(answered) == 10


def test_nobody_waits_for_long_for_another_process(api, use, shelf, settings):
    """Another process holds the claim: the wait is bounded, then the answer is made, and not kept."""
    from core.caching import turns

    settings.CORE = {"CACHING": {"FILL_WAIT": 0.1}}
    use(books=CachedBooks)
    api.get("/books/")
    Book.objects.update(pages=1)
    standing, turns.claim = turns.claim, lambda store, key: False
    try:
        began = time.monotonic()
        response = api.get("/books/")
    finally:
        turns.claim = standing
    assert not hit(response)
    assert {book["pages"] for book in response.json()} == {1}
    assert time.monotonic() - began < 60


def test_a_live_query_passes_by(api, cached_books, shelf):
    api.get("/books/?observe=abc")
    assert not hit(api.get("/books/?observe=abc"))


def test_head_is_answered_from_the_same_entry(api, cached_books, shelf):
    api.get("/books/")
    assert hit(api.head("/books/"))


def test_a_decorator_around_a_whole_view_keeps_callers_and_formats_apart(use, author, stranger):
    """Over ``api_view`` nobody has judged tokens or come to an agreement about the format when the cache is asked."""

    class Text(JSONRenderer):
        media_type = "text/plain"
        format = "text"

    @cache_response()
    @api_view(["GET"])
    @permission_classes([AllowAny])
    @renderer_classes([JSONRenderer, Text])
    @authentication_classes([TokenAuthentication])
    def whoami(request):
        return Response(str(request.user))

    use(whoami=whoami)
    client = APIClient()
    tokens = [f"Token {Token.objects.create(user=user).key}" for user in (author, stranger)]
    for _ in range(2):
        for token, name in zip(tokens, ("author", "stranger"), strict=True):
            assert client.get("/whoami/", HTTP_AUTHORIZATION=token).json() == name
        assert client.get("/whoami/").json() == "AnonymousUser"
        for accept in ("application/json", "text/plain"):
            assert client.get("/whoami/", HTTP_ACCEPT=accept)["Content-Type"].startswith(accept)
    assert hit(client.get("/whoami/", HTTP_AUTHORIZATION=tokens[0]))
    # A token that is taken back is no key to what was kept.
    Token.objects.filter(user=author).delete()
    assert client.get("/whoami/", HTTP_AUTHORIZATION=tokens[0]).status_code == 401


@pytest.mark.parametrize("whole", [True, False])
def test_an_answer_to_head_is_no_answer_to_get(use, transactional_db, whole):
    """A view may leave the body out where it is asked by HEAD."""

    def answered(request):
        return HttpResponse("" if request.method == "HEAD" else "body")

    use(view=cache_response()(answered) if whole else view_of(answered))
    client = Client()
    for _ in range(2):
        assert not hit(client.head("/view/"))
    assert client.get("/view/").content == b"body"
    assert hit(client.get("/view/"))
    assert hit(client.head("/view/"))


@pytest.mark.parametrize("header", ["Cookie", "Authorization"])
def test_a_view_that_varies_on_credentials_may_look_at_more_than_the_user(use, header, monkeypatch):
    """The bit for the user stands for neither; and what the header said is in no cache."""
    written = []
    backend = type(cache._connections[cache._alias])
    standing = backend.set

    def set_(self, key, value, *args, **kwargs):
        written.append(value)
        return standing(self, key, value, *args, **kwargs)

    monkeypatch.setattr(backend, "set", set_)
    key = f"HTTP_{header.upper()}"

    class View(APIView):
        permission_classes = (AllowAny,)
        authentication_classes = ()

        @cache_response()
        def get(self, request):
            return HttpResponse(request.META[key][-4:], headers={"Vary": header})

    use(echo=View.as_view())
    client = Client()
    for value in ("secret=dark", "secret=pale"):
        assert client.get("/echo/", **{key: value}).content == value[-4:].encode()
        assert hit(client.get("/echo/", **{key: value}))
    assert written
    assert not any(b"secret" in value for value in written if isinstance(value, bytes))


@pytest.mark.parametrize("header", ["Accept", "Accept-Language", "X-Tenant", "Cookie"])
def test_what_a_django_view_varies_on_is_told_apart(api, use, header):
    """By the value of the header, where no bit of the key stands for it."""
    key = f"HTTP_{header.upper().replace('-', '_')}"

    class OwnKey(KeyConstructor):
        path = bits.UniqueMethodIdKeyBit()

    @cache_response(key_func=OwnKey())
    def echo(request):
        return HttpResponse(request.META.get(key, "none"), headers={"Vary": header})

    use(echo=echo)
    for value in ("a=b", "c=d", "c=d", "a=b"):
        assert api.get("/echo/", **{key: value}).content == value.encode()
    assert hit(api.get("/echo/", **{key: "a=b"}))
