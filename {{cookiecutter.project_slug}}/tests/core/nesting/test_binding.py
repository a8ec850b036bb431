"""What is written under a parent hangs on that parent, and a body that says otherwise is refused."""

import json

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction
from rest_framework import serializers
from rest_framework.authtoken.models import Token
from rest_framework.decorators import action
from rest_framework.response import Response

from core.nesting.binding import LinksToParents, StaysUnderParents
from core.routers import ExtendedSimpleRouter
from tests.nesting_app.api import serializer_of, viewset_of
from tests.nesting_app.models import City, Label, Passport, Region, Street


@pytest.fixture
def north(world):
    return Region.objects.get(name="North")


@pytest.fixture
def south(world):
    return Region.objects.get(name="South")


def refusal(response, parent):
    """Return the names that the refusal stands under, after a look at its words."""
    assert response.status_code == 400, response.content
    errors = response.json()
    for messages in errors.values():
        assert messages == [
            f"This names another parent than the URL, which says {parent}. Leave it out, or say the same."
        ]
    return sorted(errors)


def closed(value):
    raise serializers.ValidationError("This is closed.")


def renamed(field):
    """Return the field for use under a name that is not the model's."""
    kwargs = {"source": "region", **field._kwargs}
    return type(field)(*field._args, **kwargs)


