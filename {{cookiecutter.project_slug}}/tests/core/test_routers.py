"""Nested routes: the URLs and names of the document's examples, what they answer, and what routers refuse."""

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.urls import include, path, resolve, reverse
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter, SimpleRouter
from rest_framework.viewsets import GenericViewSet, ModelViewSet, ViewSet

from core.routers import (
    ExtendedDefaultRouter,
    ExtendedRouterMixin,
    ExtendedSimpleRouter,
    NestedRouterMixin,
    discovered,
)
from core.viewsets import NestedViewSetMixin
from tests.nesting_app.api import serializer_of, viewset_of
from tests.nesting_app.models import Book, Comment, Region, Stamp, Task

OFF = {"ROUTERS": {"ENABLED": False}}

# The document's viewsets name only a model; a viewset needs a queryset and a serializer.
UserViewSet = viewset_of(serializer_of(User, "id", "username"), queryset=User.objects.order_by("pk"))
GroupViewSet = viewset_of(serializer_of(Group, "id", "name"), queryset=Group.objects.order_by("pk"))
PermissionViewSet = viewset_of(serializer_of(Permission, "id", "name"), queryset=Permission.objects.order_by("pk"))


def routes(router):
    """Return the pattern and the name of each route."""
    return [(pattern.pattern.regex.pattern, pattern.name) for pattern in router.urls]


def names(response):
    assert response.status_code == 200, response.content
    return [row["name"] for row in response.json()]


@pytest.fixture
def accounts(db):
    """Two users, each in the two groups of their own; the groups hold permissions, one of them in common."""
    read, update, delete = Permission.objects.order_by("pk")[:3]
    users = []
    for name in ("ann", "bob"):
        user = User.objects.create(username=name)
        for number, permissions in enumerate([(read, update), (read, delete)], start=1):
            group = Group.objects.create(name=f"{name}-{number}")
            group.permissions.set(permissions)
            user.groups.add(group)
        users.append(user)
    return users


def chained(router, lookup="user"):
    """Register the document's first example on ``router``."""
    (
        router.register(r"users", UserViewSet, basename="user")
        .register(r"groups", GroupViewSet, basename="users-group", parents_query_lookups=[lookup])
        .register(
            r"permissions",
            PermissionViewSet,
            basename="users-groups-permission",
            parents_query_lookups=["group__user", "group"],
        )
    )
    return router


def forked(router):
    """Register the document's second example on ``router``."""
    permissions_routes = router.register(r"permissions", PermissionViewSet, basename="permission")
    permissions_routes.register(
        r"groups", GroupViewSet, basename="permissions-group", parents_query_lookups=["permissions"]
    )
    permissions_routes.register(
        r"users", UserViewSet, basename="permissions-user", parents_query_lookups=["groups__permissions"]
    )
    return router


