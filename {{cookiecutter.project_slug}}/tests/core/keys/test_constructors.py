"""Key constructors: declaration, params, memory, and what each key tells apart."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework import views
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from core.keys import (
    DefaultKeyConstructor,
    DefaultListKeyConstructor,
    DefaultObjectKeyConstructor,
    KeyConstructor,
    bits,
)
from core.keys.bits import KeyBitBase

factory = APIRequestFactory()


class View(views.APIView):
    def get(self, request):
        """Answers."""


def request_for(path="/", **headers):
    request = Request(factory.get(path, **headers))
    request.accepted_renderer = type("Renderer", (), {"format": "json"})
    return request


def data(constructor, request=None, view=None, *args, **kwargs):
    view = View() if view is None else view
    request = request_for() if request is None else request
    given = {"view_instance": view, "view_method": View.get, "request": request, "args": args, "kwargs": kwargs}
    return constructor.get_data_from_bits(**given)


def test_the_documents_city_constructors_inherit_bits_and_add_some():
    """``CityHeadKeyConstructor`` has the bits of ``CityGetKeyConstructor`` and its own."""

    class CityGetKeyConstructor(KeyConstructor):
        unique_method_id = bits.UniqueMethodIdKeyBit()
        format = bits.FormatKeyBit()
        language = bits.LanguageKeyBit()

    class CityHeadKeyConstructor(CityGetKeyConstructor):
        user = bits.UserKeyBit()
        request_meta = bits.RequestMetaKeyBit(params=["REMOTE_ADDR"])

    assert data(CityGetKeyConstructor()) == {
        "unique_method_id": f"{__name__}.View.get",
        "format": "json",
        "language": translation.get_language(),
    }
    assert data(CityHeadKeyConstructor()) == {
        **data(CityGetKeyConstructor()),
        "user": "anonymous",
        "request_meta": {"REMOTE_ADDR": "127.0.0.1"},
    }


def test_a_bit_is_taken_away_by_none():
    """As a field of a form is."""

    class Shorter(DefaultKeyConstructor):
        user = None

    assert "user" not in Shorter().bits
    assert "user" in DefaultKeyConstructor().bits


def test_params_of_a_constructor_win_over_those_of_its_bits():
    """``CityKeyConstructor(params={'geoip': ['GEOIP_COUNTRY']})``, as the document has it."""

    class CityKeyConstructor(KeyConstructor):
        geoip = bits.RequestMetaKeyBit(params=["GEOIP_CITY"])

    request = request_for(GEOIP_CITY="Rome", GEOIP_COUNTRY="Italy")
    assert data(CityKeyConstructor(), request) == {"geoip": {"GEOIP_CITY": "Rome"}}
    assert data(CityKeyConstructor(params={"geoip": ["GEOIP_COUNTRY"]}), request) == {
        "geoip": {"GEOIP_COUNTRY": "Italy"}
    }


def test_bits_may_be_altered_when_a_constructor_is_made():
    """One instance gets a bit, its class and others do not."""

    class CustomKeyConstructor(KeyConstructor):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.bits["geoip"] = bits.RequestMetaKeyBit(params=["GEOIP_CITY"])

    assert data(CustomKeyConstructor(), request_for(GEOIP_CITY="Rome")) == {"geoip": {"GEOIP_CITY": "Rome"}}
    assert CustomKeyConstructor.base_bits == {}


def test_a_bit_of_ones_own_needs_no_params_in_its_signature():
    """It gets the five arguments that the document names."""

    class Explicit(KeyBitBase):
        def get_data(self, view_instance, view_method, request, args, kwargs):
            return [type(view_instance).__name__, view_method.__name__, *args, *kwargs]

    class Constructor(KeyConstructor):
        explicit = Explicit()

    assert data(Constructor(), None, None, "a", b=1) == {"explicit": ["View", "get", "a", "b"]}


def test_memoizing_works_a_key_out_once_for_each_request():
    """The second call with the same request is answered from memory, another request is worked out."""
    calls = []

    class Counting(KeyBitBase):
        def get_data(self, **kwargs):
            calls.append(kwargs["request"])
            return len(calls)

    class Constructor(KeyConstructor):
        counting = Counting()

    constructor = Constructor(memoize_for_request=True)
    one, other = request_for(), request_for()
    assert constructor(request=one) == constructor(request=one) != constructor(request=other)
    assert len(calls) == 2
    assert constructor(request=one, args=["x"]) != constructor(request=one)
    forgetful = Constructor()
    assert forgetful(request=one) != forgetful(request=one)


def test_memoizing_is_safe_among_threads():
    """One constructor serves all threads; each request has its own key, however often it is asked for."""

    class Constructor(KeyConstructor):
        query = bits.QueryParamsKeyBit()

    constructor = Constructor(memoize_for_request=True)

    def ask(number):
        request = request_for(f"/?n={number}")
        return {constructor(request=request) for _ in range(20)}

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(40)))
    assert {len(keys) for keys in found} == {1}
    assert len(set().union(*found)) == 40
    assert found == [{Constructor()(request=request_for(f"/?n={number}"))} for number in range(40)]


def test_a_key_is_the_md5_of_the_json_of_all_data_where_md5_may_not_keep_secrets(monkeypatch):
    """On systems that forbid it for security the key is built all the same."""

    class Constructor(KeyConstructor):
        format = bits.FormatKeyBit()
        query = bits.QueryParamsKeyBit()

    expected = hashlib.md5(json.dumps({"format": "json", "query": {"n": ["1"]}}, separators=(",", ":")).encode())
    standing = hashlib.md5

    def md5(*args, usedforsecurity=True):
        assert not usedforsecurity
        return standing(*args, usedforsecurity=False)

    monkeypatch.setattr(hashlib, "md5", md5)
    assert Constructor()(request=request_for("/?n=1")) == expected.hexdigest()


def test_memoizing_may_be_the_default(settings):
    """``DEFAULT_KEY_CONSTRUCTOR_MEMOIZE_FOR_REQUEST`` is read when a key is asked for."""
    calls = []

    class Counting(KeyBitBase):
        def get_data(self, **kwargs):
            calls.append(1)

    class Constructor(KeyConstructor):
        counting = Counting()

    constructor, request = Constructor(), request_for()
    settings.CORE = {"CACHING": {"DEFAULT_KEY_CONSTRUCTOR_MEMOIZE_FOR_REQUEST": True}}
    constructor(request=request)
    constructor(request=request)
    assert len(calls) == 1
    forgetful = Constructor(memoize_for_request=False)
    forgetful(request=request)
    forgetful(request=request)
    assert len(calls) == 3


def test_the_default_constructors_have_the_bits_of_the_document():
    """And the safe ones besides."""
    safe = {"media_type", "user", "time_zone", "version", "location", "args", "kwargs", "query_params"}
    assert DefaultKeyConstructor().bits.keys() == {"unique_method_id", "format", "language"} | safe
    assert "retrieve_sql_query" in DefaultObjectKeyConstructor().bits
    assert {"list_sql_query", "pagination"} <= DefaultListKeyConstructor().bits.keys()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/?n=a&n=b", "/?n=b"),
        ("/?n=a&n=b", "/?n=a,+b"),
        ("/?c=at", "/?ca=t"),
        ("/?a=1", "/?a=1&a=1"),
        ("/?a=", "/"),
        ("/x/", "/y/"),
    ],
)
def test_requests_that_differ_in_their_url_have_different_keys(one, other):
    """Repeated parameters, joined values and shifted borders included."""
    constructor = DefaultKeyConstructor()
    keys = {constructor(request=request_for(path), view_instance=View(), view_method=View.get) for path in (one, other)}
    assert len(keys) == 2


@settings(max_examples=60, deadline=None)
@given(
    one=st.lists(st.tuples(st.text("ab&=", max_size=3), st.text('ab",\\é', max_size=3)), max_size=3),
    other=st.lists(st.tuples(st.text("ab&=", max_size=3), st.text('ab",\\é', max_size=3)), max_size=3),
)
def test_keys_are_the_same_only_for_the_same_parameters(one, other):
    """Whatever names and values are made of."""
    from django.http import QueryDict

    def query(pairs):
        found = QueryDict(mutable=True)
        for name, value in pairs:
            found.appendlist(name, value)
        return found

    class Constructor(KeyConstructor):
        query = bits.QueryParamsKeyBit()

    def key(pairs):
        request = request_for()
        request._request.GET = query(pairs)
        return Constructor()(request=request)

    same = list(query(one).lists()) == list(query(other).lists())
    assert (key(one) == key(other)) is same