class TestCreating:
    def test_the_url_fills_a_required_field_that_the_body_omits(self, api, atlas, north):
        atlas()
        response = api.post(f"/regions/{north.pk}/cities/", {"name": "new"})
        assert response.status_code == 201, response.content
        assert response.json()["region"] == north.pk
        assert City.objects.get(name="new").region == north

    def test_the_body_may_say_the_same(self, api, atlas, north):
        atlas()
        for value in (north.pk, str(north.pk)):
            response = api.post(f"/regions/{north.pk}/cities/", {"name": f"new {value!r}", "region": value})
            assert response.status_code == 201, response.content

    @pytest.mark.parametrize("format_", ["json", "multipart"])
    def test_a_body_that_names_another_parent_is_refused(self, api, atlas, north, south, format_):
        atlas()
        response = api.post(f"/regions/{north.pk}/cities/", {"name": "new", "region": south.pk}, format=format_)
        assert refusal(response, f"region {north.pk}") == ["region"]
        assert not City.objects.filter(name="new").exists()

    @pytest.mark.parametrize("value", [None, "", "x", [], {"id": 0}, 0])
    def test_a_body_that_names_nobody_known_is_refused(self, api, atlas, north, value):
        atlas()
        response = api.post(f"/regions/{north.pk}/cities/", {"name": "new", "region": value}, format="json")
        assert response.status_code == 400
        assert list(response.json()) == ["region"]

    def test_the_row_is_linked_when_the_serializer_does_not_know_the_parent(self, api, atlas, north, south):
        atlas(city={"serializer_class": serializer_of(City, "id", "name")})
        assert api.post(f"/regions/{north.pk}/cities/", {"name": "new"}).status_code == 201
        assert City.objects.get(name="new").region == north
        for name in ("region", "region_id"):
            response = api.post(f"/regions/{north.pk}/cities/", {"name": "other", name: south.pk})
            assert refusal(response, f"region {north.pk}") == [name]
            assert api.post(f"/regions/{north.pk}/cities/", {"name": name, name: north.pk}).status_code == 201

    def test_a_read_only_field_is_heard_all_the_same(self, api, atlas, north, south):
        class Read(serializer_of(City, "id", "region", "name")):
            region = serializers.SlugRelatedField("country_code", read_only=True)

        atlas(city={"serializer_class": Read})
        response = api.post(f"/regions/{north.pk}/cities/", {"name": "new", "region": "south"})
        assert refusal(response, f"region {north.pk}") == ["region"]
        created = api.post(f"/regions/{north.pk}/cities/", {"name": "new", "region": "north"})
        assert created.json()["region"] == "north"

    def test_a_nested_object_that_a_client_sends_back_is_accepted(self, api, atlas, north, south):
        class Whole(serializer_of(City, "id", "region", "name")):
            region = serializer_of(Region, "id", "name")(read_only=True)

        atlas(city={"serializer_class": Whole})
        city = north.cities.first()
        url = f"/regions/{north.pk}/cities/{city.pk}/"
        body = api.get(url).json()
        assert api.put(url, body, format="json").json() == body
        body["region"]["id"] = south.pk
        assert refusal(api.put(url, body, format="json"), f"region {north.pk}") == ["region"]

    @pytest.mark.parametrize(
        "field",
        [
            serializers.SlugRelatedField("country_code", queryset=Region.objects.all(), source="region"),
            serializers.PrimaryKeyRelatedField(queryset=Region.objects.all(), source="region"),
            serializers.HyperlinkedRelatedField("region-detail", queryset=Region.objects.all(), source="region"),
            serializers.IntegerField(source="region_id"),
        ],
        ids=["slug", "key", "link", "column"],
    )
    def test_any_kind_of_field_under_any_name_may_name_the_parent(self, api, atlas, north, south, field):
        atlas(city={"serializer_class": serializer_of(City, "id", "area", "name", area=field)})
        url = f"/regions/{north.pk}/cities/"
        omitted = api.post(url, {"name": "new"})
        assert omitted.status_code == 201, omitted.content
        own = omitted.json()["area"]
        other = api.get(f"/regions/{south.pk}/cities/").json()[0]["area"]
        assert refusal(api.post(url, {"name": "other", "area": other}), f"region {north.pk}") == ["area"]
        assert api.post(url, {"name": "same", "area": own}).status_code == 201
        assert set(City.objects.filter(name__in=["new", "same"]).values_list("region", flat=True)) == {north.pk}

    def test_a_field_that_only_sounds_like_the_parent_is_left_alone(self, api, atlas, north):
        atlas(city={"serializer_class": serializer_of(City, "region", region=serializers.CharField(source="name"))})
        assert api.post(f"/regions/{north.pk}/cities/", {"region": "777"}).status_code == 201
        assert City.objects.get(name="777").region == north

    @pytest.mark.parametrize(
        ("told", "accepted"),
        [
            ({"country_code": "north"}, True),
            ({"country_code": "south"}, False),
            ({"url": "/regions/NORTH/"}, True),
            ({"url": "/regions/SOUTH/"}, False),
            ({"owner": {"username": "ann"}}, True),
            ({"owner": {"username": "bob"}}, False),
            ({"country_code": "north", "name": "South"}, False),
            ({"id": "NORTH", "name": "as it was called before"}, True),
            ({"id": "SOUTH", "country_code": "north"}, False),
            ({"unheard": "of"}, True),
            ({}, True),
            (True, False),
        ],
    )
    def test_an_object_in_the_body_tells_which_parent_it_means(self, api, atlas, told, accepted):
        north, south = Region.objects.get(name="North"), Region.objects.get(name="South")
        Region.objects.update(owner=User.objects.create(username="ann"))
        for name, region in (("NORTH", north), ("SOUTH", south)):
            told = json.loads(json.dumps(told).replace(name, str(region.pk)).replace('"/reg', '"http://testserver/reg'))

        class Told(serializer_of(Region, "url", "country_code", "name", "owner")):
            url = serializers.HyperlinkedIdentityField("region-detail")
            owner = serializer_of(User, "username")()

        bodies = {"known": {"region": Told(read_only=True)}, "unknown": {}}
        if "url" in str(told) or "owner" in str(told):
            del bodies["unknown"]  # nothing says what these tell of
        for fields in bodies.values():
            atlas(city={"serializer_class": serializer_of(City, "id", "name", *fields, **fields)})
            response = api.post(f"/regions/{north.pk}/cities/", {"name": "new", "region": told}, format="json")
            if accepted:
                assert response.status_code == 201, response.content
            else:
                assert refusal(response, f"region {north.pk}") == ["region"]
            City.objects.filter(name="new").delete()

    def test_rules_for_unique_sets_know_the_parent(self, api, atlas, north, south):
        atlas()
        response = api.post(f"/regions/{north.pk}/cities/", {"name": "north-1"})
        assert response.status_code == 400
        assert "unique set" in str(response.json())
        assert api.post(f"/regions/{south.pk}/cities/", {"name": "north-1"}).status_code == 201

    def test_they_hold_when_the_serializer_does_not_know_the_parent(self, api, atlas, north, south):
        atlas(city={"serializer_class": serializer_of(City, "id", "name")})
        response = api.post(f"/regions/{north.pk}/cities/", {"name": "north-1"})
        assert response.status_code == 400, response.content
        city = north.cities.get(name="north-1")
        assert api.patch(f"/regions/{north.pk}/cities/{city.pk}/", {"name": "north-2"}).status_code == 400
        assert api.patch(f"/regions/{north.pk}/cities/{city.pk}/", {"name": "north-1"}).status_code == 200
        assert api.post(f"/regions/{south.pk}/cities/", {"name": "north-1"}).status_code == 201

    def test_a_parent_that_is_not_named_by_its_primary_key_is_linked(self, api, serve, north):
        router = ExtendedSimpleRouter()
        router.register("regions", viewset_of(serializer_of(Region, "id"))).register(
            "passports", viewset_of(serializer_of(Passport, "region", "number")), "passport", ["region"]
        )
        serve(router.urls)
        assert api.post(f"/regions/{north.pk}/passports/", {"number": "7"}).json() == {"region": "north", "number": "7"}
        response = api.post(f"/regions/{north.pk}/passports/", {"number": "7", "region": "south"})
        assert refusal(response, f"region {north.pk}") == ["region"]
        assert len(api.get(f"/regions/{north.pk}/passports/").json()) == 1

    @pytest.mark.parametrize("lookup", ["region", "region_id", "region__country_code", "region__pk"])
    def test_a_lookup_may_end_at_a_field_of_the_parent(self, api, serve, north, south, lookup):
        regions = viewset_of(serializer_of(Region, "id"), lookup_field="country_code")
        router = ExtendedSimpleRouter()
        router.register("regions", regions).register(
            "cities", viewset_of(serializer_of(City, "region", "name")), "city", [lookup]
        )
        serve(router.urls)
        assert [row["name"] for row in api.get("/regions/south/cities/").json()] == ["south-1", "south-2"]
        assert api.post("/regions/south/cities/", {"name": "new"}).json() == {"region": south.pk, "name": "new"}
        refused = api.post("/regions/south/cities/", {"name": "other", "region": north.pk})
        assert refusal(refused, "region south") == ["region"]  # as the URL says it

    def test_lists_are_held_to_the_parent_row_by_row(self, api, atlas, north, south):
        def create(view, request, *args, **kwargs):
            serializer = view.get_serializer(data=request.data, many=True)
            serializer.is_valid(raise_exception=True)
            serializer.save()
            return Response(serializer.data, status=201)

        atlas(city={"create": create})
        url = f"/regions/{north.pk}/cities/"
        rows = [{"name": "one"}, {"name": "two", "region": north.pk}]
        assert api.post(url, rows, format="json").status_code == 201
        assert north.cities.filter(name__in=["one", "two"]).count() == 2
        refused = api.post(url, [{"name": "three"}, {"name": "four", "region": south.pk}], format="json")
        assert refused.status_code == 400
        assert [(row, list(errors)) for row, errors in refused.json().items()] == [("1", ["region"])]

    def test_save_can_be_given_more(self, api, serve, north, stranger):
        def perform_create(view, serializer):
            serializer.save(hidden=True)

        router = ExtendedSimpleRouter()
        router.register("regions", viewset_of(serializer_of(Region, "id"))).register(
            "cities", viewset_of(serializer_of(City, "name"), perform_create=perform_create), "city", ["region"]
        )
        serve(router.urls)
        assert api.post(f"/regions/{north.pk}/cities/", {"name": "new"}).status_code == 201
        assert City.objects.get(name="new", hidden=True).region == north

    def test_a_plain_serializer_is_held_too(self, api, atlas, north, south):
        class Plain(serializers.Serializer):
            name = serializers.CharField()

            def create(self, validated_data):
                return City.objects.create(**validated_data)

        atlas(city={"serializer_class": Plain})
        assert api.post(f"/regions/{north.pk}/cities/", {"name": "new"}).status_code == 201
        assert City.objects.get(name="new").region == north
        response = api.post(f"/regions/{north.pk}/cities/", {"name": "new", "region": south.pk})
        assert refusal(response, f"region {north.pk}") == ["region"]

    def test_a_serializer_that_saves_elsewhere_is_caught_and_undone(self, api, atlas, north, south):
        class Wilful(serializer_of(City, "id", "name")):
            def create(self, validated_data):
                return City.objects.create(**{**validated_data, "region": south})

        atlas(city={"serializer_class": Wilful})
        response = api.post(f"/regions/{north.pk}/cities/", {"name": "new"})
        assert response.status_code == 400
        assert response.json() == {
            "non_field_errors": [f"This does not lead to the parent that the URL names, region {north.pk}."]
        }
        assert not City.objects.filter(name="new").exists()

    def test_a_body_that_is_no_object_is_refused_as_usual(self, api, atlas, north):
        atlas()
        for body in ([], "text", 7):
            response = api.post(f"/regions/{north.pk}/cities/", body, format="json")
            assert response.status_code == 400

    def test_a_serializer_for_something_else_is_left_alone(self, api, atlas, north, south):
        class Merge(serializers.Serializer):
            region = serializers.IntegerField()

        @action(detail=False, methods=["post"], serializer_class=Merge)
        def merge(view, request, *args, **kwargs):
            serializer = view.get_serializer(data=request.data)
            serializer.is_valid(raise_exception=True)
            return Response(serializer.validated_data)

        atlas(city={"merge": merge})
        assert api.post(f"/regions/{north.pk}/cities/merge/", {"region": south.pk}).json() == {"region": south.pk}


