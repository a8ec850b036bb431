"""Who may see a parent decides what is found under it, level by level, at a constant price."""

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import connection
from django.db.models import Count
from django.http import Http404
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.filters import BaseFilterBackend, SearchFilter
from rest_framework.mixins import CreateModelMixin, ListModelMixin
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import AllowAny, BasePermission, DjangoModelPermissions, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.throttling import BaseThrottle
from rest_framework.viewsets import GenericViewSet

from core.routers import ExtendedSimpleRouter
from core.viewsets import NestedViewSetMixin
from tests.nesting_app.api import serializer_of, viewset_of
from tests.nesting_app.models import City, Region, Street
from tests.testapp.models import Folder


def pk_of(model, name):
    return model.objects.get(name=name).pk


def url_of(region, city=None, street=None):
    """Return the URL of the list under these, or of the street."""
    url = f"/regions/{pk_of(Region, region)}/cities/"
    if city:
        url += f"{pk_of(City, city)}/streets/"
    if street:
        url += f"{pk_of(Street, street)}/"
    return url


def names(response):
    assert response.status_code == 200, response.content
    return [row["name"] for row in response.json()]


class NotHidden(BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        return queryset.filter(hidden=False)


class IsOwner(BasePermission):
    def has_object_permission(self, request, view, obj):
        return obj.owner_id == request.user.pk


class Teapot(APIException):
    status_code = 418


@action(detail=True, methods=["get", "post"])
def sweep(view, request, pk):
    return Response(view.get_object().name)


def answers(api, url):
    """Return what each method answers there and on a row below, with the words of the answer."""
    found = []
    for method, at in (("get", url), ("post", url), ("get", f"{url}1/"), ("put", f"{url}1/"), ("delete", f"{url}1/")):
        response = getattr(api, method)(at)
        found.append((response.status_code, response.json()))
    return found


NOT_FOUND = [(404, {"detail": "Not found."})] * 5


class TestMissing:
    @pytest.mark.parametrize("pk", ["0", "-1", "x", "1e3", "9" * 30, "9" * 5000, "%00", "\uff11x", "None", "1%2F2"])
    def test_a_parent_that_does_not_exist_is_404(self, api, atlas, pk):
        atlas()
        assert api.get(f"/regions/{pk}/cities/").status_code == 404
        assert api.get(f"/regions/{pk}/cities/{pk_of(City, 'north-1')}/streets/").status_code == 404
        assert api.get(f"/regions/{pk_of(Region, 'North')}/cities/{pk}/streets/").status_code == 404

    def test_a_text_that_no_database_takes_is_404(self, api, atlas):
        atlas(region={"lookup_field": "country_code"})
        assert api.get("/regions/%00/cities/").status_code == 404
        assert api.get("/regions/north%00/cities/").status_code == 404

    def test_no_method_finds_anything_under_it(self, api, atlas):
        atlas()
        assert answers(api, "/regions/0/cities/") == NOT_FOUND
        assert api.options("/regions/0/cities/").status_code == 404
        assert api.head("/regions/0/cities/").status_code == 404

    def test_a_parent_of_another_grandparent_is_404(self, api, atlas):
        atlas()
        assert names(api.get(url_of("North", "north-1"))) == ["north-1-1", "north-1-2"]
        assert answers(api, url_of("South", "north-1")) == NOT_FOUND


class TestTheBrowsablePage:
    """A page that says why there is no answer is rendered by the viewset that could not answer."""

    @pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options"])
    @pytest.mark.parametrize("permission", [AllowAny, IsAuthenticated, DjangoModelPermissions])
    def test_a_missing_parent_is_404_there_too(self, api, atlas, world, method, permission):
        atlas(city={"permission_classes": (permission,), "sweep": sweep})
        api.force_authenticate(User.objects.create(username="root", is_superuser=True))
        for url in ("/regions/0/cities/", "/regions/0/cities/1/", "/regions/0/cities/1/sweep/"):
            response = getattr(api, method)(url, headers={"accept": "text/html"})
            assert response.status_code == 404, url
            assert b"Not found." in response.content

    def test_it_shows_no_form(self, api, atlas):
        atlas()
        assert b'name="region"' in api.get(url_of("North"), headers={"accept": "text/html"}).content
        assert b'name="region"' not in api.get("/regions/0/cities/", headers={"accept": "text/html"}).content

    def test_a_caller_who_asks_too_often_is_told_so(self, api, atlas):
        class Never(BaseThrottle):
            def allow_request(self, request, view):
                return False

        atlas(city={"throttle_classes": (Never,)})
        for accepted in ("application/json", "text/html"):
            assert api.get("/regions/0/cities/", headers={"accept": accepted}).status_code == 429

    def test_a_viewset_that_asks_for_its_parents_is_not_asked_for_rows(self, api, atlas):
        def get_queryset(view):
            return City.objects.filter(region=view.parent_objects[0])

        atlas(city={"get_queryset": get_queryset})
        assert names(api.get(url_of("North"))) == ["north-1", "north-2"]
        assert api.get("/regions/0/cities/", headers={"accept": "text/html"}).status_code == 404

    def test_off_the_page_is_404(self, api, atlas, settings):
        atlas()
        url = url_of("North")
        settings.CORE = {"ROUTERS": {"ENABLED": False}}
        assert api.get(url, headers={"accept": "text/html"}).status_code == 404


class TestHidden:
    def test_the_parents_queryset_decides(self, api, atlas):
        atlas(region={"queryset": Region.objects.exclude(name="North")})
        assert answers(api, url_of("North")) == NOT_FOUND
        assert answers(api, url_of("North", "north-1")) == NOT_FOUND
        assert names(api.get(url_of("South"))) == ["south-1", "south-2"]

    def test_the_parents_get_queryset_decides_for_each_caller(self, api, atlas, stranger):
        def get_queryset(view):
            return Region.objects.filter(owner=view.request.user.pk)

        atlas(region={"get_queryset": get_queryset})
        Region.objects.filter(name="North").update(owner=stranger)
        assert answers(api, url_of("North", "north-1")) == NOT_FOUND
        api.force_authenticate(stranger)
        assert names(api.get(url_of("North", "north-1"))) == ["north-1-1", "north-1-2"]
        assert answers(api, url_of("South", "south-1")) == NOT_FOUND

    @pytest.mark.parametrize("level", ["region", "city"])
    def test_the_parents_filters_decide_at_every_level(self, api, atlas, level):
        atlas(**{level: {"filter_backends": (NotHidden,)}})
        {"region": Region, "city": City}[level].objects.filter(name__istartswith="north").update(hidden=True)
        assert answers(api, url_of("North", "north-1")) == NOT_FOUND
        assert names(api.get(url_of("South", "south-1"))) == ["south-1-1", "south-1-2"]

    def test_the_parents_object_permissions_decide(self, api, atlas, stranger):
        atlas(region={"permission_classes": (IsOwner,)})
        Region.objects.filter(name="North").update(owner=stranger)
        assert answers(api, url_of("North")) == NOT_FOUND
        api.force_authenticate(stranger)
        assert names(api.get(url_of("North"))) == ["north-1", "north-2"]
        assert answers(api, url_of("South", "south-1")) == NOT_FOUND

    def test_the_parents_permissions_decide(self, api, atlas, stranger):
        atlas(region={"permission_classes": (IsAuthenticated,)})
        assert answers(api, url_of("North")) == NOT_FOUND
        api.force_authenticate(stranger)
        assert names(api.get(url_of("North"))) == ["north-1", "north-2"]

    @pytest.mark.parametrize(
        "error", [DjangoPermissionDenied, Http404("secret"), NotFound("secret"), ValidationError("secret"), Teapot]
    )
    def test_however_a_parent_is_refused_the_answer_is_the_same(self, api, atlas, error):
        def get_object(view):
            raise error

        atlas(region={"get_object": get_object})
        assert answers(api, url_of("North")) == NOT_FOUND

    def test_a_fault_is_not_taken_for_a_refusal(self, api, atlas):
        class OutOfOrder(APIException):
            status_code = 503

        def get_object(view):
            raise OutOfOrder

        atlas(region={"get_object": get_object})
        assert api.get(url_of("North")).status_code == 503

    def test_a_parents_own_way_of_finding_an_object_is_used(self, api, atlas):
        def get_object(view):
            assert view.action == "retrieve"
            assert view.detail is True
            return Region.objects.get(name=view.kwargs["pk"].title())

        atlas(region={"get_object": get_object})
        assert names(api.get("/regions/north/cities/")) == ["north-1", "north-2"]

    def test_seeing_a_parent_is_enough_to_write_under_it(self, api, atlas, stranger):
        # Changing regions needs a permission that this caller does not have.
        atlas(region={"permission_classes": (DjangoModelPermissions,)})
        api.force_authenticate(stranger)
        assert api.post("/regions/", {"country_code": "w", "name": "West"}).status_code == 403
        assert api.post(url_of("North"), {"name": "new"}).status_code == 201

    def test_the_childs_own_permissions_come_first(self, api, atlas):
        atlas(city={"permission_classes": (IsAuthenticated,)})
        assert api.get("/regions/0/cities/").status_code == 401
        assert api.get(url_of("North")).status_code == 401

    def test_permissions_that_look_at_the_queryset_see_the_rows_of_the_parent(self, api, atlas):
        seen = []

        class Looks(BasePermission):
            def has_permission(self, request, view):
                seen.append(sorted(view.get_queryset().values_list("name", flat=True)))
                return True

        atlas(city={"permission_classes": (Looks,)})
        assert api.get(url_of("South")).status_code == 200
        assert seen == [["south-1", "south-2"]]


class TestTheParentsRequest:
    def test_query_parameters_are_for_the_list_and_not_for_its_parents(self, api, atlas):
        searched = {"filter_backends": (SearchFilter,), "search_fields": ("name",)}
        atlas(region=searched, city=searched, street=searched)
        url = url_of("North", "north-1")
        assert names(api.get(f"{url}?search=1-2")) == ["north-1-2"]
        assert names(api.get(f"{url_of('North')}?search=north-2")) == ["north-2"]

    def test_it_is_a_get_by_the_same_caller_without_a_body(self, api, atlas, stranger):
        seen = []

        class Notes(BasePermission):
            def has_permission(self, request, view):
                seen.append((request.method, request.user, dict(request.data), dict(request.query_params)))
                seen.append((request._request.method, request.META["QUERY_STRING"], view.kwargs))
                return True

        atlas(region={"permission_classes": (Notes,)})
        api.force_authenticate(stranger)
        response = api.post(f"{url_of('North')}?a=1", {"name": "new"})
        assert (response.status_code, response.json()["name"]) == (201, "new")
        assert seen == [
            ("GET", stranger, {}, {}),
            ("GET", "", {"pk": str(pk_of(Region, "North"))}),
        ]

    @pytest.mark.parametrize("read", ["body", "POST", "FILES", "data", "stream"])
    @pytest.mark.parametrize("format_", ["json", "multipart"])
    def test_who_reads_its_body_takes_nothing_from_the_nested_viewset(self, api, atlas, read, format_):
        seen = []

        class Reads(BasePermission):
            def has_permission(self, request, view):
                seen.append(getattr(request, read))
                return True

        atlas(region={"permission_classes": (Reads,)})
        response = api.post(url_of("North"), {"name": "new"}, format=format_)
        assert (response.status_code, response.json().get("name")) == (201, "new")
        assert not seen[0]

    def test_its_viewset_is_made_ready_as_for_a_request_of_its_own(self, api, atlas):
        def initial(view, request, *args, **kwargs):
            super(type(view), view).initial(request, *args, **kwargs)
            view.asked_for = "North"

        atlas(
            region={
                "initial": initial,
                "get_queryset": lambda view: Region.objects.filter(name=view.asked_for),
            }
        )
        assert names(api.get(url_of("North"))) == ["north-1", "north-2"]
        assert api.get(url_of("South")).status_code == 404

    def test_a_viewset_that_refuses_to_begin_hides_its_rows(self, api, atlas):
        def initial(view, request, *args, **kwargs):
            raise Http404

        atlas(region={"initial": initial})
        assert answers(api, url_of("North")) == NOT_FOUND

    def test_its_throttles_are_not_asked_and_its_renderers_do_not_matter(self, api, atlas):
        class Never(BaseThrottle):
            def allow_request(self, request, view):
                return False

        class Other(JSONRenderer):
            media_type = "application/other"

        atlas(region={"throttle_classes": (Never,), "renderer_classes": (Other,)})
        assert names(api.get(url_of("North"), headers={"accept": "application/json"})) == ["north-1", "north-2"]

    def test_what_shows_no_object_has_nothing_under_it(self, api, serve, world):
        regions = type(
            "Regions",
            (ListModelMixin, GenericViewSet),
            {"queryset": Region.objects.all(), "serializer_class": serializer_of(Region, "id")},
        )
        router = ExtendedSimpleRouter()
        cities = viewset_of(serializer_of(City, "id", "name"))
        router.register("regions", regions).register("cities", cities, "c", ["region"])
        serve(router.urls)
        for url in ("", "cities/"):
            assert api.get(f"/regions/{pk_of(Region, 'North')}/{url}").status_code == 404

    def test_the_arguments_of_an_action_do_not_reach_it(self, api, atlas):
        seen = []

        @action(detail=False, url_path=r"by/(?P<letter>\w)")
        def by(view, request, letter):
            return Response(letter)

        atlas(region={"get_queryset": lambda view: seen.append(view.kwargs) or Region.objects.all()}, city={"by": by})
        assert api.get(f"{url_of('North')}by/x/").json() == "x"
        assert seen == [{"pk": str(pk_of(Region, "North"))}]


class TestPrice:
    @pytest.fixture
    def crowd(self, world):
        def grow(size):
            for region in Region.objects.all():
                for number in range(size):
                    city = City.objects.create(region=region, name=f"more-{region.pk}-{number}-{size}")
                    Street.objects.bulk_create(Street(city=city, name=f"street {n}") for n in range(size))
            first = City.objects.get(name="north-1")
            Street.objects.bulk_create(Street(city=first, name=f"street {n}") for n in range(size))

        return grow

    def test_a_list_costs_one_query_and_one_for_each_parent(self, api, atlas, crowd, django_assert_num_queries):
        atlas()
        for size in (0, 3, 9):
            crowd(size)
            with django_assert_num_queries(1):
                api.get("/regions/")
            with django_assert_num_queries(2):
                api.get(f"/regions/{self.north}/cities/")
            with django_assert_num_queries(3):
                streets = api.get(f"/regions/{self.north}/cities/{self.north_1}/streets/").json()
            assert len(streets) == Street.objects.filter(city=self.north_1).count() >= size

    @pytest.fixture(autouse=True)
    def _keys(self, world):
        self.north, self.north_1 = pk_of(Region, "North"), pk_of(City, "north-1")

    def test_what_a_parents_own_page_prefetches_costs_nothing_here(self, api, atlas, django_assert_num_queries):
        atlas(region={"queryset": Region.objects.prefetch_related("cities__streets").select_related("owner")})
        with django_assert_num_queries(3):
            answer = api.get(f"/regions/{self.north}/cities/{self.north_1}/streets/")
        assert answer.status_code == 200

    def test_permissions_that_ask_for_the_queryset_cost_nothing_more(self, api, atlas, django_assert_num_queries):
        atlas(city={"permission_classes": (DjangoModelPermissions,)})
        api.force_authenticate(User(pk=0, username="nobody", is_superuser=True))
        with django_assert_num_queries(3):
            answer = api.get(f"/regions/{self.north}/cities/{self.north_1}/streets/")
        assert answer.status_code == 200

    def test_a_page_costs_what_it_costs_without_parents_and_one_for_each(self, api, atlas, django_assert_num_queries):
        atlas(street={"pagination_class": type("Pages", (PageNumberPagination,), {"page_size": 1})})
        with django_assert_num_queries(4):  # two parents, the count and the page
            body = api.get(f"/regions/{self.north}/cities/{self.north_1}/streets/").json()
        assert (body["count"], len(body["results"])) == (2, 1)

    def test_a_new_row_costs_one_query_and_one_for_each_parent(self, api, atlas, django_assert_num_queries):
        atlas()
        with django_assert_num_queries(3):
            response = api.post(f"/regions/{self.north}/cities/{self.north_1}/streets/", {"name": "new"})
        assert response.status_code == 201

    def test_a_relation_to_one_parent_is_compared_and_not_joined_by_a_subquery(self, api, atlas):
        atlas()
        with CaptureQueriesContext(connection) as queries:
            api.get(f"/regions/{self.north}/cities/")
        assert queries[-1]["sql"].upper().count("SELECT") == 1


class TestWhateverAViewsetDoes:
    def test_a_get_queryset_without_super_shows_the_rows_of_one_parent(self, api, atlas):
        atlas(
            city={"get_queryset": lambda _: City.objects.order_by("-pk")},
            street={"get_queryset": lambda _: Street.objects.all()},
        )
        assert names(api.get(url_of("North"))) == ["north-2", "north-1"]
        assert names(api.get(url_of("North", "north-1"))) == ["north-1-1", "north-1-2"]
        assert api.get(url_of("North", "north-1", "north-2-1")).status_code == 404

    def test_a_get_object_of_its_own_finds_nothing_of_another_parent(self, api, atlas):
        atlas(
            city={"get_object": lambda view: City.objects.prefetch_related("streets").get(pk=view.kwargs["pk"])},
            street={"get_object": lambda view: Street.objects.get(pk=view.kwargs["pk"])},
        )
        for region, status in (("North", 200), ("South", 404)):
            assert api.get(f"{url_of(region)}{pk_of(City, 'north-1')}/").status_code == status
            assert api.get(url_of(region, "north-1")).status_code == status
        assert api.get(url_of("North", "north-1", "north-1-1")).status_code == 200
        assert api.get(url_of("North", "north-1", "north-2-1")).status_code == 404

    def test_a_filter_queryset_that_takes_other_rows_shows_those_of_one_parent(self, api, atlas):
        atlas(city={"filter_queryset": lambda *_: City.objects.order_by("-pk")})
        assert names(api.get(url_of("North"))) == ["north-2", "north-1"]
        assert api.get(f"{url_of('North')}{pk_of(City, 'south-1')}/").status_code == 404

    def test_one_that_cuts_its_rows_may_do_so(self, api, atlas):
        atlas(city={"filter_queryset": lambda _, queryset: queryset[:1]})
        assert names(api.get(url_of("North"))) == ["north-1"]

    def test_one_without_a_queryset_creates(self, api, serve, world):
        class Creates(NestedViewSetMixin, CreateModelMixin, GenericViewSet):
            serializer_class = serializer_of(City, "id", "region", "name")
            permission_classes = (AllowAny,)

        router = ExtendedSimpleRouter()
        router.register("regions", viewset_of(serializer_of(Region, "id"))).register("cities", Creates, "c", ["region"])
        serve(router.urls)
        north = pk_of(Region, "North")
        assert api.post(f"/regions/{north}/cities/", {"name": "new"}).json()["region"] == north
        assert api.post("/regions/0/cities/", {"name": "new"}).status_code == 404

    def test_a_row_nested_in_its_own_kind_costs_one_query_for_each_level(
        self, api, serve, db, django_assert_num_queries
    ):
        folders = viewset_of(serializer_of(Folder, "id", "parent", "name"))
        router = ExtendedSimpleRouter()
        level = router.register("a", folders).register("b", folders, "b", ["parent"])
        level = level.register("c", folders, "c", ["parent__parent", "parent"])
        level.register("d", folders, "d", ["parent__parent__parent", "parent__parent", "parent"])
        serve(router.urls)
        first = Folder.objects.create(name="first")
        second = Folder.objects.create(name="second", parent=first)
        third = Folder.objects.create(name="third", parent=second)
        stray = Folder.objects.create(name="stray")
        url = f"/a/{first.pk}/b/{second.pk}/c/{third.pk}/d/"
        assert api.post(url, {"name": "fourth"}).json()["parent"] == third.pk
        with django_assert_num_queries(4):
            assert names(api.get(url)) == ["fourth"]
        assert api.get(f"/a/{stray.pk}/b/{second.pk}/c/{third.pk}/d/").status_code == 404
        assert api.get(f"/a/{first.pk}/b/{stray.pk}/c/{third.pk}/d/").status_code == 404

    def test_aggregates_stay_right(self, api, atlas, world):
        def get_queryset(view):
            return City.objects.annotate(streets_in_all=Count("streets")).filter(streets_in_all=2)

        atlas(city={"get_queryset": get_queryset})
        assert names(api.get(url_of("North"))) == ["north-1", "north-2"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hidden=st.fixed_dictionaries({model: st.sets(st.integers(0, 7)) for model in (Region, City, Street)}))
def test_a_nested_answer_shows_what_each_level_shows(atlas, hidden):
    """Whatever is hidden where: a street is found under its parents exactly if none of the three is hidden."""
    shown = {"filter_backends": (NotHidden,)}
    atlas(region=shown, city=shown, street=shown)
    client = APIClient()
    for model, numbers in hidden.items():
        rows = model.objects.order_by("pk")
        model.objects.update(hidden=False)
        model.objects.filter(pk__in=[row.pk for number, row in enumerate(rows) if number in numbers]).update(
            hidden=True
        )
    cities = list(City.objects.select_related("region"))
    for region in Region.objects.all():
        for city in cities:
            visible = not region.hidden and not city.hidden and city.region == region
            response = client.get(f"/regions/{region.pk}/cities/{city.pk}/streets/")
            assert response.status_code == (200 if visible else 404)
            if visible:
                expected = city.streets.filter(hidden=False).order_by("pk")
                assert names(response) == [street.name for street in expected]


def test_an_anonymous_caller_stays_one(atlas, api):
    seen = []
    atlas(region={"get_queryset": lambda view: seen.append(view.request.user) or Region.objects.all()})
    api.get(url_of("North"))
    assert seen == [AnonymousUser()]
