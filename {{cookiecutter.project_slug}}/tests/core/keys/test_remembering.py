"""Remembered keys are those that the bits give, whatever the request is made of."""

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import override_settings
from django.utils import timezone, translation
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from core.keys import DefaultKeyConstructor, bits, default_cache_key_func, remembering
from core.keys.constructors import SharedKeyConstructor
from core.keys.functions import shared_cache_key_func
from core.keys.remembering import RememberingKeyConstructor

factory = APIRequestFactory()


class One(APIView):
    def get(self, request):
        """Answers."""


class Other(APIView):
    def get(self, request):
        """Answers."""


USERS = [AnonymousUser(), User(pk=1, username="a"), User(pk=1, username="b"), User(pk=2, username="a", is_staff=True)]
FEW = {
    "path": st.sampled_from(["/", "/a/"]),
    "query": st.sampled_from(["", "n=a", "n=a&n=b", "n=a,+b", "m=a", "n="]),
    "host": st.sampled_from(["testserver", "localhost"]),
    "secure": st.booleans(),
    "format": st.sampled_from(["json", "xml", None]),
    "media_type": st.sampled_from(["application/json", "application/json; indent=2", None]),
    "version": st.sampled_from([None, "1", 1]),
    "user": st.integers(0, len(USERS) - 1),
    "language": st.sampled_from(["en", "de"]),
    "zone": st.sampled_from(["UTC", "Europe/Berlin"]),
    "args": st.lists(st.sampled_from(["1", 1, None, "None"]), max_size=2),
    "kwargs": st.dictionaries(st.sampled_from(["pk", "id"]), st.sampled_from(["1", 1, None, "None"]), max_size=2),
    "view": st.sampled_from([One, Other]),
    "looked": st.booleans(),
}


def key(func, given_):
    plain = factory.get(given_["path"], QUERY_STRING=given_["query"], secure=given_["secure"], HTTP_HOST=given_["host"])
    if given_["looked"]:
        assert plain.GET is not None
    request = Request(plain)
    request.user, request.version = USERS[given_["user"]], given_["version"]
    request.accepted_media_type = given_["media_type"]
    request.accepted_renderer = type("Renderer", (), {"format": given_["format"]}) if given_["format"] else None
    view = given_["view"]
    with translation.override(given_["language"]), timezone.override(given_["zone"]):
        return func(
            request=request, view_instance=view(), view_method=view.get, args=given_["args"], kwargs=given_["kwargs"]
        )


@pytest.mark.parametrize(
    ("remembering_func", "plain_func"),
    [(default_cache_key_func, DefaultKeyConstructor()), (shared_cache_key_func, SharedKeyConstructor())],
)
@given(requests=st.lists(st.fixed_dictionaries(FEW), min_size=1, max_size=12))
def test_a_remembered_key_is_the_one_that_the_bits_give(remembering_func, plain_func, requests):
    """Asked in any order, and more than once."""
    for each in (*requests, *requests):
        assert key(remembering_func, each) == key(plain_func, each)


@pytest.fixture
def usual():
    return {
        "path": "/",
        "query": "",
        "host": "testserver",
        "secure": False,
        "format": "json",
        "media_type": "a/b",
        "version": None,
        "user": 0,
        "language": "en",
        "zone": "UTC",
        "args": [],
        "kwargs": {},
        "view": One,
        "looked": False,
    }


def test_bits_that_are_altered_later_count(usual):
    """As they may be in ``__init__``."""

    class Own(RememberingKeyConstructor):
        def __init__(self):
            super().__init__()
            self.bits["header"] = bits.RequestMetaKeyBit(["REMOTE_ADDR"])

    assert key(Own(), usual) != key(default_cache_key_func, usual)
    assert not Own().is_untouched


def test_what_settings_make_of_a_host_counts(usual):
    """The same headers name another host after a change of the settings."""
    plain = factory.get("/", HTTP_X_FORWARDED_HOST="localhost")
    request = Request(plain)
    request.user = AnonymousUser()
    before = shared_cache_key_func(request=request, view_instance=One(), view_method=One.get)
    with override_settings(USE_X_FORWARDED_HOST=True):
        assert shared_cache_key_func(request=request, view_instance=One(), view_method=One.get) != before


def test_memory_is_bounded(usual, monkeypatch):
    monkeypatch.setattr(remembering, "REMEMBERED", 3)
    remembering._keys.clear()
    for number in range(10):
        key(default_cache_key_func, {**usual, "query": f"n={number}"})
    assert len(remembering._keys) <= 3