class TestWhatTheBodyLeavesOut:
    """The rules that the flat route has for the parent's field hold for the parent that the URL names."""

    @pytest.fixture
    def both(self, serve, north):
        """Serve cities under regions and by themselves."""

        def serve_both(serializer_class, **attributes):
            cities = viewset_of(serializer_class, **attributes)
            router = ExtendedSimpleRouter()
            router.register("regions", viewset_of(serializer_of(Region, "id"))).register(
                "cities", cities, "c", ["region"]
            )
            router.register("cities", cities)
            serve(router.urls)
            return "/cities/", f"/regions/{north.pk}/cities/"

        return serve_both

    RULED = (
        serializers.PrimaryKeyRelatedField(queryset=Region.objects.filter(name="South")),
        serializers.SlugRelatedField("country_code", queryset=Region.objects.filter(name="South")),
        serializers.PrimaryKeyRelatedField(queryset=Region.objects.all(), validators=[closed]),
        serializers.PrimaryKeyRelatedField(queryset=Region.objects.all(), required=False, validators=[closed]),
        serializers.IntegerField(source="region_id", validators=[closed]),
    )

    @pytest.mark.parametrize("field", RULED, ids=["queryset", "slug", "validator", "optional", "column"])
    def test_the_fields_own_rules_hold_whether_named_or_not(self, api, both, north, field):
        flat, nested = both(serializer_of(City, "name", "area", area=renamed(field)))
        named = api.post(flat, {"name": "new", "area": "north" if "Slug" in repr(field) else north.pk})
        assert named.status_code == 400
        for body in ({"name": "new"}, {"name": "new", **({"area": north.pk} if "Slug" not in repr(field) else {})}):
            response = api.post(nested, body)
            assert (response.status_code, response.json()) == (400, named.json())
        assert not City.objects.filter(name="new").exists()

    def test_a_method_that_validates_the_field_is_called(self, api, both, north):
        class Ruled(serializer_of(City, "name", "region")):
            def validate_region(self, value):
                raise serializers.ValidationError(f"{value.name} is closed.")

        _, nested = both(Ruled)
        assert api.post(nested, {"name": "new"}).json() == {"region": ["North is closed."]}
        city = north.cities.first()
        assert api.put(f"{nested}{city.pk}/", {"name": "new"}).json() == {"region": ["North is closed."]}
        assert api.patch(f"{nested}{city.pk}/", {"name": "new"}).status_code == 200

    def test_an_update_is_silent_about_what_the_flat_route_lets_it_leave_out(self, api, both, north):
        field = serializers.PrimaryKeyRelatedField(queryset=Region.objects.none(), required=False)
        flat, nested = both(serializer_of(City, "name", "region", region=field))
        city = north.cities.first()
        for url in (flat, nested):
            assert api.put(f"{url}{city.pk}/", {"name": "renamed"}).status_code == 200
        assert api.post(nested, {"name": "new"}).status_code == 400

    def test_a_field_that_shows_more_than_it_takes_is_filled(self, api, both, north):
        class Shows(serializers.PrimaryKeyRelatedField):
            def use_pk_only_optimization(self):
                return False

            def to_representation(self, value):
                return {"name": value.name}

        _, nested = both(serializer_of(City, "name", "region", region=Shows(queryset=Region.objects.all())))
        assert api.post(nested, {"name": "new"}).json() == {"name": "new", "region": {"name": "North"}}

    def test_rules_find_the_values_under_the_names_of_the_serializer(self, api, both, north):
        class ByKey(serializer_of(City, "name", "region_id")):
            region_id = serializers.IntegerField()

            def validate(self, attrs):
                assert attrs["region_id"] == north.pk
                assert "region" not in attrs
                return attrs

        flat, nested = both(ByKey)
        for number, (url, body) in enumerate(
            [(flat, {"region_id": north.pk}), (nested, {"region_id": north.pk}), (nested, {})]
        ):
            response = api.post(url, {"name": f"new {number}", **body})
            assert response.status_code == 201, response.content
        assert north.cities.filter(name__startswith="new").count() == 3

    def test_a_hidden_default_gives_way_to_the_url(self, api, both, north, south):
        field = serializers.HiddenField(default=lambda: south)
        _, nested = both(serializer_of(City, "name", "region", region=field))
        assert api.post(nested, {"name": "new"}).status_code == 201
        assert City.objects.get(name="new").region == north

    def test_the_request_keeps_its_own_data(self, api, both, north):
        seen = []

        def perform_create(view, serializer):
            seen.append(dict(view.request.data))
            serializer.save()

        _, nested = both(serializer_of(City, "name", "region"), perform_create=perform_create)
        assert api.post(nested, {"name": "new"}, format="json").status_code == 201
        assert seen == [{"name": "new"}]

    @pytest.mark.parametrize("region", ["", "left out"])
    def test_a_select_that_a_form_leaves_blank_counts_as_left_out(self, api, atlas, north, region):
        atlas()
        city = north.cities.first()
        blank = {"city": ""} if region == "" else {}
        url = f"/regions/{north.pk}/cities/{city.pk}/streets/"
        made = api.post(url, {"name": "new", **blank}, format="multipart")
        assert made.status_code == 201, made.content
        changed = api.patch(f"{url}{made.json()['id']}/", {"name": "renamed", **blank}, format="multipart")
        assert changed.json()["city"] == city.pk
        assert api.post(url, {"name": "new", "city": ""}, format="json").status_code == 400

    def test_a_parent_that_has_its_only_row_already_is_a_400(self, api, serve, stranger):
        users = viewset_of(serializer_of(User, "id"), queryset=User.objects.all())
        for names in (("user", "key"), ("key",)):
            tokens = viewset_of(serializer_of(Token, *names), queryset=Token.objects.all())
            router = ExtendedSimpleRouter()
            router.register("users", users).register("tokens", tokens, "token", ["user"])
            serve(router.urls)
            url = f"/users/{stranger.pk}/tokens/"
            Token.objects.all().delete()
            assert api.post(url, {"key": "a"}).status_code == 201
            refused = api.post(url, {"key": "b"})
            assert refused.status_code == 400
            under = "user" if "user" in names else "non_field_errors"
            assert refused.json() == {under: ["Token with this User already exists."]}

    @pytest.mark.parametrize("named", [{}, {"labels": []}, {"labels": [1]}])
    def test_a_list_of_parents_is_ruled_too(self, api, serve, north, named):
        label = Label.objects.create(pk=1, name="locked")
        field = serializers.PrimaryKeyRelatedField(many=True, queryset=Label.objects.exclude(name="locked"))
        cities = viewset_of(serializer_of(City, "region", "name", "labels", labels=field))
        router = ExtendedSimpleRouter()
        router.register("labels", viewset_of(serializer_of(Label, "id"))).register("cities", cities, "c", ["labels"])
        serve(router.urls)
        response = api.post(f"/labels/{label.pk}/cities/", {"region": north.pk, "name": "new", **named}, format="json")
        assert response.status_code == 400
        assert response.json() == {"labels": ['Invalid pk "1" - object does not exist.']}

    def test_a_field_with_rows_of_its_own_costs_one_query_more(self, api, both, django_assert_num_queries):
        plain, ruled = Region.objects.all(), Region.objects.filter(hidden=False)
        for queryset, queries in ((plain, 3), (ruled, 4)):  # the region, (the rule,) the unique set, the row
            field = serializers.PrimaryKeyRelatedField(queryset=queryset)
            _, nested = both(serializer_of(City, "name", "region", region=field))
            with django_assert_num_queries(queries):
                assert api.post(nested, {"name": f"new {queries}"}).status_code == 201

    def test_a_serializer_that_was_not_told_of_the_parents_says_so(self, api, both):
        def create(view, request, *args, **kwargs):
            serializer = view.get_serializer_class()(data=request.data)
            serializer.is_valid(raise_exception=True)

        _, nested = both(serializer_of(City, "name"), create=create)
        with pytest.raises(ImproperlyConfigured, match="writes under a parent and was not told which"):
            api.post(nested, {"name": "new"})


