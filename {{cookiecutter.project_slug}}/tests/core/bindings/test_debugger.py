"""The page to try the socket by hand."""

import json
import re

import pytest
from django.urls import path
from rest_framework import serializers

from core.bindings import ResourceBinding
from core.bindings.debugger import DebuggerView, as_data, example_of
from core.bindings.streams import declared, described
from core.bindings.urls import debugger_urls

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client, settings, serve):
    from config.urls import urlpatterns

    settings.DEBUG = True
    serve([path("debugger/", DebuggerView.as_view(), name="debugger")], urlpatterns)
    return lambda: client.get("/debugger/")


def test_there_is_a_page_while_debugging(page):
    response = page()
    assert response.status_code == 200
    text = response.content.decode()
    shown = json.loads(re.search(r'<script id="streams" type="application/json">(.*?)</script>', text)[1])
    streams = {stream["name"]: stream["actions"] for stream in shown}
    assert list(streams) == sorted(declared())
    create = next(action for action in streams["questions"] if action["name"] == "create")
    assert create == {"name": "create", "pk": False, "data": {"question_text": "Question", "published": True}}
    vote = next(action for action in streams["choices"] if action["name"] == "vote")
    assert vote == {"name": "vote", "pk": True, "data": {}}
    assert streams["choices"][-2]["name"] == "subscribe"


def test_nothing_comes_from_another_host_and_no_script_stands_in_the_page(page):
    text = page().content.decode()
    addresses = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert addresses
    assert all(each.startswith(("/", "data:")) for each in addresses)
    assert not re.search(r"<script(?![^>]*(src=|application/json))", text)
    assert not re.search(r"\son\w+=|style=", text)


def test_without_debug_there_is_no_page(page, settings):
    settings.DEBUG = False
    assert page().status_code == 404
    assert debugger_urls() == []


def test_without_the_feature_there_is_no_page(page, bindings_settings):
    assert len(debugger_urls()) == 1
    bindings_settings(ENABLED=False)
    assert page().status_code == 404
    assert debugger_urls() == []


@pytest.mark.parametrize(
    "field",
    [
        serializers.BooleanField(),
        serializers.IntegerField(),
        serializers.FloatField(),
        serializers.DecimalField(max_digits=5, decimal_places=2),
        serializers.DateTimeField(),
        serializers.DateField(),
        serializers.EmailField(),
        serializers.URLField(),
        serializers.UUIDField(),
        serializers.ChoiceField(choices=["a", "b"]),
        serializers.MultipleChoiceField(choices=["a", "b"]),
        serializers.CharField(label="A title"),
        serializers.ListField(),
        serializers.DictField(),
    ],
)
def test_an_example_is_something_that_the_field_takes(field):
    assert field.run_validation(example_of(field)) is not None


def test_a_stream_without_actions_is_shown_all_the_same():
    class Empty(ResourceBinding):
        pass

    (stream,) = described({"empty": Empty})
    assert as_data(stream) == {"name": "empty", "model": "", "actions": []}