class TestTheDocumentsExamples:
    def test_a_chain_has_the_documented_patterns_and_names(self):
        assert routes(chained(ExtendedSimpleRouter(), lookup="user_groups")) == [
            (r"^users/$", "user-list"),
            (r"^users/(?P<pk>[^/.]+)/$", "user-detail"),
            (r"^users/(?P<parent_lookup_user_groups>[^/.]+)/groups/$", "users-group-list"),
            (r"^users/(?P<parent_lookup_user_groups>[^/.]+)/groups/(?P<pk>[^/.]+)/$", "users-group-detail"),
            (
                r"^users/(?P<parent_lookup_group__user>[^/.]+)/groups/(?P<parent_lookup_group>[^/.]+)/permissions/$",
                "users-groups-permission-list",
            ),
            (
                r"^users/(?P<parent_lookup_group__user>[^/.]+)/groups/(?P<parent_lookup_group>[^/.]+)/permissions/(?P<pk>[^/.]+)/$",
                "users-groups-permission-detail",
            ),
        ]

    def test_several_resources_at_one_depth_have_the_documented_patterns_and_names(self):
        assert routes(forked(ExtendedSimpleRouter())) == [
            (r"^permissions/$", "permission-list"),
            (r"^permissions/(?P<pk>[^/.]+)/$", "permission-detail"),
            (r"^permissions/(?P<parent_lookup_permissions>[^/.]+)/groups/$", "permissions-group-list"),
            (
                r"^permissions/(?P<parent_lookup_permissions>[^/.]+)/groups/(?P<pk>[^/.]+)/$",
                "permissions-group-detail",
            ),
            (r"^permissions/(?P<parent_lookup_groups__permissions>[^/.]+)/users/$", "permissions-user-list"),
            (
                r"^permissions/(?P<parent_lookup_groups__permissions>[^/.]+)/users/(?P<pk>[^/.]+)/$",
                "permissions-user-detail",
            ),
        ]

    def test_every_level_is_filtered_by_all_of_its_parents(self, api, serve, accounts, django_assert_num_queries):
        serve(chained(ExtendedSimpleRouter()).urls)
        ann = accounts[0]
        first, second = ann.groups.order_by("name")
        assert len(api.get("/users/").json()) == 2
        assert names(api.get(f"/users/{ann.pk}/groups/")) == ["ann-1", "ann-2"]
        for group in (first, second):
            expected = Permission.objects.filter(group__user=ann, group=group).order_by("pk")
            with django_assert_num_queries(3):  # the user, the group, the permissions
                found = names(api.get(f"/users/{ann.pk}/groups/{group.pk}/permissions/"))
            assert found == [permission.name for permission in expected]

    def test_what_a_parent_does_not_have_is_not_found_under_it(self, api, serve, accounts):
        serve(chained(ExtendedSimpleRouter()).urls)
        ann, bob = accounts
        own, other = ann.groups.first(), bob.groups.first()
        held = own.permissions.first()
        strange = Permission.objects.exclude(group=own).first()
        assert api.get(f"/users/{ann.pk}/groups/{own.pk}/").status_code == 200
        assert api.get(f"/users/{ann.pk}/groups/{other.pk}/").status_code == 404
        assert api.get(f"/users/{ann.pk}/groups/{own.pk}/permissions/{held.pk}/").status_code == 200
        assert api.get(f"/users/{ann.pk}/groups/{own.pk}/permissions/{strange.pk}/").status_code == 404
        # bob's group holds this permission, but it is not a group of ann's
        assert api.get(f"/users/{ann.pk}/groups/{other.pk}/permissions/").status_code == 404
        assert api.get(f"/users/{ann.pk}/groups/{other.pk}/permissions/{held.pk}/").status_code == 404

    def test_a_row_that_meets_its_parent_twice_is_listed_once(self, api, serve, accounts):
        serve(forked(ExtendedSimpleRouter()).urls)
        common = Permission.objects.order_by("pk").first()  # in both groups of both users
        assert len(names(api.get(f"/permissions/{common.pk}/groups/"))) == 4
        rows = api.get(f"/permissions/{common.pk}/users/").json()
        assert [row["username"] for row in rows] == ["ann", "bob"]
        assert api.get(f"/permissions/{common.pk}/users/{accounts[0].pk}/").status_code == 200

    def test_names_reverse_with_the_documented_arguments(self, serve):
        serve(chained(ExtendedSimpleRouter()).urls)
        kwargs = {"parent_lookup_group__user": 1, "parent_lookup_group": 2}
        assert reverse("users-groups-permission-list", kwargs=kwargs) == "/users/1/groups/2/permissions/"
        assert (
            reverse("users-groups-permission-detail", kwargs={**kwargs, "pk": 3}) == "/users/1/groups/2/permissions/3/"
        )

    def test_the_mixins_add_nesting_to_any_router(self, api, serve, accounts):
        class SimpleRouterWithNesting(NestedRouterMixin, SimpleRouter):
            pass

        class SomeRouter(SimpleRouter):
            def get_default_basename(self, viewset):
                return f"some-{super().get_default_basename(viewset)}"

        class ExtendedSomeRouter(ExtendedRouterMixin, SomeRouter):
            pass

        expected = routes(chained(ExtendedSimpleRouter()))
        assert routes(chained(SimpleRouterWithNesting())) == expected
        assert routes(chained(ExtendedSomeRouter())) == expected
        router = ExtendedSomeRouter()
        router.register("users", UserViewSet).register("groups", GroupViewSet, parents_query_lookups=["user"])
        assert [pattern.name for pattern in router.urls][::2] == ["some-user-list", "some-user-some-group-list"]

    def test_extended_routers_replace_the_usual_ones(self):
        for extended, usual in ((ExtendedSimpleRouter, SimpleRouter), (ExtendedDefaultRouter, DefaultRouter)):
            ours, theirs = extended(), usual()
            for router in (ours, theirs):
                router.register("users", UserViewSet)
            assert [(str(one.pattern), one.name) for one in ours.urls] == [
                (str(one.pattern), one.name) for one in theirs.urls
            ]


