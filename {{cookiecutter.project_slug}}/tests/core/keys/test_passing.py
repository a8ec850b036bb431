"""Live queries pass by caches and tags: by their parameter, or because whoever evaluates them says so."""

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from rest_framework.request import Request

from core.keys.passing import OBSERVE, pass_by, passes_by
from tests.caching_app.api import CachedTaggedBooks
from tests.caching_app.models import Book

factory = RequestFactory()


@pytest.fixture
def book(transactional_db):
    return Book.objects.create(title="Emma")


def ask(request, **kwargs):
    action = "retrieve" if kwargs else "list"
    return CachedTaggedBooks.as_view({"get": action, "patch": "partial_update"})(request, **kwargs)


@pytest.mark.parametrize(
    ("method", "path", "passes"),
    [
        ("GET", f"/?{OBSERVE}=a", True),
        ("HEAD", f"/?x=1&{OBSERVE}=", True),
        ("GET", "/?observed=a", False),
        ("GET", "/", False),
        ("PATCH", f"/?{OBSERVE}=a", False),
        ("DELETE", f"/?{OBSERVE}=a", False),
    ],
)
def test_reads_with_the_parameter_pass_by(settings, method, path, passes):
    """Of Django and of DRF; and not while there are no live queries."""
    plain = factory.generic(method, path)
    assert passes_by(plain) is passes
    assert passes_by(Request(plain)) is passes
    settings.CORE = {"REACTIVE": {"ENABLED": False}}
    assert not passes_by(plain)


@pytest.mark.parametrize("wrap", [lambda plain: plain, Request])
def test_whoever_evaluates_a_query_says_so(settings, wrap):
    """On either kind of request; DRF's around it follows. It needs no feature to be on."""
    settings.CORE = {"REACTIVE": {"ENABLED": False}}
    plain: HttpRequest = factory.get("/")
    request = wrap(plain)
    pass_by(request)
    assert passes_by(request)
    assert request is not plain or passes_by(Request(plain))
    assert not passes_by(factory.get("/"))


def test_what_passes_by_reads_and_fills_no_cache_and_has_no_tag(book):
    def evaluated(path="/", **headers):
        request = factory.get(path, **headers)
        pass_by(request)
        return ask(request)

    for path, get in (("/", evaluated), ("/", lambda: ask(factory.get("/?observe=a")))):
        for _ in range(2):
            response = get()
            assert response.status_code == 200
            assert not {"Age", "ETag", "Cache-Control"} & set(response.headers)
        # Nothing was kept for those who ask in the usual way.
        assert "Age" not in ask(factory.get(path))
        Book.objects.update(pages=book.pages + 1)
    ask(factory.get("/"))
    tag = ask(factory.get("/"))["ETag"]
    assert ask(factory.get("/", HTTP_IF_NONE_MATCH=tag)).status_code == 304
    assert evaluated(HTTP_IF_NONE_MATCH=tag).status_code == 200
    assert ask(factory.get("/?observe=a", HTTP_IF_NONE_MATCH=tag)).status_code == 200


def test_the_parameter_frees_no_write_from_its_condition(book):
    """Else a client with an old tag would overwrite what it has not seen."""
    request = factory.patch("/?observe=a", {"pages": 7}, content_type="application/json", HTTP_IF_MATCH='"old"')
    assert ask(request, pk=book.pk).status_code == 412
    book.refresh_from_db()
    assert book.pages == 0
