"""What tests of tags share: books on URLs."""

import pytest
from django.urls import include, path
from rest_framework.routers import SimpleRouter

from tests.caching_app import api as books
from tests.caching_app.models import Book


@pytest.fixture
def use(serve):
    """Serves views by their names: classes of viewsets, or anything a path takes."""

    def served(**views):
        router = SimpleRouter()
        others = []
        for name, view in views.items():
            if hasattr(view, "get_extra_actions"):
                router.register(name, view, basename=name)
            else:
                others.append(path(f"{name}/<int:pk>/", view))
        serve([path("", include(router.urls)), *others])

    return served


@pytest.fixture
def tagged(use):
    use(books=books.TaggedBooks, stored=books.StoredBooks, both=books.CachedTaggedBooks, plain=books.Books)


@pytest.fixture
def book(transactional_db):
    return Book.objects.create(title="Emma")