class TestGenericRelations:
    TaskViewSet = viewset_of(serializer_of(Task, "id", "title"))
    BookViewSet = viewset_of(serializer_of(Book, "id", "title"))
    CommentViewSet = viewset_of(serializer_of(Comment, "id", "content_type", "object_id", "text"))

    class TaskCommentViewSet(CommentViewSet):
        def get_queryset(self):
            return super().get_queryset().filter(content_type=ContentType.objects.get_for_model(Task))

    class BookCommentViewSet(CommentViewSet):
        def get_queryset(self):
            return super().get_queryset().filter(content_type=ContentType.objects.get_for_model(Book))

    def serve(self, serve, task_comments, book_comments):
        router = ExtendedSimpleRouter()
        for prefix, parent, child in (
            ("tasks", self.TaskViewSet, task_comments),
            ("books", self.BookViewSet, book_comments),
        ):
            router.register(prefix, parent).register(
                "comments", child, f"{prefix}-comment", parents_query_lookups=["object_id"]
            )
        serve(router.urls)

    @pytest.fixture
    def remarks(self, db):
        Task.objects.create(pk=123, title="Write")
        Book.objects.create(pk=123, title="Read")
        Comment.objects.create(content_object=Task.objects.get(), text="Good task!")
        Comment.objects.create(content_object=Book.objects.get(), text="Good book!")

    @staticmethod
    def texts(api, url):
        return [row["text"] for row in api.get(url).json()]

    def test_viewsets_that_filter_by_content_type_show_their_own(self, api, serve, remarks):
        self.serve(serve, self.TaskCommentViewSet, self.BookCommentViewSet)
        assert self.texts(api, "/tasks/123/comments/") == ["Good task!"]
        assert self.texts(api, "/books/123/comments/") == ["Good book!"]
        assert routes_of("tasks-comment-list") == "/tasks/1/comments/"

    def test_without_that_filter_nothing_of_the_other_kind_shows_either(self, api, serve, remarks):
        self.serve(serve, self.CommentViewSet, self.CommentViewSet)
        assert self.texts(api, "/tasks/123/comments/") == ["Good task!"]
        assert self.texts(api, "/books/123/comments/") == ["Good book!"]

    def test_a_new_comment_hangs_on_the_object_and_on_its_kind(self, api, serve, remarks):
        self.serve(serve, self.CommentViewSet, self.CommentViewSet)
        response = api.post("/tasks/123/comments/", {"text": "Well done"})
        assert response.status_code == 201, response.content
        assert Comment.objects.get(text="Well done").content_object == Task.objects.get()

    def test_a_body_that_names_another_kind_is_refused(self, api, serve, remarks):
        self.serve(serve, self.CommentViewSet, self.CommentViewSet)
        book = Comment.objects.get(text="Good book!")
        response = api.post("/tasks/123/comments/", {"text": "Astray", "content_type": book.content_type_id})
        assert response.status_code == 400
        assert list(response.json()) == ["content_type"]
        response = api.post("/tasks/123/comments/", {"text": "Astray", "object_id": 124})
        assert list(response.json()) == ["object_id"]
        assert Comment.objects.count() == 2

    def test_the_relation_of_the_parent_serves_as_a_lookup(self, api, serve, remarks):
        router = ExtendedSimpleRouter()
        router.register("tasks", self.TaskViewSet).register("comments", self.CommentViewSet, "tc", ["task"])
        serve(router.urls)
        assert self.texts(api, "/tasks/123/comments/") == ["Good task!"]
        assert api.post("/tasks/123/comments/", {"text": "Well done"}).status_code == 201
        assert Comment.objects.get(text="Well done").content_object == Task.objects.get()