class TestLists:
    """``many=True``: each row is judged as if it came alone, at the price of one."""

    @pytest.fixture
    def url(self, serve, north):
        def serve_lists(*names, lookup="region", parent=Region, **declared):
            def create(view, request, *args, **kwargs):
                serializer = view.get_serializer(data=request.data, many=True)
                serializer.is_valid(raise_exception=True)
                serializer.save()
                return Response(serializer.data, status=201)

            @action(detail=False, methods=["put"])
            def all_at_once(view, request):
                serializer = view.get_serializer(view.get_queryset(), data=request.data, many=True)
                serializer.is_valid(raise_exception=True)
                serializer.save()
                return Response(serializer.data)

            class Rows(serializers.ListSerializer):
                def update(self, instance, validated_data):
                    return [self.child.update(*pair) for pair in zip(instance, validated_data, strict=True)]

            serializer_class = serializer_of(City, "name", *names, **declared)
            serializer_class.Meta.list_serializer_class = Rows
            cities = viewset_of(serializer_class, create=create, all_at_once=all_at_once)
            router = ExtendedSimpleRouter()
            router.register("above", viewset_of(serializer_of(parent, "id"))).register("cities", cities, "c", [lookup])
            serve(router.urls)
            return f"/above/{north.pk}/cities/"

        return serve_lists

    def test_rows_can_be_written_that_the_serializer_does_not_know_the_parent_of(self, api, url, north):
        rows = [{"name": "north-1"}, {"name": "renamed"}]
        assert api.put(f"{url()}all_at_once/", rows, format="json").json() == rows
        assert [city.name for city in north.cities.all()] == ["north-1", "renamed"]

    def test_one_row_does_not_relax_the_rules_for_the_next(self, api, url, north):
        label = Label.objects.create(pk=north.pk, name="new")
        field = serializers.PrimaryKeyRelatedField(many=True, queryset=Label.objects.all(), allow_empty=False)
        labelled = url("region", "labels", lookup="labels", parent=Label, labels=field)
        rows = [{"name": "new", "region": north.pk}, {"name": "other", "region": north.pk, "labels": []}]
        refused = api.post(labelled, rows, format="json")
        assert (refused.status_code, refused.json()) == (400, {"1": {"labels": ["This list may not be empty."]}})
        assert api.post(labelled, rows[:1], format="json").status_code == 201
        assert label.cities.count() == 1

    def test_a_row_that_is_there_already_is_named(self, api, url, north):
        response = api.post(url(), [{"name": "new"}, {"name": "north-1"}], format="json")
        assert response.status_code == 400
        assert response.json() == {"1": {"non_field_errors": ["City with this Region and Name already exists."]}}
        assert not City.objects.filter(name="new").exists()

    @pytest.mark.parametrize("names", [(), ("region",)])
    def test_two_equal_rows_in_one_body_are_refused(self, api, url, names):
        response = api.post(url(*names), [{"name": "new"}, {"name": "new"}], format="json")
        assert response.status_code == 400
        sentence = "City with this Region and Name already exists. Item 0 has the same values."
        assert response.json() == {"1": {"non_field_errors": [sentence]}}

    def test_a_block_costs_what_a_row_costs(self, api, url, north, django_assert_num_queries):
        ruled = serializers.PrimaryKeyRelatedField(queryset=Region.objects.filter(hidden=False))
        rows = [{"name": f"new {number}"} for number in range(20)]
        with django_assert_num_queries(2 + 20):  # the region, the unique set, the rows
            assert api.post(url(), rows, format="json").status_code == 201
        north.cities.all().delete()
        with django_assert_num_queries(2 + 40):  # the region, the rule, and DRF's own check of the set for each row
            assert api.post(url("region", region=ruled), rows, format="json").status_code == 201


