"""No batch gives a caller more than the same requests alone; every rule has an error that names the item."""

import importlib
import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

import core.urls
from polls.models import Question
from tests.core.batch.conftest import get, write

pytestmark = pytest.mark.django_db


class TestLimits:
    def test_a_batch_has_at_most_fifty_items(self, post, refused, served):
        assert len(post(*[get("/healthz")] * 50)) == 50
        assert refused(*[get("/healthz")] * 51) == {"batch": ["A batch has at most 50 items; this one has 51."]}

    def test_the_limit_is_a_setting(self, refused, settings):
        settings.CORE = {"BATCH": {"MAX_REQUESTS": 2}}
        assert "at most 2" in refused(*[get("/healthz")] * 3)["batch"][0]

    @pytest.mark.parametrize("format_", ["json", "multipart"])
    def test_a_body_that_is_too_large_is_refused_before_it_is_read(self, api, served, settings, format_):
        settings.CORE = {"BATCH": {"MAX_BODY_SIZE": 1000}}
        data = {"batch": json.dumps([get("/echo/")]), "f": SimpleUploadedFile("f", b"x" * 1000)}
        if format_ == "json":
            data = {"batch": [write("/echo/", "x" * 1000)]}
        response = api.post("/api/batch/", data, format=format_)
        assert response.status_code == 400
        assert "at most 1000 bytes" in response.json()["batch"][0]
        assert served.calls == []


class TestWhatMayNotBeBatched:
    @pytest.mark.parametrize(
        "url",
        [
            "/api/batch/",
            "/api/token/",
            "/api/auth/login/",
            "/admin/login/",
            "/api/batch/?a=1",
            "/api/%62atch/",
            "/api/t%6Fken/",
        ],
    )
    def test_the_batch_the_token_and_the_login_pages_are_refused(self, refused, url):
        errors = refused(get("/healthz"), write(url))
        assert errors["batch"][0] == {}
        assert "batch" in errors["batch"][1]["relative_url"][0]

    @pytest.mark.parametrize("url", ["/api/batch/", "/other/", "/login/"])
    def test_wherever_it_is_mounted(self, refused, served, url):
        assert refused(write(url, {"batch": []}))["batch"][0]["relative_url"]

    @pytest.mark.parametrize(("part", "url"), [("batch", "/api/batch/"), ("token", "/api/token/")])
    def test_a_reference_does_not_lead_there_either(self, post, part, url, author):
        client = APIClient()
        client.force_authenticate(author)
        results = post(
            write("/api/questions/", {"question_text": part}, name="q"),
            write("/api/{result=q:$.question_text}/", {"batch": [], "username": "author", "password": "x"}),
            client=client,
        )
        assert results.codes == [201, 400]
        assert "batch" in results.json(1)["detail"]

    def test_names_of_routes_and_beginnings_of_paths_are_a_setting(self, post, refused, served, settings):
        settings.CORE = {"BATCH": {"EXCLUDE": ["password_reset", "/ech"]}}
        for url in ("/accounts/reset/", "/echo/"):
            assert refused(get(url))["batch"][0]["relative_url"] == [f"{url} cannot be batched; call it by itself."]
        assert post(get("/login/")).codes == [200]

    def test_what_middleware_leads_to_an_excluded_view_is_stopped_before_it(self, post, served, settings):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.diverting"]
        results = post(get("/echo/"))
        assert results.codes == [400]
        assert "cannot be batched" in results.json(0)["detail"]

    def test_guesses_at_a_password_cannot_be_batched(self, refused, author):
        guesses = [write("/api/token/", {"username": "author", "password": f"guess {number}"}) for number in range(50)]
        assert all(each["relative_url"] for each in refused(*guesses)["batch"])


def diverting(get_response):
    def middleware(request):
        if request.path_info == "/echo/":
            request.path_info = "/login/"
        return get_response(request)

    return middleware


class TestHeaders:
    @pytest.mark.parametrize(
        "name",
        [
            *("remote_user", "REMOTE_USER", "Remote-User", "Host", "X-Forwarded-For", "Authorization", "Cookie"),
            *("Content-Length", "Transfer-Encoding", "Origin", "Referer", "X-CSRFToken"),
        ],
    )
    def test_an_item_cannot_set_who_asks_and_from_where(self, refused, served, name):
        errors = refused(get("/echo/"), get("/echo/", headers={name: "root"}))
        assert list(errors["batch"][1]) == ["headers"]
        assert served.calls == []

    def test_nobody_becomes_another_by_an_item(self, post, refused, served, author, stranger):
        """At the peer an item's Authorization made the next one run as that user."""
        tokens = [f"Token {Token.objects.create(user=user).key}" for user in (author, stranger)]
        assert refused(get("/echo/", headers={"Authorization": tokens[0]}))
        results = post(get("/echo/"), get("/echo/"), headers={"Authorization": tokens[1]})
        assert [results.json(number)["user"] for number in (0, 1)] == ["stranger", "stranger"]

    def test_a_project_may_name_more_of_the_callers_headers(self, post, refused, served, settings):
        settings.CORE = {"BATCH": {"INHERIT_HEADERS": ["X-Api-Key"]}}
        assert post(get("/echo/"), headers={"X-Api-Key": "k"}).json(0)["headers"]["X-Api-Key"] == "k"
        assert refused(get("/echo/", headers={"x-api-key": "other"}))

    def test_the_header_for_csrf_of_the_project_is_the_callers(self, post, refused, served, settings):
        settings.CSRF_HEADER_NAME = "HTTP_X_XSRF_TOKEN"
        assert post(get("/echo/"), headers={"X-XSRF-Token": "t"}).json(0)["headers"]["X-Xsrf-Token"] == "t"
        assert refused(get("/echo/", headers={"X-XSRF-Token": "t"}))