def routes_of(name):
    return reverse(name, kwargs={"parent_lookup_object_id": 1})


class TestLookups:
    def test_regular_expressions_of_all_parents_are_kept_at_every_depth(self):
        def digits(viewset, regex):
            return type("Digits", (viewset,), {"lookup_value_regex": regex})

        router = ExtendedSimpleRouter()
        (
            router.register("a", digits(UserViewSet, "[0-9]{2}"), "a")
            .register("b", digits(GroupViewSet, "[a-f]+"), "b", ["user"])
            .register("c", digits(PermissionViewSet, "x|y"), "c", ["group__user", "group"])
            .register("d", UserViewSet, "d", ["groups__permissions__x", "y", "z"])
        )
        assert routes(router)[-1][0] == (
            "^a/(?P<parent_lookup_groups__permissions__x>[0-9]{2})/b/(?P<parent_lookup_y>[a-f]+)/"
            "c/(?P<parent_lookup_z>x|y)/d/(?P<pk>[^/.]+)/$"
        )

    def test_path_converters_of_all_parents_are_kept_at_every_depth(self, api, serve, accounts):
        def converted(viewset, converter):
            return type("Converted", (viewset,), {"lookup_value_converter": converter})

        router = ExtendedDefaultRouter(use_regex_path=False)
        (
            router.register("users", converted(UserViewSet, "int"), "u")
            .register("groups", converted(GroupViewSet, "int"), "g", ["user"])
            .register("permissions", PermissionViewSet, "p", ["group__user", "group"])
        )
        serve(router.urls)
        patterns = [str(pattern.pattern) for pattern in router.urls]
        assert (
            "users/<int:parent_lookup_group__user>/groups/<int:parent_lookup_group>/permissions/<str:pk>/" in patterns
        )
        ann = accounts[0]
        group = ann.groups.first()
        assert len(names(api.get(f"/users/{ann.pk}/groups/{group.pk}/permissions/"))) == 2
        assert len(names(api.get(f"/users/{ann.pk}/groups/{group.pk}/permissions.json"))) == 2
        assert api.get(f"/users/x/groups/{group.pk}/permissions/").status_code == 404

    @pytest.mark.parametrize("lookup", ["user", "user__username"])
    def test_a_parent_is_looked_up_by_its_own_field_and_argument(self, api, serve, accounts, lookup):
        class NamedUserViewSet(UserViewSet):
            lookup_field = "username"
            lookup_url_kwarg = "name"

            def get_queryset(self):
                assert self.kwargs.keys() <= {"name"}
                return super().get_queryset()

        class NamedGroupViewSet(GroupViewSet):
            lookup_field = "name"
            lookup_url_kwarg = "group_name"

        router = ExtendedSimpleRouter()
        users = router.register("users", NamedUserViewSet)
        groups = users.register("groups", NamedGroupViewSet, "g", [lookup])
        groups.register("permissions", PermissionViewSet, "p", [f"group__{lookup}", "group"])
        serve(router.urls)
        assert names(api.get("/users/ann/groups/")) == ["ann-1", "ann-2"]
        assert names(api.get("/users/bob/groups/")) == ["bob-1", "bob-2"]
        assert api.get("/users/ann/groups/ann-1/").status_code == 200
        assert len(names(api.get("/users/ann/groups/ann-1/permissions/"))) == 2
        assert api.get("/users/ann/groups/bob-1/permissions/").status_code == 404
        assert api.get(f"/users/{accounts[0].pk}/groups/").status_code == 404
        created = api.post("/users/ann/groups/", {"name": "ann-3"})
        assert created.status_code == 201, created.content
        assert User.objects.get(groups__name="ann-3").username == "ann"

    @pytest.mark.parametrize("prefix", ["parent_lookup_", "above_"])
    def test_the_prefix_of_arguments_is_a_setting(self, api, serve, settings, accounts, prefix):
        settings.CORE = {"ROUTERS": {"DEFAULT_PARENT_LOOKUP_KWARG_NAME_PREFIX": prefix}}
        router = ExtendedSimpleRouter()
        router.register("users", UserViewSet).register("groups", GroupViewSet, "g", ["user"])
        serve(router.urls)
        assert reverse("g-list", kwargs={f"{prefix}user": accounts[0].pk}) == f"/users/{accounts[0].pk}/groups/"
        assert names(api.get(f"/users/{accounts[0].pk}/groups/")) == ["ann-1", "ann-2"]

    def test_arguments_from_further_up_reach_the_parents(self, api, serve, accounts):
        seen = []

        class TenantUserViewSet(UserViewSet):
            def get_queryset(self):
                seen.append(dict(self.kwargs))
                return super().get_queryset()

        router = ExtendedSimpleRouter()
        router.register("users", TenantUserViewSet).register("groups", GroupViewSet, "g", ["user"])
        serve([path("<slug:tenant>/", include(router.urls))])
        group = accounts[0].groups.first()
        assert api.get(f"/acme/users/{accounts[0].pk}/groups/{group.pk}/").status_code == 200
        assert seen == [{"tenant": "acme", "pk": str(accounts[0].pk)}]


