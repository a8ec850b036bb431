"""What tests of cached views share: views on URLs, and a cache that counts its round trips and may be down."""

import pytest
from django.core.cache import cache
from django.urls import include, path
from rest_framework.routers import SimpleRouter

from core.outage import guard
from tests.caching_app import api as books
from tests.caching_app.models import Book


def routes(**viewsets):
    router = SimpleRouter()
    for name, viewset in viewsets.items():
        router.register(name, viewset, basename=name)
    return [path("", include(router.urls))]


@pytest.fixture
def use(serve):
    """Serves views by their names: classes of viewsets, or anything a path takes."""

    def served(**views):
        viewsets = {name: view for name, view in views.items() if hasattr(view, "get_extra_actions")}
        others = {name: view for name, view in views.items() if name not in viewsets}
        serve(routes(**viewsets), [path(f"{name}/", view) for name, view in others.items()])

    return served


@pytest.fixture
def cached_books(use):
    use(books=books.CachedBooks, plain=books.Books, owned=books.OwnedBooks)


@pytest.fixture
def trips(monkeypatch):
    """The calls that reached the cache."""
    seen = []
    backend = type(cache._connections[cache._alias])
    for name in ("get", "get_many", "set", "set_many", "add", "delete"):
        standing = getattr(backend, name)

        def call(self, *args, _name=name, _standing=standing, **kwargs):
            seen.append(_name)
            return _standing(self, *args, **kwargs)

        monkeypatch.setattr(backend, name, call)
    return seen


@pytest.fixture
def outage(monkeypatch):
    """Takes the cache away while ``outage.on`` is true."""

    class Outage:
        on = False

    backend = type(cache._connections[cache._alias])
    for name in ("get", "get_many", "set", "set_many", "add", "delete", "has_key", "__contains__"):
        standing = getattr(backend, name)

        def call(self, *args, _standing=standing, **kwargs):
            if Outage.on:
                raise ConnectionError("no cache")
            return _standing(self, *args, **kwargs)

        monkeypatch.setattr(backend, name, call)
    yield Outage
    Outage.on = False
    guard.recovered()


@pytest.fixture
def shelf(transactional_db):
    """Three books."""
    return [Book.objects.create(title=title) for title in ("Emma", "Ulysses", "Faust")]
