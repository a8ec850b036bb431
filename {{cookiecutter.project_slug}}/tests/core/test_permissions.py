"""Object permissions, which may say "forbidden" instead of "not found"."""

import pytest
from django.contrib.auth.models import Permission
from guardian.shortcuts import assign_perm
from rest_framework.permissions import DjangoObjectPermissions
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ModelViewSet

from core.permissions import ExtendedDjangoObjectPermissions
from tests.nesting_app.api import serializer_of
from tests.nesting_app.models import Label

FORBIDDEN = (403, {"detail": "You do not have permission to perform this action."})


class Reading:
    """Asks for a permission to read, which the usual classes give to everybody."""

    perms_map = {**DjangoObjectPermissions.perms_map, "GET": ["%(app_label)s.view_%(model_name)s"]}


class Usual(Reading, DjangoObjectPermissions):
    pass


class Extended(Reading, ExtendedDjangoObjectPermissions):
    pass


class NotHiding(Reading, ExtendedDjangoObjectPermissions):
    hide_forbidden_for_read_objects = False


class NotHidingFromAnybody(NotHiding):
    authenticated_users_only = False

    def has_permission(self, request, view):
        return True


@pytest.fixture
def label(db):
    return Label.objects.create(name="Mine")


@pytest.fixture
def with_guardian(settings):
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, "guardian.backends.ObjectPermissionBackend"]


@pytest.fixture
def caller(api, stranger, with_guardian):
    """May do everything with labels in general, nothing with any in particular."""
    stranger.user_permissions.set(Permission.objects.filter(content_type__app_label="nesting"))
    api.force_authenticate(stranger)
    return stranger


@pytest.fixture
def ask(api, serve, label):
    """Returns a function that asks for the label with each method, under the permission class it is given."""

    def ask_under(permission_class):
        router = SimpleRouter()
        viewset = type(
            "LabelViewSet",
            (ModelViewSet,),
            {
                "queryset": Label.objects.all(),
                "serializer_class": serializer_of(Label, "id", "name"),
                "permission_classes": (permission_class,),
            },
        )
        router.register("labels", viewset)
        serve(router.urls)
        url = f"/labels/{label.pk}/"
        found = {}
        for method in ("get", "put", "delete"):
            response = getattr(api, method)(url, {"name": "Ours"} if method == "put" else None)
            found[method] = (response.status_code, response.json() if response.content else None)
        return found

    return ask_under


HIDDEN = (404, {"detail": "Not found."})


def test_by_default_it_hides_what_the_caller_may_not_read(ask, caller):
    expected = {"get": HIDDEN, "put": HIDDEN, "delete": HIDDEN}
    assert ask(Usual) == expected
    assert ask(Extended) == expected


def test_hiding_can_be_switched_off(ask, caller):
    assert ask(NotHiding) == {"get": FORBIDDEN, "put": FORBIDDEN, "delete": FORBIDDEN}


def test_who_has_not_logged_in_is_told_to(ask, with_guardian):
    unauthorized = (401, {"detail": "Authentication credentials were not provided."})
    assert ask(NotHidingFromAnybody) == {"get": unauthorized, "put": unauthorized, "delete": unauthorized}


@pytest.mark.parametrize("permission_class", [Usual, Extended, NotHiding])
def test_who_may_read_but_not_write_is_told_so(ask, caller, label, permission_class):
    assign_perm("view_label", caller, label)
    found = ask(permission_class)
    assert found["get"] == (200, {"id": label.pk, "name": "Mine"})
    assert (found["put"], found["delete"]) == (FORBIDDEN, FORBIDDEN)


@pytest.mark.parametrize("permission_class", [Usual, Extended, NotHiding])
def test_who_has_the_permissions_gets_through(ask, caller, label, permission_class):
    for name in ("view", "change", "delete"):
        assign_perm(f"{name}_label", caller, label)
    assert {method: status for method, (status, _) in ask(permission_class).items()} == {
        "get": 200,
        "put": 200,
        "delete": 204,
    }


def test_it_is_safe_to_replace_the_usual_class(ask, caller):
    # Without a permission to read in the map nobody needs one.
    assert ask(DjangoObjectPermissions) == ask(ExtendedDjangoObjectPermissions)
