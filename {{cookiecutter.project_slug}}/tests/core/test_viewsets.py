"""Viewsets with a serializer of their own for details, and with a paginator of their own."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ImproperlyConfigured
from rest_framework import generics, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.pagination import CursorPagination, LimitOffsetPagination, PageNumberPagination
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from core.routers import ExtendedSimpleRouter
from core.viewsets import DetailSerializerMixin, NestedViewSetMixin, paginate


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ("id", "username")


class GroupSerializer(serializers.ModelSerializer):
    class Meta:
        model = Group
        fields = ("name", "permissions")


class UserDetailSerializer(UserSerializer):
    groups = GroupSerializer(many=True, read_only=True)

    class Meta(UserSerializer.Meta):
        fields = ("id", "username", "groups")


class Open:
    permission_classes = (AllowAny,)
    pagination_class = None


def serve_users(serve, viewset, **options):
    router = ExtendedSimpleRouter()
    router.register("users", viewset, **options)
    serve(router.urls)


@pytest.fixture
def ann(db):
    user = User.objects.create(username="ann")
    for name in ("a", "b"):
        group = Group.objects.create(name=name)
        group.permissions.set(Permission.objects.order_by("pk")[:2])
        user.groups.add(group)
    return user


class TestDetailSerializerMixin:
    def test_one_object_is_shown_by_the_detail_serializer(self, api, serve, ann):
        class UserViewSet(Open, DetailSerializerMixin, viewsets.ReadOnlyModelViewSet):
            serializer_class = UserSerializer
            serializer_detail_class = UserDetailSerializer
            queryset = User.objects.all()

        serve_users(serve, UserViewSet)
        assert [set(row) for row in api.get("/users/").json()] == [{"id", "username"}]
        body = api.get(f"/users/{ann.pk}/").json()
        assert [group["name"] for group in body["groups"]] == ["a", "b"]

    def test_one_object_is_fetched_by_the_detail_queryset(self, api, serve, ann, django_assert_num_queries):
        class UserViewSet(Open, DetailSerializerMixin, viewsets.ReadOnlyModelViewSet):
            serializer_class = UserSerializer
            serializer_detail_class = UserDetailSerializer
            queryset = User.objects.all()
            queryset_detail = queryset.prefetch_related("groups__permissions")

        serve_users(serve, UserViewSet)
        with django_assert_num_queries(1):
            api.get("/users/")
        for _ in range(2):
            with django_assert_num_queries(3):  # user, groups, permissions: nothing is kept from request to request
                api.get(f"/users/{ann.pk}/")
        User.objects.update(username="changed")
        assert api.get(f"/users/{ann.pk}/").json()["username"] == "changed"

    def test_without_a_detail_serializer_the_usual_one_is_used(self, api, serve, ann):
        class UserViewSet(Open, DetailSerializerMixin, viewsets.ReadOnlyModelViewSet):
            serializer_class = UserSerializer
            queryset = User.objects.all()

        serve_users(serve, UserViewSet)
        assert api.get(f"/users/{ann.pk}/").json() == {"id": ann.pk, "username": "ann"}

    def test_without_a_detail_queryset_the_usual_one_is_used(self, api, serve, ann):
        class UserViewSet(Open, DetailSerializerMixin, viewsets.ReadOnlyModelViewSet):
            serializer_class = UserSerializer
            serializer_detail_class = UserDetailSerializer
            queryset = User.objects.exclude(username="ann")

        serve_users(serve, UserViewSet)
        assert api.get(f"/users/{ann.pk}/").status_code == 404

    def test_writes_and_actions_on_one_object_use_the_detail_serializer_too(self, api, serve, ann):
        class UserViewSet(Open, DetailSerializerMixin, viewsets.ModelViewSet):
            serializer_class = UserSerializer
            serializer_detail_class = UserDetailSerializer
            queryset = User.objects.all()

            @action(detail=True)
            def one(self, request, pk):
                return Response(type(self.get_serializer()).__name__)

            @action(detail=False)
            def some(self, request):
                return Response(type(self.get_serializer()).__name__)

        serve_users(serve, UserViewSet)
        assert set(api.post("/users/", {"username": "new"}).json()) == {"id", "username"}
        assert "groups" in api.patch(f"/users/{ann.pk}/", {"username": "ann2"}).json()
        assert api.get(f"/users/{ann.pk}/one/").json() == "UserDetailSerializer"
        assert api.get("/users/some/").json() == "UserSerializer"

    def test_a_generic_view_tells_by_its_url(self, rf, ann):
        class View(DetailSerializerMixin, generics.RetrieveAPIView):
            permission_classes = (AllowAny,)
            serializer_class = UserSerializer
            serializer_detail_class = UserDetailSerializer
            queryset = User.objects.all()

        assert "groups" in View.as_view()(rf.get("/"), pk=ann.pk).data

    def test_under_a_parent_both_hold_to_it(self, api, serve, ann):
        class UserViewSet(Open, viewsets.ModelViewSet):
            serializer_class = UserSerializer
            queryset = User.objects.all()

        class GroupViewSet(Open, DetailSerializerMixin, NestedViewSetMixin, viewsets.ModelViewSet):
            serializer_class = GroupSerializer
            queryset = Group.objects.order_by("name")
            queryset_detail = Group.objects.prefetch_related("permissions")

        router = ExtendedSimpleRouter()
        router.register("users", UserViewSet).register("groups", GroupViewSet, "g", ["user"])
        serve(router.urls)
        stray = Group.objects.create(name="stray")
        assert [row["name"] for row in api.get(f"/users/{ann.pk}/groups/").json()] == ["a", "b"]
        assert api.get(f"/users/{ann.pk}/groups/{ann.groups.first().pk}/").status_code == 200
        assert api.get(f"/users/{ann.pk}/groups/{stray.pk}/").status_code == 404


class TestPaginate:
    @pytest.fixture
    def many(self, db):
        User.objects.bulk_create(User(username=f"user {number}") for number in range(5))

    class Users(viewsets.ReadOnlyModelViewSet):
        permission_classes = (AllowAny,)
        serializer_class = UserSerializer
        queryset = User.objects.order_by("pk")

    def test_a_viewset_gets_a_paginator_of_the_class_with_the_attributes(self, api, serve, many):
        @paginate(pagination_class=PageNumberPagination, page_size=2, page_size_query_param="size", max_page_size=3)
        class UserViewSet(self.Users):
            pass

        serve_users(serve, UserViewSet)
        body = api.get("/users/").json()
        assert (body["count"], body["next"], len(body["results"])) == (5, "http://testserver/users/?page=2", 2)
        assert len(api.get("/users/?size=100").json()["results"]) == 3

    def test_an_ordering_goes_to_a_cursor(self, api, serve, many):
        @paginate(pagination_class=CursorPagination, page_size=2, ordering="-username")
        class UserViewSet(self.Users):
            pass

        serve_users(serve, UserViewSet)
        body = api.get("/users/").json()
        assert [row["username"] for row in body["results"]] == ["user 4", "user 3"]
        assert [row["username"] for row in api.get(body["next"]).json()["results"]] == ["user 2", "user 1"]

    def test_without_a_class_the_viewsets_own_is_taken(self, api, serve, many):
        @paginate(default_limit=1)
        class UserViewSet(self.Users):
            pagination_class = LimitOffsetPagination

        serve_users(serve, UserViewSet)
        assert len(api.get("/users/").json()["results"]) == 1

    def test_the_classes_that_were_there_stay_as_they_are(self):
        before = PageNumberPagination.page_size

        @paginate(pagination_class=PageNumberPagination, page_size=2)
        class First(self.Users):
            pass

        @paginate(pagination_class=PageNumberPagination, page_size=3)
        class Second(self.Users):
            pass

        assert (First.pagination_class.page_size, Second.pagination_class.page_size) == (2, 3)
        assert PageNumberPagination.page_size == before
        assert issubclass(First.pagination_class, PageNumberPagination)
        assert First.__name__ == "First"
        assert self.Users.pagination_class is viewsets.ReadOnlyModelViewSet.pagination_class

    def test_a_viewset_without_a_class_says_so(self):
        with pytest.raises(ImproperlyConfigured, match=r"Bare has no pagination class: name one in paginate\(\)"):

            @paginate(page_size=2)
            class Bare(self.Users):
                pagination_class = None

    def test_an_attribute_that_the_paginator_does_not_have_is_refused_by_name(self):
        with pytest.raises(
            ImproperlyConfigured, match=r"paginate\(\) of Typo: PageNumberPagination has no 'page_sise'"
        ):

            @paginate(PageNumberPagination, page_sise=3)
            class Typo(self.Users):
                pass