class TestUpdating:
    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_a_row_may_not_move_to_another_parent(self, api, atlas, north, south, method):
        atlas()
        city = north.cities.first()
        url = f"/regions/{north.pk}/cities/{city.pk}/"
        response = getattr(api, method)(url, {"name": "moved", "region": south.pk})
        assert refusal(response, f"region {north.pk}") == ["region"]
        city.refresh_from_db()
        assert (city.region, city.name) == (north, "north-1")

    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_the_parent_may_be_left_out_or_repeated(self, api, atlas, north, method):
        atlas()
        city = north.cities.first()
        for body in ({"name": "left out"}, {"name": "repeated", "region": north.pk}):
            response = getattr(api, method)(f"/regions/{north.pk}/cities/{city.pk}/", body)
            assert response.status_code == 200, response.content
            assert response.json() == {"id": city.pk, "region": north.pk, **body}

    def test_rules_of_the_serializer_find_the_parent_that_the_body_left_out(self, api, atlas, north):
        seen = []

        class Ruled(serializer_of(City, "id", "region", "name")):
            def validate(self, attrs):
                seen.append(attrs["region"])
                return attrs

        atlas(city={"serializer_class": Ruled})
        city = north.cities.first()
        assert api.post(f"/regions/{north.pk}/cities/", {"name": "new"}).status_code == 201
        assert api.put(f"/regions/{north.pk}/cities/{city.pk}/", {"name": "renamed"}).status_code == 200
        assert seen == [north, north]

    def test_a_default_gives_way_to_the_url(self, api, atlas, north, south):
        field = serializers.PrimaryKeyRelatedField(queryset=Region.objects.all(), default=lambda: south)
        atlas(city={"serializer_class": serializer_of(City, "id", "region", "name", region=field)})
        city = north.cities.first()
        assert api.post(f"/regions/{north.pk}/cities/", {"name": "new"}).json()["region"] == north.pk
        assert api.put(f"/regions/{north.pk}/cities/{city.pk}/", {"name": "renamed"}).json()["region"] == north.pk

    def test_a_part_of_the_same_row_may_not_name_another_parent(self, api, atlas, north, south):
        part = serializer_of(City, "region")(source="*", required=False)
        atlas(city={"serializer_class": serializer_of(City, "id", "name", "part", part=part)})
        city = north.cities.first()
        for method, url in (
            ("post", f"/regions/{north.pk}/cities/"),
            ("patch", f"/regions/{north.pk}/cities/{city.pk}/"),
        ):
            body = {"name": "new", "part": {"region": south.pk}}
            response = getattr(api, method)(url, body, format="json")
            assert refusal(response, f"region {north.pk}") == ["region"]
            response = getattr(api, method)(url, {**body, "part": {"region": north.pk}}, format="json")
            assert response.status_code in {200, 201}
            City.objects.filter(name="new").update(name=method)
        assert not south.cities.filter(name="new").exists()

    def test_the_flat_route_still_moves_rows(self, api, serve, north, south):
        router = ExtendedSimpleRouter()
        cities = viewset_of(serializer_of(City, "id", "region", "name"))
        router.register("regions", viewset_of(serializer_of(Region, "id"))).register("cities", cities, "c", ["region"])
        router.register("cities", cities)
        serve(router.urls)
        city = north.cities.first()
        assert api.patch(f"/cities/{city.pk}/", {"region": south.pk}).status_code == 200
        assert api.patch(f"/regions/{south.pk}/cities/{city.pk}/", {"region": north.pk}).status_code == 400
        assert api.post("/cities/", {"name": "new"}).json() == {"region": ["This field is required."]}