class TestOptions:
    @pytest.mark.parametrize("router_class", [ExtendedSimpleRouter, ExtendedDefaultRouter])
    def test_without_trailing_slashes_there_are_none(self, api, serve, accounts, router_class):
        serve(chained(router_class(trailing_slash=False)).urls)
        ann = accounts[0]
        assert names(api.get(f"/users/{ann.pk}/groups")) == ["ann-1", "ann-2"]
        assert api.get(f"/users/{ann.pk}/groups/{ann.groups.first().pk}").status_code == 200
        assert api.get(f"/users/{ann.pk}/groups/").status_code == 404

    def test_the_root_view_lists_what_needs_no_parent(self, api, serve, db):
        router = forked(chained(ExtendedDefaultRouter()))
        (root,) = (pattern for pattern in router.urls if pattern.name == "api-root" and not str(pattern.pattern))
        assert root.callback.initkwargs["api_root_dict"] == {"users": "user-list", "permissions": "permission-list"}
        assert len(router.registry) == 6  # they are still there
        serve(router.urls)
        assert api.get("/").json() == {
            "users": "http://testserver/users/",
            "permissions": "http://testserver/permissions/",
        }

    def test_format_suffixes_work_under_parents(self, api, serve, accounts):
        serve(chained(ExtendedDefaultRouter()).urls)
        ann = accounts[0]
        assert names(api.get(f"/users/{ann.pk}/groups.json")) == ["ann-1", "ann-2"]
        assert api.get(f"/users/{ann.pk}/groups/{ann.groups.first().pk}.json").status_code == 200

    def test_a_prefix_may_be_missing_at_the_top(self, api, serve, accounts):
        router = ExtendedSimpleRouter()
        router.register("", UserViewSet).register("groups", GroupViewSet, "g", ["user"])
        serve([path("people/", include(router.urls))])
        assert names(api.get(f"/people/{accounts[0].pk}/groups/")) == ["ann-1", "ann-2"]

    def test_a_registry_can_be_moved_to_another_router(self, api, serve, accounts):
        router = DefaultRouter()
        router.registry.extend(chained(ExtendedSimpleRouter()).registry)
        serve(router.urls)
        ann, bob = accounts
        assert names(api.get(f"/users/{ann.pk}/groups/")) == ["ann-1", "ann-2"]
        assert api.get(f"/users/{ann.pk}/groups/{bob.groups.first().pk}/").status_code == 404

    def test_views_keep_their_names(self, serve):
        serve(chained(ExtendedSimpleRouter()).urls)
        nested = resolve("/users/1/groups/").func.cls
        assert issubclass(nested, GroupViewSet)
        assert (nested.__name__, nested.__module__, nested.__doc__) == (
            GroupViewSet.__name__,
            GroupViewSet.__module__,
            GroupViewSet.__doc__,
        )


