"""Where the path of an item leads is looked up once, as long as nothing changes in between."""

import pytest
from django.http import JsonResponse
from django.urls import converters, path, register_converter
from django.utils import translation

from core.batch import handler
from tests.core.batch.conftest import get

looked_up = []


class Thing:
    """A converter that looks something up, as one that asks the database would."""

    regex = "[a-z]+"

    def to_python(self, value):
        looked_up.append(value)
        return (value, len(looked_up))

    def to_url(self, value):
        return value[0]


def tell(request, **kwargs):
    match = request.resolver_match
    return JsonResponse({"kwargs": repr(kwargs), "route": match.route, "name": match.url_name, "view": match.view_name})


def meddling(get_response):
    def middleware(request):
        return get_response(request)

    def process_view(request, view, args, kwargs):
        if "pk" in kwargs:
            kwargs["seen"] = len(kwargs)

    middleware.process_view = process_view
    return middleware


def leading_elsewhere(get_response):
    def middleware(request):
        if request.path_info == "/elsewhere/":
            request.urlconf = "tests.core.batch.test_handler"
        return get_response(request)

    return middleware


urlpatterns = [path("elsewhere/", lambda request: JsonResponse({"other": True}))]


@pytest.fixture
def resolved(monkeypatch):
    """The paths that Django looks up."""
    found = []
    original = handler.BaseHandler.resolve_request
    monkeypatch.setattr(
        handler.BaseHandler,
        "resolve_request",
        lambda self, request: found.append(request.path_info) or original(self, request),
    )
    return found


@pytest.fixture(autouse=True)
def _served(serve, served):
    if "thing" not in converters.get_converters():
        register_converter(Thing, "thing")
    looked_up.clear()
    own = [
        path("numbers/<int:pk>/", tell, name="number"),
        path("things/<thing:thing>/", tell),
        path("elsewhere/", tell),
    ]
    serve(own, served.urls)


def test_the_path_of_an_item_is_not_looked_up_twice(post, resolved):
    results = post(get("/numbers/5/"), get("/numbers/5/"), get("/numbers/6/"))
    assert [each["kwargs"] for each in map(results.json, range(3))] == ["{'pk': 5}", "{'pk': 5}", "{'pk': 6}"]
    assert results.json(0) | {"kwargs": ""} == {
        "kwargs": "",
        "route": "numbers/<int:pk>/",
        "name": "number",
        "view": "number",
    }
    assert resolved == ["/api/batch/"]


def test_what_middleware_does_to_the_arguments_of_one_item_is_not_seen_by_the_next(post, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.meddling"]
    results = post(get("/numbers/5/"), get("/numbers/5/"))
    assert results.json(0) == results.json(1)
    assert results.json(0)["kwargs"] == "{'pk': 5, 'seen': 1}"


def test_a_converter_that_looks_something_up_does_so_for_each_item(post):
    results = post(get("/things/a/"), get("/things/a/"))
    assert results.json(0)["kwargs"] != results.json(1)["kwargs"]


def test_middleware_may_lead_an_item_elsewhere(post, settings, resolved):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.leading_elsewhere"]
    assert post(get("/elsewhere/")).json(0) == {"other": True}


def test_another_language_than_that_of_the_batch_is_looked_up_anew():
    with translation.override("en"):
        route = handler.route_of("/numbers/5/")
    with translation.override("de"):
        assert route.again() is None
    with translation.override("en"):
        assert route.again().kwargs == {"pk": 5}


def test_a_path_that_leads_nowhere_is_looked_up_as_ever(post, resolved):
    assert post(get("/nowhere/")).codes == [404]
    assert resolved == ["/api/batch/", "/nowhere/"]