class TestOverSeveralRelations:
    """Streets right under a region: ``city__region`` leads there, but no column of the street does."""

    @pytest.fixture(autouse=True)
    def _routes(self, serve, world):
        router = ExtendedSimpleRouter()
        router.register("regions", viewset_of(serializer_of(Region, "id"))).register(
            "streets", viewset_of(serializer_of(Street, "id", "city", "name")), "street", ["city__region"]
        )
        serve(router.urls)

    def test_a_body_that_leads_to_the_parent_is_taken(self, api, north):
        city = north.cities.first()
        response = api.post(f"/regions/{north.pk}/streets/", {"name": "new", "city": city.pk})
        assert response.status_code == 201, response.content
        assert city.streets.filter(name="new").exists()

    @pytest.mark.parametrize("named", ["a city elsewhere", "no city"])
    def test_a_body_that_does_not_is_refused_and_nothing_is_kept(self, api, north, south, named):
        body = {"name": "new", **({"city": south.cities.first().pk} if named == "a city elsewhere" else {})}
        response = api.post(f"/regions/{north.pk}/streets/", body)
        assert response.status_code == 400, response.content
        assert response.json() == {"city": [f"This does not lead to the parent that the URL names, region {north.pk}."]}
        assert not Street.objects.filter(name="new").exists()

    def test_an_update_may_not_lead_away(self, api, north, south):
        first, second = north.cities.all()
        street = first.streets.first()
        url = f"/regions/{north.pk}/streets/{street.pk}/"
        assert api.patch(url, {"city": south.cities.first().pk}).status_code == 400
        street.refresh_from_db()
        assert street.city == first
        assert api.patch(url, {"city": second.pk}).status_code == 200
        assert api.patch(url, {"name": "renamed"}).status_code == 200

    def test_a_level_in_between_implies_the_ones_above(self, api, atlas, north, django_assert_num_queries):
        atlas()
        city = north.cities.first()
        with django_assert_num_queries(3):  # region, city, insert: nothing is left to be looked up
            response = api.post(f"/regions/{north.pk}/cities/{city.pk}/streets/", {"name": "new"})
        assert response.status_code == 201