class TestActions:
    class ActiveGroupViewSet(GroupViewSet):
        @action(detail=True, url_path="tell")
        def tell(self, request, pk):  # as one writes it for the flat route
            return Response([self.get_object().name, self.reverse_action("tell", kwargs={"pk": pk})])

        @action(detail=True, methods=["post"])
        @transaction.atomic
        def shout(self, request, pk):
            return Response(self.get_object().name.upper())

        @transaction.atomic
        def retrieve(self, request, pk=None):
            return Response([pk, self.get_object().name])

        @action(detail=True)
        @transaction.atomic
        def who(self, request, parent_lookup_user=None, pk=None):
            return Response([parent_lookup_user, pk])

        @action(detail=True)
        def addresses(self, request, pk):
            return Response([self.reverse_action("tell", args=[pk]), self.reverse_action("tell", [pk])])

        @action(detail=True)
        def whose(self, request, parent_lookup_user=None, **kwargs):
            return Response([parent_lookup_user, self.get_object().name])

        @action(detail=False)
        def count(self, request):
            return Response([self.get_queryset().count(), self.reverse_action("count")])

        @action(detail=False)
        def blind(self, request, *args, **kwargs):
            return Response("never looks at its rows")

    @pytest.fixture
    def ann(self, serve, accounts):
        router = ExtendedSimpleRouter()
        router.register("users", UserViewSet).register("groups", self.ActiveGroupViewSet, "g", ["user"])
        router.register("groups", self.ActiveGroupViewSet, "flat")
        serve(router.urls)
        return accounts[0]

    def test_an_action_on_one_object_is_held_to_the_parent(self, api, ann, accounts):
        own, other = ann.groups.first(), accounts[1].groups.first()
        url = f"/users/{ann.pk}/groups/{own.pk}/tell/"
        assert api.get(url).json() == [own.name, f"http://testserver{url}"]
        assert api.get(f"/users/{ann.pk}/groups/{other.pk}/tell/").status_code == 404
        assert api.get(f"/groups/{other.pk}/tell/").status_code == 200

    def test_a_decorated_method_keeps_the_signature_of_the_flat_route(self, api, ann):
        own = ann.groups.first()
        for url in (f"/groups/{own.pk}/", f"/users/{ann.pk}/groups/{own.pk}/"):
            assert api.get(url).json() == [str(own.pk), own.name]
            assert api.post(f"{url}shout/").json() == own.name.upper()
        assert api.get(f"/users/{ann.pk}/groups/{own.pk}/who/").json() == [str(ann.pk), str(own.pk)]

    def test_addresses_by_position_stay_under_the_parents(self, api, ann):
        own = ann.groups.first()
        for url in (f"/groups/{own.pk}/", f"/users/{ann.pk}/groups/{own.pk}/"):
            assert api.get(f"{url}addresses/").json() == [f"http://testserver{url}tell/"] * 2

    def test_an_action_may_ask_for_the_argument(self, api, ann):
        own = ann.groups.first()
        assert api.get(f"/users/{ann.pk}/groups/{own.pk}/whose/").json() == [str(ann.pk), own.name]

    def test_an_action_on_the_list_is_held_to_the_parent(self, api, ann):
        assert api.get(f"/users/{ann.pk}/groups/count/").json() == [
            2,
            f"http://testserver/users/{ann.pk}/groups/count/",
        ]
        assert api.get("/groups/count/").json() == [4, "http://testserver/groups/count/"]

    def test_an_action_that_reads_no_row_still_needs_a_parent(self, api, ann):
        assert api.get(f"/users/{ann.pk}/groups/blind/").status_code == 200
        assert api.get("/users/0/groups/blind/").status_code == 404


