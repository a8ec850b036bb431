"""Callers as plain data, and the requests that are made for them."""

import json

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import DisallowedHost
from django.test import RequestFactory
from django.utils import translation
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from core.callers import Caller, CallerGoneError


class Mirror(APIView):
    permission_classes = (IsAuthenticated,)

    def post(self, request):
        user = request.user.get_username()
        return Response(
            {"user": user, "data": request.data, "url": request.build_absolute_uri(), "q": request.GET["q"]}
        )


def scope(**headers):
    return {
        "type": "websocket",
        "scheme": "ws",
        "user": AnonymousUser(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }


def test_a_caller_is_the_same_after_a_journey_through_json():
    caller = Caller("7", "example.com:8000", "https", "de")
    assert Caller.from_data(json.loads(json.dumps(caller.as_data()))) == caller


def test_the_request_and_the_socket_of_one_page_make_the_same_caller():
    request = RequestFactory().get("/", headers={"host": "testserver", "accept-language": "de"})
    request.user = AnonymousUser()
    with translation.override("de"):
        assert Caller.of_request(request) == Caller.of_scope(scope(host="testserver", accept_language="de"))


def test_a_language_chosen_by_cookie_holds_on_the_socket():
    assert Caller.of_scope(scope(host="testserver", cookie="django_language=fr", accept_language="de")).language == "fr"


def test_a_secure_socket_makes_secure_addresses():
    assert Caller.of_scope({**scope(host="testserver"), "scheme": "wss"}).scheme == "https"


def test_a_host_that_is_not_this_sites_is_refused():
    with pytest.raises(DisallowedHost):
        Caller.of_scope(scope(host="evil.example"))


@pytest.mark.django_db
def test_a_request_of_a_caller_is_theirs_without_cookie_or_token():
    user = User.objects.create_user("ada")
    caller = Caller(str(user.pk), "testserver:8000", "https", "en")
    request = caller.request("POST", "/api/x/", "q=a%20b", user=caller.user(), body=b'{"a": [1]}', address="10.0.0.7")
    assert not request.COOKIES
    assert "HTTP_AUTHORIZATION" not in request.META
    assert request.META["REMOTE_ADDR"] == "10.0.0.7"
    assert Mirror.as_view()(request).data == {
        "user": "ada",
        "data": {"a": [1]},
        "url": "https://testserver:8000/api/x/?q=a%20b",
        "q": "a b",
    }


@pytest.mark.django_db
class TestUser:
    def test_an_anonymous_caller_costs_no_query(self, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert Caller(None, "", "http", "").user().is_anonymous

    def test_it_is_the_one_the_database_has_now(self, django_assert_num_queries):
        user = User.objects.create_user("ada")
        caller = Caller(str(user.pk), "", "http", "")
        User.objects.filter(pk=user.pk).update(is_staff=True)
        with django_assert_num_queries(1):
            assert caller.user().is_staff

    def test_one_who_was_deactivated_or_deleted_is_gone(self):
        user = User.objects.create_user("ada", is_active=False)
        caller = Caller(str(user.pk), "", "http", "")
        with pytest.raises(CallerGoneError, match=f"User {user.pk}"):
            caller.user()
        user.delete()
        with pytest.raises(CallerGoneError):
            caller.user()