class TestManyToMany:
    @pytest.fixture
    def labelled(self, world):
        labels = [Label.objects.create(name=name) for name in ("old", "big")]
        City.objects.get(name="north-1").labels.add(labels[0])
        return labels

    @pytest.fixture
    def forward(self, serve, labelled):
        """Cities under labels: the row has the many-to-many field."""
        router = ExtendedSimpleRouter()
        router.register("labels", viewset_of(serializer_of(Label, "id", "name"))).register(
            "cities", viewset_of(serializer_of(City, "id", "region", "name", "labels")), "city", ["labels"]
        )
        serve(router.urls)

    @pytest.fixture
    def reverse(self, serve, labelled):
        """Labels under cities: the parent has the many-to-many field."""
        router = ExtendedSimpleRouter()
        router.register("cities", viewset_of(serializer_of(City, "id"))).register(
            "labels", viewset_of(serializer_of(Label, "id", "name")), "label", ["cities"]
        )
        serve(router.urls)

    def test_a_new_row_is_linked(self, api, forward, labelled, north):
        for number, named in enumerate([{}, {"labels": []}, {"labels": [label.pk for label in labelled]}]):
            body = {"name": f"new {number}", "region": north.pk, **named}
            response = api.post(f"/labels/{labelled[0].pk}/cities/", body, format="json")
            assert response.status_code == 201, response.content
            assert labelled[0] in City.objects.get(pk=response.json()["id"]).labels.all()
            assert labelled[0].pk in response.json()["labels"]

    @pytest.mark.parametrize("format_", ["json", "multipart"])
    def test_a_list_of_parents_that_may_not_be_empty_may_be_left_out(self, api, serve, labelled, north, format_):
        labels = serializers.PrimaryKeyRelatedField(many=True, queryset=Label.objects.all(), allow_empty=False)
        router = ExtendedSimpleRouter()
        router.register("labels", viewset_of(serializer_of(Label, "id"))).register(
            "cities", viewset_of(serializer_of(City, "region", "name", "labels", labels=labels)), "city", ["labels"]
        )
        serve(router.urls)
        url = f"/labels/{labelled[0].pk}/cities/"
        response = api.post(url, {"name": "new", "region": north.pk}, format=format_)
        assert response.status_code == 201, response.content
        assert response.json()["labels"] == [labelled[0].pk]
        empty = api.post(url, {"name": "other", "region": north.pk, "labels": []}, format="json")
        assert empty.json() == {"labels": ["This list may not be empty."]}

    def test_a_serializer_that_cuts_the_link_itself_is_caught_and_undone(self, api, serve, labelled, north):
        class Wilful(serializer_of(City, "name", "labels")):
            def update(self, instance, validated_data):
                return super().update(instance, {**validated_data, "labels": []})

        router = ExtendedSimpleRouter()
        router.register("labels", viewset_of(serializer_of(Label, "id"))).register(
            "cities", viewset_of(Wilful), "city", ["labels"]
        )
        serve(router.urls)
        city = north.cities.first()
        body = {"name": "new", "labels": [labelled[0].pk]}
        response = api.put(f"/labels/{labelled[0].pk}/cities/{city.pk}/", body, format="json")
        assert response.status_code == 400
        assert list(response.json()) == ["labels"]
        assert (City.objects.get(pk=city.pk).name, city.labels.count()) == ("north-1", 1)

    def test_from_the_other_side_too(self, api, reverse, north):
        city = north.cities.last()
        response = api.post(f"/cities/{city.pk}/labels/", {"name": "new"})
        assert response.status_code == 201
        assert [label.name for label in city.labels.all()] == ["new"]
        assert [row["name"] for row in api.get(f"/cities/{city.pk}/labels/").json()] == ["new"]

    def test_the_documents_models_are_linked_by_the_name_that_lookups_use(self, api, serve, db):
        router = ExtendedSimpleRouter()
        users = router.register("users", viewset_of(serializer_of(User, "id"), queryset=User.objects.all()))
        groups = users.register("groups", viewset_of(serializer_of(Group, "id", "name")), "g", ["user"])
        permissions = viewset_of(serializer_of(Permission, "id", "name", "codename", "content_type"))
        groups.register("permissions", permissions, "p", ["group__user", "group"])
        serve(router.urls)
        ann, bob = (User.objects.create(username=name) for name in ("ann", "bob"))
        group = api.post(f"/users/{ann.pk}/groups/", {"name": "new"}).json()
        assert list(ann.groups.values("id", "name")) == [group]
        body = {"name": "n", "codename": "c", "content_type": Permission.objects.first().content_type_id}
        url = f"/users/{ann.pk}/groups/{group['id']}/permissions/"
        response = api.post(url, body)
        assert response.status_code == 201, response.content
        assert Group.objects.get().permissions.get().codename == "c"
        refused = api.post(f"/users/{ann.pk}/groups/", {"name": "other", "user": [bob.pk]})
        assert refusal(refused, f"user {ann.pk}") == ["user"]
        assert api.post(f"/users/{bob.pk}/groups/{group['id']}/permissions/", body).status_code == 404

    def test_a_body_that_names_others_only_is_refused(self, api, forward, labelled, north):
        body = {"name": "new", "region": north.pk, "labels": [labelled[1].pk]}
        response = api.post(f"/labels/{labelled[0].pk}/cities/", body, format="json")
        assert refusal(response, f"label {labelled[0].pk}") == ["labels"]
        assert not City.objects.filter(name="new").exists()

    def test_an_update_may_not_cut_the_link(self, api, forward, labelled, north):
        city = north.cities.first()
        url = f"/labels/{labelled[0].pk}/cities/{city.pk}/"
        for cut in ([], [labelled[1].pk]):
            response = api.patch(url, {"labels": cut}, format="json")
            assert refusal(response, f"label {labelled[0].pk}") == ["labels"]
        assert list(city.labels.all()) == [labelled[0]]
        both = [label.pk for label in labelled]
        assert api.patch(url, {"labels": both}, format="json").json()["labels"] == both
        assert api.patch(url, {"name": "renamed"}).status_code == 200

    def test_row_and_link_are_written_both_or_neither(self, api, reverse, north, monkeypatch):
        city = north.cities.last()

        def fail(*args, **kwargs):
            raise RuntimeError("the link cannot be written")

        monkeypatch.setattr(City.labels.through._default_manager, "bulk_create", fail)
        monkeypatch.setattr(type(Label(pk=1).cities), "add", fail)
        api.raise_request_exception = False
        assert api.post(f"/cities/{city.pk}/labels/", {"name": "new"}).status_code == 500
        assert not Label.objects.filter(name="new").exists()

    def test_a_link_that_the_database_refuses_is_a_400(self, api, reverse, north, monkeypatch):
        city = north.cities.last()

        def refuse(*args, **kwargs):
            with transaction.atomic():
                raise IntegrityError

        monkeypatch.setattr(type(Label(pk=1).cities), "add", refuse)
        response = api.post(f"/cities/{city.pk}/labels/", {"name": "new"})
        assert response.status_code == 400
        assert "does not lead to the parent" in str(response.json())
        assert not Label.objects.filter(name="new").exists()