class TestTheToggle:
    def test_off_means_that_nested_routes_vanish_and_nothing_else(self, api, serve, settings, accounts):
        plain = [route for route in routes(chained(ExtendedSimpleRouter())) if "parent_lookup" not in route[0]]
        settings.CORE = OFF
        router = chained(ExtendedSimpleRouter())
        assert routes(router) == plain
        serve(router.urls)
        assert len(api.get("/users/").json()) == 2
        assert api.get(f"/users/{accounts[0].pk}/").status_code == 200
        assert api.get(f"/users/{accounts[0].pk}/groups/").status_code == 404

    def test_a_route_made_before_shows_nothing_once_the_feature_is_off(self, api, serve, settings, accounts):
        serve(chained(ExtendedSimpleRouter()).urls)
        url = f"/users/{accounts[0].pk}/groups/"
        assert api.get(url).status_code == 200
        settings.CORE = OFF
        assert api.get(url).status_code == 404
        assert api.get("/users/").status_code == 200

    def test_unknown_and_bad_settings_are_named(self, settings):
        settings.CORE = {"ROUTERS": {"DEFAULT_PARENT_LOOKUP_KWARG_NAME_PREFIX": 1}}
        with pytest.raises(ImproperlyConfigured, match=r"DEFAULT_PARENT_LOOKUP_KWARG_NAME_PREFIX.* is not a string"):
            chained(ExtendedSimpleRouter())


class TestRefusals:
    class Plain(ModelViewSet):
        queryset = Group.objects.all()

    class Bare(NestedViewSetMixin, ViewSet):
        pass

    @pytest.mark.parametrize(
        ("parent", "arguments", "message"),
        [
            (UserViewSet, ("groups", Plain, "g", ["user"]), "Plain cannot be nested: put NestedViewSetMixin"),
            (Bare, ("groups", GroupViewSet, "g", ["user"]), "under Bare: a parent has to be a GenericViewSet"),
            (UserViewSet, ("groups", GroupViewSet, "g"), r"one lookup for each of its 1 parents.*it is \(\)"),
            (UserViewSet, ("groups", GroupViewSet, "g", ["a", "b"]), r"it is \['a', 'b'\]"),
            (UserViewSet, ("groups", GroupViewSet, "g", "u"), "it is 'u'"),
            (UserViewSet, ("", GroupViewSet, "g", ["user"]), "cannot be nested without a prefix"),
            (UserViewSet, ("groups", GroupViewSet, "u", ["user"]), 'basename "u" is already registered'),
        ],
    )
    def test_a_registration_that_cannot_work_says_why(self, parent, arguments, message):
        with pytest.raises(ImproperlyConfigured, match=message):
            ExtendedSimpleRouter().register("users", parent, "u").register(*arguments)

    def test_lookups_may_not_repeat(self):
        users = ExtendedSimpleRouter().register("users", UserViewSet)
        groups = users.register("groups", GroupViewSet, "g", ["user"])
        with pytest.raises(ImproperlyConfigured, match="one lookup for each of its 2 parents"):
            groups.register("permissions", PermissionViewSet, "p", ["group", "group"])

    def test_a_lookup_that_is_no_field_says_so(self, api, serve, accounts):
        router = ExtendedSimpleRouter()
        router.register("users", UserViewSet).register("groups", GroupViewSet, "g", ["owner"])
        serve(router.urls)
        with pytest.raises(ImproperlyConfigured, match=r"'owner', but auth\.Group has no field 'owner'"):
            api.get(f"/users/{accounts[0].pk}/groups/")

    def test_a_url_written_by_hand_does_not_show_the_rows_of_all_parents(self, api, serve, accounts):
        serve([path("users/<parent_lookup_user>/groups/", GroupViewSet.as_view({"get": "list"}))])
        with pytest.raises(ImproperlyConfigured, match="'parent_lookup_user', but no parent stands behind it"):
            api.get(f"/users/{accounts[0].pk}/groups/")

    def test_off_it_is_not_found(self, api, serve, settings, accounts):
        serve([path("users/<parent_lookup_user>/groups/", GroupViewSet.as_view({"get": "list"}))])
        settings.CORE = OFF
        assert api.get(f"/users/{accounts[0].pk}/groups/").status_code == 404


