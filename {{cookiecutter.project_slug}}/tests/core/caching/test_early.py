"""Hits before DRF's dispatch: the same in bytes and headers as through it, and only where nothing else could decide."""

import itertools
import time
from contextlib import nullcontext
from functools import wraps

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework import authentication, versioning
from rest_framework.authtoken.models import Token
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from core.caching import CacheResponseMixin, EarlyAnswersMixin, cache_response, early
from core.etags import APIETAGMixin, CacheResponseAndETAGMixin, etag
from core.keys import KeyConstructor, bits
from core.keys.passing import pass_by
from tests.caching_app.api import Books
from tests.caching_app.models import Book

pytestmark = pytest.mark.django_db(transaction=True)


class Text(JSONRenderer):
    media_type = "text/plain"
    format = "text"


class Public:
    """What lets early answers through."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()


class PublicBooks(Public, CacheResponseMixin, Books):
    cache_shared = True


class FormattedBooks(PublicBooks):
    renderer_classes = (JSONRenderer, Text)
    versioning_class = versioning.QueryParameterVersioning


class TaggedBooks(Public, CacheResponseAndETAGMixin, Books):
    cache_shared = True


class ByDefaultAuthenticated(PublicBooks):
    authentication_classes = (authentication.TokenAuthentication, authentication.SessionAuthentication)


class NotShared(PublicBooks):
    cache_shared = False


class Names(Public, EarlyAnswersMixin, APIView):
    @etag()
    @cache_response(shared=True)
    def get(self, request, **kwargs):
        return Response(list(Book.objects.values_list("title", flat=True)), headers={"X-Own": "1"})


KINDS = {
    "books": PublicBooks,
    "formatted": FormattedBooks,
    "tagged": TaggedBooks,
    "authenticated": ByDefaultAuthenticated,
    "own": NotShared,
}


watched = []
"""Who the caller was, by what middleware sees of the request."""


def watching(get_response):
    def middleware(request):
        response = get_response(request)
        watched.append((type(request.user), getattr(request, "auth", "none")))
        return response

    return middleware


def passing(get_response):
    def middleware(request):
        if "X-Pass" in request.headers:
            pass_by(request)
        return get_response(request)

    return middleware


def renaming(get_response):
    def middleware(request):
        query = request.GET.copy()
        query["title"] = request.headers.get("X-Title", "")
        request.GET = query
        return get_response(request)

    return middleware


@pytest.fixture
def taken(monkeypatch):
    """Whether each request was answered early."""
    seen = []
    standing = early.Route.answer

    def answer(self, *args):
        response = standing(self, *args)
        seen.append(response is not None)
        return response

    monkeypatch.setattr(early.Route, "answer", answer)
    return seen


@pytest.fixture
def slow(monkeypatch):
    """Answers a request the whole way."""

    def ask(client, *args, **kwargs):
        with monkeypatch.context() as patched:
            patched.setattr(early.Route, "answer", lambda *_: None)
            return client.generic(*args, **kwargs)

    return ask


def seen(response):
    return response.status_code, response.content, list(response.headers.items()), response.cookies.output()


def warm(client, *args, **kwargs):
    """Let the answer be made and the lesson be learnt."""
    for _ in range(2):
        client.generic(*args, **kwargs)


def served(use, **views):
    use(**KINDS, names=Names.as_view(), **views)


ACCEPTS = (None, "text/plain", "application/json; indent=2", "image/png")
REQUESTS = list(
    itertools.product(
        ["GET", "HEAD"],
        [*(f"/{kind}/" for kind in KINDS), "/books/{pk}/", "/tagged/{pk}/", "/names/", "/books/999/"],
        ["", "?title=Emma", "?title=a&title=b", "?format=text", "?version=2"],
        [
            {},
            {"HTTP_ACCEPT": "text/plain"},
            {"HTTP_ACCEPT": "application/json; indent=2"},
            {"HTTP_ACCEPT": "image/png"},
        ],
    )
)


def test_early_answers_are_those_of_the_whole_way(api, use, shelf, slow, taken, django_assert_num_queries, monkeypatch):
    """Bytes, status and headers in their order, for every kind of view, method, query and format."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    served(use)
    early_answers = 0
    for method, path, query, headers in REQUESTS:
        request = (method, path.format(pk=shelf[0].pk) + query)
        warm(api, *request, **headers)
        taken.clear()
        is_kept = api.generic(*request, **headers).status_code == 200
        with django_assert_num_queries(0) if is_kept else nullcontext():
            fast = api.generic(*request, **headers)
        early_answers += taken[-1]
        assert seen(fast) == seen(slow(api, *request, **headers)), request
        assert taken[-1] is (fast.status_code == 200), request
    assert early_answers > 100


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_conditions_are_judged_as_on_the_whole_way(api, use, shelf, slow, data):
    """304 with the right headers, 412 in DRF's words, whatever stands in the headers."""
    served(use)
    path = data.draw(st.sampled_from(["/tagged/", f"/tagged/{shelf[0].pk}/", "/names/"]))
    method = data.draw(st.sampled_from(["GET", "HEAD"]))
    warm(api, method, path)
    tag = api.get(path)["ETag"]
    values = st.sampled_from([tag, f"W/{tag}", f'"x", {tag}', tag.strip('"'), '"x"', "*", "", ",", f'{tag[:-1]};gzip"'])
    dates = st.sampled_from(["Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 2094 08:49:37 GMT", "nonsense"])
    headers = {
        name: data.draw(dates if "SINCE" in name else values)
        for name in data.draw(
            st.sets(
                st.sampled_from(
                    ["HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE"]
                )
            )
        )
    }
    fast, whole = api.generic(method, path, **headers), slow(api, method, path, **headers)
    assert {**fast.headers, "Age": ""} == {**whole.headers, "Age": ""}
    assert (fast.status_code, fast.content) == (whole.status_code, whole.content)