class TestCSRF:
    @pytest.fixture
    def browser(self, author):
        client = Client(enforce_csrf_checks=True)
        client.force_login(author)
        client.get("/")
        return client

    def test_a_session_needs_the_token_for_any_content_type(self, browser):
        items = json.dumps([write("/api/questions/", {"question_text": "Why?"})])
        for content_type in (
            "application/json",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/csp-report",
        ):
            response = browser.post("/api/batch/", f'{{"batch": {items}}}', content_type=content_type)
            assert response.status_code == 403
        assert browser.post("/api/batch/", {"batch": items}).status_code == 403
        assert not Question.objects.exists()

    def test_with_the_token_the_batch_and_its_items_pass(self, browser, post):
        headers = {"X-CSRFToken": browser.cookies["csrftoken"].value}
        item = write("/api/questions/", {"question_text": "Why?"})
        assert post(item, client=browser, headers=headers).codes == [201]

    def test_a_token_in_the_form_lets_the_batch_pass_and_no_item(self, browser):
        token = browser.cookies["csrftoken"].value
        items = [write("/api/questions/", {"question_text": "Why?"}), get("/api/questions/")]
        response = browser.post("/api/batch/", {"batch": json.dumps(items), "csrfmiddlewaretoken": token})
        assert [each["code"] for each in response.json()] == [403, 200]

    def test_an_item_is_checked_as_it_would_be_alone(self, post, served, author):
        """The batch of a caller with a token asks for nothing; an item that lives on the session does."""
        client = Client(enforce_csrf_checks=True)
        client.force_login(author)
        headers = {"Authorization": f"Token {Token.objects.create(user=author).key}"}
        assert client.post("/plain_post/").status_code == 403
        assert post(write("/plain_post/"), write("/echo/"), client=client, headers=headers).codes == [403, 200]

    def test_another_origin_is_refused(self, browser):
        headers = {"X-CSRFToken": browser.cookies["csrftoken"].value, "Origin": "https://evil.example"}
        response = browser.post("/api/batch/", '{"batch": []}', content_type="application/json", headers=headers)
        assert response.status_code == 403


class TestPermissions:
    def test_anonymous_callers_batch_what_they_may_call(self, post, question):
        choice = question.choices.first()
        results = post(
            get("/api/questions/"),
            write("/api/questions/", {"question_text": "x"}),
            write(f"/api/choices/{choice.pk}/vote/"),
        )
        assert results.codes == [200, 401, 200]

    def test_what_a_caller_may_not_see_stays_hidden(self, post, api, stranger, hidden_question):
        api.force_authenticate(stranger)
        assert post(get(f"/api/questions/{hidden_question.pk}/")).codes == [404]

    def test_a_wrong_token_is_refused_as_anywhere(self, api):
        response = api.post("/api/batch/", {"batch": []}, format="json", headers={"Authorization": "Token nonsense"})
        assert response.status_code == 401


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"5", b"null", b'{"batch": 5}', b'{"batch": [5]}', b"[" * 50, b"\xff", b'{"batch": [NaN]}']
)
def test_what_is_no_batch_is_400(api, body):
    assert api.post("/api/batch/", body, content_type="application/json").status_code == 400


def test_json_without_end_is_400(api):
    assert api.post("/api/batch/", b"[" * 200_000, content_type="application/json").status_code == 400


def test_a_refused_batch_runs_nothing(refused, served):
    errors = refused(write("/echo/"), get("/echo/", depends_on="nobody"))
    assert errors == {"batch": [{}, {"depends_on": ["No item has the name 'nobody'."]}]}
    assert served.calls == []


def test_with_the_toggle_off_the_route_is_gone(api, settings):
    try:
        settings.CORE = {"BATCH": {"ENABLED": False}}
        assert importlib.reload(core.urls).urlpatterns == []
    finally:
        settings.CORE = {}
        importlib.reload(core.urls)
    assert [each.name for each in core.urls.urlpatterns] == ["batch"]