class TestUnlinkable:
    def test_a_row_that_its_parent_would_have_to_name_is_refused(self, api, serve, world, north):
        """Regions under their cities: a new region could only be linked by changing the city."""
        router = ExtendedSimpleRouter()
        router.register("cities", viewset_of(serializer_of(City, "id"))).register(
            "regions", viewset_of(serializer_of(Region, "id", "country_code", "name")), "region", ["cities"]
        )
        serve(router.urls)
        city = north.cities.first()
        assert [row["name"] for row in api.get(f"/cities/{city.pk}/regions/").json()] == ["North"]
        response = api.post(f"/cities/{city.pk}/regions/", {"country_code": "w", "name": "West"})
        assert response.status_code == 400
        assert Region.objects.count() == 2


class TestSavingAsUsual:
    """Bulk operations write all rows at once where a serializer saves as DRF does."""

    @pytest.mark.parametrize(("lookup", "rules"), [("region", StaysUnderParents), ("labels", LinksToParents)])
    def test_saving_is_touched_only_where_it_has_to_be(self, api, serve, north, lookup, rules):
        seen = []

        def perform_create(view, serializer):
            seen.append(type(serializer).__mro__[1])
            serializer.save()

        Label.objects.create(pk=north.pk, name="same key")
        model = Region if lookup == "region" else Label
        cities = viewset_of(serializer_of(City, "region", "name"), perform_create=perform_create)
        router = ExtendedSimpleRouter()
        router.register("parents", viewset_of(serializer_of(model, "id"))).register("cities", cities, "c", [lookup])
        serve(router.urls)
        assert api.post(f"/parents/{north.pk}/cities/", {"name": "new", "region": north.pk}).status_code == 201
        assert seen == [rules]