def test_a_304_is_given_early(api, use, shelf, taken):
    served(use)
    warm(api, "GET", "/tagged/")
    first = api.get("/tagged/")
    assert taken[-1]
    again = api.get("/tagged/", HTTP_IF_NONE_MATCH=first["ETag"])
    assert taken[-1]
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert again["Cache-Control"] == "public, no-cache"
    assert "Age" not in again


def test_a_write_is_seen_at_once(api, use, shelf, taken):
    served(use)
    for number in range(1, 4):
        warm(api, "GET", "/books/")
        assert api.get("/books/").status_code == 200
        assert taken[-1]
        Book.objects.update(pages=number)
        assert {book["pages"] for book in api.get("/books/").json()} == {number}
        assert not taken[-1]


def test_everything_that_may_decide_takes_the_whole_way(api, use, shelf, taken):
    """One deviation each: of policies, of methods that DRF calls, of the cached method itself, of the keys."""

    class Nothing(authentication.BaseAuthentication):
        def authenticate(self, request):
            return None

    class Patient(BaseThrottle):
        def allow_request(self, request, view):
            return True

    class Open(BasePermission):
        pass

    class Own(DefaultContentNegotiation):
        pass

    class ByHeader(KeyConstructor):
        method = bits.UniqueMethodIdKeyBit()
        header = bits.HeadersKeyBit(["x-a"])

    def overriding(name):
        def method(self, *args, **kwargs):
            return getattr(super(views[name], self), name)(*args, **kwargs)

        views[name] = type(f"Overriding_{name}", (PublicBooks,), {name: method})
        return views[name]

    views = {}
    policies = {
        "authentication_classes": (Nothing,),
        "throttle_classes": (Patient,),
        "permission_classes": (Open,),
        "content_negotiation_class": Own,
        "versioning_class": versioning.NamespaceVersioning,
        "cache_shared": property(lambda self: True),
        "list_cache_key_func": ByHeader(),
    }
    for name, value in policies.items():
        views[name] = type(f"With_{name}", (PublicBooks,), {name: value})
    # As some decide it at each request, or put it together.
    views["property"] = type("Property", (PublicBooks,), {"permission_classes": property(lambda self: (AllowAny,))})
    views["composed"] = type("Composed", (PublicBooks,), {"permission_classes": (AllowAny | Open,)})
    for name in (
        "initial",
        "dispatch",
        "finalize_response",
        "get_permissions",
        "list",
        "initialize_request",
        "__init__",
    ):
        overriding(name)
    use(**{f"x{name}": view for name, view in views.items()}, books=PublicBooks)
    for name in views:
        warm(api, "GET", f"/x{name}/")
        assert api.get(f"/x{name}/").status_code == 200
        # Some are closed before they are asked.
        assert not any(taken), name
    warm(api, "GET", "/books/")
    api.get("/books/")
    assert taken[-1]


def test_what_is_wrapped_by_somebody_else_takes_the_whole_way(api, use, shelf, taken):
    """A decorator that keeps the wrapped function's attributes is seen all the same."""
    calls = []

    def counted(method):
        @wraps(method)
        def wrapper(*args, **kwargs):
            calls.append(1)
            return method(*args, **kwargs)

        return wrapper

    class Counted(Public, EarlyAnswersMixin, APIView):
        @counted
        @cache_response(shared=True)
        def get(self, request):
            return Response("x")

    use(counted=Counted.as_view())
    for _ in range(4):
        assert api.get("/counted/").json() == "x"
    assert len(calls) == 4
    assert not any(taken)


