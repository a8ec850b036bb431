"""Pages of lists."""

import pytest
from django.contrib.auth.models import User
from rest_framework import serializers, viewsets
from rest_framework.pagination import CursorPagination, PageNumberPagination
from rest_framework.permissions import AllowAny
from rest_framework.routers import SimpleRouter

from core.pagination import PaginateByMaxMixin
from core.viewsets import paginate
from polls.models import Question


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ("id", "username")


@pytest.fixture
def many(db):
    Question.objects.bulk_create(Question(question_text=f"Question {n}") for n in range(230))


def test_a_page_holds_25_rows(api, many):
    body = api.get("/api/questions/").json()
    assert body["count"] == 230
    assert len(body["results"]) == 25


def test_nobody_gets_more_than_200_rows(api, many):
    assert len(api.get("/api/questions/?limit=1000000").json()["results"]) == 200


def test_limit_and_offset_move_through_the_list(api, many):
    rows = api.get("/api/questions/?limit=2&offset=3").json()["results"]
    assert [row["question_text"] for row in rows] == ["Question 3", "Question 4"]


def test_pages_follow_each_other_without_gap(api, many):
    seen, url = [], "/api/questions/?limit=100"
    while url:
        body = api.get(url).json()
        seen += [row["id"] for row in body["results"]]
        url = body["next"]
    assert len(seen) == len(set(seen)) == 230


class TestPaginateByMaxMixin:
    @pytest.fixture
    def users(self, db):
        User.objects.bulk_create(User(username=f"user {number:03}") for number in range(130))

    def serve(self, serve, **attributes):
        viewset = type(
            "UserViewSet",
            (PaginateByMaxMixin, viewsets.ReadOnlyModelViewSet),
            {
                "queryset": User.objects.order_by("pk"),
                "serializer_class": UserSerializer,
                "permission_classes": (AllowAny,),
                **attributes,
            },
        )
        router = SimpleRouter()
        router.register("users", viewset)
        serve(router.urls)

    def test_a_client_asks_a_viewset_for_as_much_as_a_page_may_hold(self, api, serve, users):
        self.serve(serve, max_paginate_by=100)
        body = api.get("/users/?page_size=max").json()
        assert len(body.pop("results")) == 100
        assert body == {"count": 130, "next": "http://testserver/users/?page=2&page_size=max", "previous": None}
        assert len(api.get("/users/?page=2&page_size=max").json()["results"]) == 30

    @pytest.mark.parametrize(
        ("query", "size"), [("", 25), ("page_size=3", 3), ("page_size=1000", 100), ("page_size=x", 25)]
    )
    def test_other_sizes_are_what_they_were(self, api, serve, users, query, size):
        self.serve(serve, max_paginate_by=100)
        assert len(api.get(f"/users/?{query}").json()["results"]) == size

    def test_without_an_upper_bound_max_means_nothing(self, api, serve, users):
        self.serve(serve)
        assert len(api.get("/users/?page_size=max").json()["results"]) == 25

    def test_the_viewsets_own_paginator_keeps_its_settings(self, api, serve, users):
        class Pages(PageNumberPagination):
            page_size = 4
            page_size_query_param = "size"
            max_page_size = 50

        self.serve(serve, pagination_class=Pages, max_paginate_by=60)
        assert len(api.get("/users/").json()["results"]) == 4
        assert len(api.get("/users/?size=max").json()["results"]) == 60
        self.serve(serve, pagination_class=Pages)
        assert len(api.get("/users/?size=max").json()["results"]) == 4
        assert Pages.max_page_size == 50

    def test_without_an_upper_bound_nothing_is_opened_and_nothing_switched_off(self, api, serve, users):
        class Fixed(PageNumberPagination):
            page_size = 10

        self.serve(serve)
        assert len(api.get("/users/?page_size=130").json()["results"]) == 25
        body = api.get("/users/?limit=3&offset=127").json()
        assert (len(body["results"]), body["next"]) == (3, None)
        self.serve(serve, pagination_class=Fixed)
        assert len(api.get("/users/?page_size=130").json()["results"]) == 10

    def test_it_works_in_a_paginator(self, api, serve, users):
        class Pages(PaginateByMaxMixin, PageNumberPagination):
            page_size = 4
            page_size_query_param = "page_size"
            max_page_size = 70

        class UserViewSet(viewsets.ReadOnlyModelViewSet):
            queryset = User.objects.order_by("pk")
            serializer_class = UserSerializer
            permission_classes = (AllowAny,)
            pagination_class = Pages

        router = SimpleRouter()
        router.register("users", UserViewSet)
        serve(router.urls)
        assert len(api.get("/users/?page_size=max").json()["results"]) == 70
        assert len(api.get("/users/?page_size=5").json()["results"]) == 5
        assert len(api.get("/users/").json()["results"]) == 4

    def test_it_works_in_both_at_once(self, api, serve, users):
        class Pages(PaginateByMaxMixin, PageNumberPagination):
            max_page_size = 70

        self.serve(serve, pagination_class=Pages, max_paginate_by=60)
        assert len(api.get("/users/?page_size=max").json()["results"]) == 60

    def test_a_cursor_stays_a_cursor(self, api, serve, users):
        class Pages(CursorPagination):
            page_size = 4
            ordering = "pk"

        self.serve(serve, pagination_class=Pages, max_paginate_by=60)
        body = api.get("/users/?page_size=max").json()
        assert len(body["results"]) == 60
        assert "cursor=" in body["next"]

    def test_it_works_with_the_decorator(self, api, serve, users):
        class Plain(PaginateByMaxMixin, viewsets.ReadOnlyModelViewSet):
            queryset = User.objects.order_by("pk")
            serializer_class = UserSerializer
            permission_classes = (AllowAny,)
            max_paginate_by = 100

        router = SimpleRouter()
        router.register("users", paginate(pagination_class=PageNumberPagination, page_size=7)(Plain))
        serve(router.urls)
        assert len(api.get("/users/").json()["results"]) == 7
        assert len(api.get("/users/?page_size=max").json()["results"]) == 100

    def test_a_viewset_without_pages_stays_without(self, api, serve, users):
        self.serve(serve, max_paginate_by=100, pagination_class=None)
        assert len(api.get("/users/?page_size=max").json()) == 130