class TestDiscovery:
    @pytest.fixture
    def declare(self, monkeypatch):
        """Return a function that installs applications, each with what its ``api_urls`` holds."""

        def declare(**contents):
            found = {f"{name}.api_urls": SimpleNamespace(**content) for name, content in contents.items()}
            configs = [SimpleNamespace(name=name, module=SimpleNamespace()) for name in contents]
            none = SimpleNamespace(name="without_models", module=None)
            monkeypatch.setattr("core.routers.apps", SimpleNamespace(get_app_configs=lambda: [none, *configs]))
            monkeypatch.setattr("core.routers.module_has_submodule", lambda package, name: True)
            monkeypatch.setattr("core.routers.import_module", found.__getitem__)

        return declare

    @pytest.fixture
    def groups(self):
        router = ExtendedSimpleRouter()
        router.register("groups", GroupViewSet)
        return router

    def test_what_applications_register_stands_in_one_router(self, api, serve, declare, groups, accounts):
        declare(first={"router": chained(ExtendedDefaultRouter())}, second={"router": groups}, third={})
        serve(discovered().urls)
        assert set(api.get("/").json()) == {"users", "groups"}
        assert names(api.get(f"/users/{accounts[0].pk}/groups/")) == ["ann-1", "ann-2"]
        assert len(names(api.get("/groups/"))) == 4

    def test_two_of_one_prefix_are_refused_by_name(self, declare, groups):
        declare(first={"router": groups}, second={"router": groups})
        with pytest.raises(ImproperlyConfigured, match=r"first\.api_urls and second\.api_urls both register 'groups'"):
            discovered()

    def test_two_of_one_basename_are_refused(self, declare, groups):
        other = ExtendedSimpleRouter()
        other.register("teams", GroupViewSet)
        declare(first={"router": groups}, second={"router": other})
        with pytest.raises(ImproperlyConfigured, match="basename"):
            discovered()

    def test_the_routes_of_an_installed_application_are_found(self):
        assert "questions" in [prefix for prefix, _, _ in discovered().registry]


class TestNames:
    def test_a_lookup_that_ends_in_code_is_no_uuid(self, api, serve, db):
        Region.objects.create(country_code="no", name="North")

        class RegionViewSet(viewset_of(serializer_of(Region, "id", "name"))):
            lookup_field = "country_code"

        Stamp.objects.create(country_code="no", price=3)
        Stamp.objects.create(country_code="so", price=4)
        router = ExtendedSimpleRouter()
        router.register("regions", RegionViewSet).register(
            "stamps", viewset_of(serializer_of(Stamp, "country_code", "price")), "stamp", ["country_code"]
        )
        serve(router.urls)
        assert api.get("/regions/no/stamps/").json() == [{"country_code": "no", "price": 3}]
        assert api.post("/regions/no/stamps/", {"price": 5}).json() == {"country_code": "no", "price": 5}
        refused = api.post("/regions/no/stamps/", {"price": 5, "country_code": "so"})
        assert (refused.status_code, list(refused.json())) == (400, ["country_code"])

    def test_parents_without_the_mixin_will_do_at_the_top(self, api, serve, accounts):
        class PlainUserViewSet(ModelViewSet):
            queryset = User.objects.all()
            permission_classes = (AllowAny,)

        router = ExtendedSimpleRouter()
        router.register("users", PlainUserViewSet).register("groups", GroupViewSet, "g", ["user"])
        serve(router.urls)
        assert names(api.get(f"/users/{accounts[0].pk}/groups/")) == ["ann-1", "ann-2"]

    def test_a_viewset_knows_its_parents(self, api, serve, accounts):
        seen = {}

        class KnowingViewSet(NestedViewSetMixin, GenericViewSet):
            queryset = Permission.objects.all()
            permission_classes = (AllowAny,)

            def list(self, request, *args, **kwargs):
                seen["parents"] = self.parent_objects
                seen["lookups"] = self.get_parents_query_dict()
                return Response()

        router = ExtendedSimpleRouter()
        users = router.register("users", UserViewSet)
        users.register("groups", GroupViewSet, "g", ["user"]).register(
            "permissions", KnowingViewSet, "p", ["group__user", "group"]
        )
        router.register("permissions", KnowingViewSet)
        serve(router.urls)
        ann = accounts[0]
        group = ann.groups.first()
        assert api.get(f"/users/{ann.pk}/groups/{group.pk}/permissions/").status_code == 200
        assert seen == {
            "parents": (ann, group),
            "lookups": {"group__user": str(ann.pk), "group": str(group.pk)},
        }
        assert api.get("/permissions/").status_code == 200
        assert seen == {"parents": (), "lookups": {}}