def test_tags_by_a_function_of_ones_own_take_the_whole_way(api, use, shelf, taken):
    class Stored(Public, APIETAGMixin, CacheResponseMixin, Books):
        cache_shared = True

    class ByMethod(TaggedBooks):
        def list_etag_func(self, **kwargs):
            return self.request.headers.get("X-A", "none")

    use(stored=Stored, method=ByMethod)
    for path in ("/stored/", "/method/"):
        warm(api, "GET", path)
        assert api.get(path)["ETag"]
    assert api.get("/method/", HTTP_X_A="a")["ETag"] == '"a"'
    assert not any(taken)


def test_who_brings_credentials_takes_the_whole_way(api, use, shelf, taken, author):
    """A token, right or wrong, a session, and the test client's own word; anonymous callers do not."""
    served(use)
    warm(api, "GET", "/authenticated/")
    api.get("/authenticated/")
    assert taken[-1]
    assert api.get("/authenticated/", HTTP_AUTHORIZATION="Token wrong").status_code == 401
    key = Token.objects.create(user=author).key
    assert api.get("/authenticated/", HTTP_AUTHORIZATION=f"Token {key}").status_code == 200
    assert not any(taken[-2:])
    browser = Client()
    browser.force_login(author)
    assert browser.get("/authenticated/").status_code == 200
    assert not taken[-1]
    api.force_authenticate(author)
    assert api.get("/authenticated/").status_code == 200
    assert not taken[-1]
    # A lesson that somebody known has brought about is none.
    for _ in range(3):
        api.get("/authenticated/?title=x")
    api.force_authenticate(None)
    api.get("/authenticated/?title=x")
    assert not taken[-1]


def test_the_caller_is_nobody_for_those_outside_too(use, shelf, settings, author):
    """Middleware finds the same user on the request, either way."""
    watched.clear()
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.watching"]
    served(use)
    browser = Client()
    browser.force_login(author)
    for _ in range(3):
        browser.get("/books/")
    assert watched == [(AnonymousUser, None)] * 3


def test_what_passes_by_takes_the_whole_way(api, use, shelf, taken, settings):
    settings.MIDDLEWARE = [f"{__name__}.passing", *settings.MIDDLEWARE]
    served(use)
    warm(api, "GET", "/books/")
    for path, headers in (("/books/", {"HTTP_X_PASS": "1"}), ("/books/?observe=a", {})):
        for _ in range(3):
            assert "Age" not in api.get(path, **headers)
            assert not taken[-1]


def test_off_means_that_views_just_run(api, use, shelf, taken, settings):
    served(use)
    warm(api, "GET", "/tagged/")
    settings.CORE = {"CACHING": {"ENABLED": False}}
    assert "Age" not in api.get("/tagged/")
    settings.CORE = {"ETAGS": {"ENABLED": False}}
    warm(api, "GET", "/tagged/")
    tag = api.get("/books/")["Cache-Control"]
    assert tag == "public, no-cache"
    assert api.get("/tagged/", HTTP_IF_NONE_MATCH="*").status_code == 200


def test_what_other_middleware_makes_of_the_parameters_counts(api, use, shelf, settings, taken):
    """The parameters that the view would see, not those in the URL."""

    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.renaming"]
    served(use)
    for title in ("Emma", "Faust") * 3:
        assert [book["title"] for book in api.get("/books/", HTTP_X_TITLE=title).json()] == [title]
    assert taken[-2:] == [True, True]


def test_the_browsable_api_takes_the_whole_way(api, use, shelf, taken):
    class Pages(PublicBooks):
        renderer_classes = (JSONRenderer, BrowsableAPIRenderer)

    use(pages=Pages)
    for _ in range(3):
        assert "Age" not in api.get("/pages/", HTTP_ACCEPT="text/html")
    assert not any(taken)
    for _ in range(3):
        api.get("/pages/")
    assert taken[-1]


def test_an_early_answer_is_one_round_trip(api, use, shelf, trips):
    served(use)
    warm(api, "GET", "/books/")
    api.get("/books/")
    trips.clear()
    api.get("/books/")
    assert trips == ["get_many"] or (trips[0] == "get_many" and set(trips[1:]) == {"get"})


def test_memory_is_bounded(api, use, shelf, monkeypatch):
    monkeypatch.setattr(early, "LESSONS", 5)
    served(use)
    for number in range(12):
        api.get(f"/books/?title={number}")
    assert len(early._lessons) <= 5


def test_a_cache_that_is_down_is_no_error(api, use, shelf, outage, taken):
    served(use)
    warm(api, "GET", "/books/")
    outage.on = True
    assert api.get("/books/").status_code == 200
    assert not taken[-1]
    assert cache is not None
