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

    def test_how_many_references_there_may_be_and_what_they_may_cost_are_settings(
        self, post, refused, served, settings
    ):
        made = write("/echo/", {"rows": list(range(100))}, name="a")
        items = [made, *[get("/echo/?x={result=a:$.data.rows.*}")] * 3]
        assert post(*items).codes == [200] * 4
        settings.CORE = {"BATCH": {"MAX_REFERENCE_STEPS": 250}}
        results = post(*items)
        assert results.codes == [200, 200, 424, 424]  # all of them share what there is
        assert "takes too long" in results.json(2)["detail"]
        settings.CORE = {"BATCH": {"MAX_REFERENCES": 2}}
        assert refused(*items) == {"batch": ["A batch has at most 2 references; this one has 3."]}

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

    def test_a_file_is_not_sent_again_and_again_in_one_item(self, api, served, settings):
        """It came once, and would be read as often as it is attached."""
        settings.CORE = {"BATCH": {"MAX_BODY_SIZE": 5000}}

        def send(*items):
            file = SimpleUploadedFile("a", b"x" * 1000)
            return api.post("/api/batch/", {"batch": json.dumps(items), "a": file}, format="multipart")

        many = {f"f{number}": "a" for number in range(6)}
        response = send(get("/echo/"), write("/echo/", attached_files=many))
        assert response.status_code == 400
        message = "An item has at most 5000 bytes of files; these have 6000."
        assert response.json() == {"batch": [{}, {"attached_files": [message]}]}
        assert served.calls == []
        enough = dict(list(many.items())[:5])
        response = send(write("/echo/", attached_files=enough), write("/echo/", attached_files=enough))
        assert [each["code"] for each in response.json()] == [200, 200]


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
    def names():
        return [each.name for each in importlib.reload(core.urls).urlpatterns]

    try:
        settings.CORE = {"BATCH": {"ENABLED": False}}
        assert "batch" not in names()
    finally:
        settings.CORE = {}
        assert "batch" in names()


class TestTricks:
    """What has been tried, or might be."""

    @pytest.mark.parametrize(
        "url",
        [
            *("/api/token;x=1/", "/API/token/", "/api/token//", "/api//token/", "/api/\uff54oken/", "/api/token/%20"),
            *("/api/%2574oken/", "/api/token/..%3b/", "/static/..%3B/api/token/", "/%c0%ae%c0%ae/api/token/"),
        ],
    )
    def test_another_spelling_of_an_excluded_path_leads_nowhere(self, post, author, url):
        login = {"username": "author", "password": "author-password"}
        assert post(write(url, login)).codes == [404]

    def test_a_path_without_its_last_slash_does_not_lead_to_a_batch(self, api, post):
        api.raise_request_exception = False
        for item in (get("/api/batch"), get("/api/token")):
            (result,) = post(item)
            assert result["code"] in {301, 404, 405}

    def test_a_redirect_to_an_excluded_path_is_not_followed(self, post, served):
        results = post(get("/redirect/?to=/login/", name="r"), get("/echo/?u={result=r:$headers.Location}"))
        assert results.codes == [302, 200]
        assert all(call.startswith("/echo/?u=") for call in served.calls)

    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "GET", "DELETE"])
    def test_a_body_where_none_belongs_harms_nobody(self, post, served, method):
        results = post({"method": method, "relative_url": "/echo/", "body": {"a": 1}}, get("/echo/"))
        assert results[1]["code"] == 200
        assert results.json(1)["data"] == {}
        assert (results[0]["body"] == "") == (method == "HEAD")

    def test_the_last_of_two_equal_keys_counts_and_is_judged(self, api, served):
        """What JSON leaves open is settled before anything is judged."""
        body = '{"batch": [{"method": "GET", "relative_url": "/echo/", "relative_url": "/login/"}]}'
        response = api.post("/api/batch/", body, content_type="application/json")
        assert response.status_code == 400
        assert served.calls == []

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
    def test_a_batch_that_is_not_in_utf_8_is_refused(self, api, served, encoding):
        body = '{"batch": [{"method": "GET", "relative_url": "/echo/?\u00e9"}]}'.encode(encoding)
        assert api.post("/api/batch/", body, content_type="application/json").status_code == 400
        assert served.calls == []

    @pytest.mark.parametrize("depth", [102, 500, 5000, 100_000])
    def test_what_is_nested_too_deeply_is_refused(self, api, served, depth):
        body = f'{{"batch": [{{"method": "POST", "relative_url": "/echo/", "body": {"[" * depth}{"]" * depth}}}]}}'
        assert api.post("/api/batch/", body, content_type="application/json").status_code == 400
        assert served.calls == []

    def test_all_files_of_one_part_go_together_and_a_field_may_have_the_same_name(self, api, served):
        item = write("/echo/", {"f": "text"}, attached_files={"f": "f", "g": "f"})
        files = [SimpleUploadedFile("a", b"1"), SimpleUploadedFile("b", b"2")]
        (result,) = api.post("/api/batch/", {"batch": json.dumps([item]), "f": files}, format="multipart").json()
        echoed = json.loads(result["body"])
        assert {key: [name for name, *_ in found] for key, found in echoed["files"].items()} == {
            "f": ["a", "b"],
            "g": ["a", "b"],
        }

    def test_names_of_fields_and_files_cannot_add_a_part(self, api, served):
        item = write("/echo/", {'x"\r\nY: 1\r\n\r\n--z': "v"}, attached_files={"f": "f"})
        file = SimpleUploadedFile('a";x="', b"1", "text/plain")
        (result,) = api.post("/api/batch/", {"batch": json.dumps([item]), "f": file}, format="multipart").json()
        echoed = json.loads(result["body"])
        assert list(echoed["files"]) == ["f"]
        assert len(echoed["data"]) == 1

    def test_half_a_character_ends_in_an_error_of_that_item(self, api, post, served):
        """Such text is JSON, and has no bytes of its own."""
        api.raise_request_exception = False
        results = post(
            write("/half/", name="a"),
            get("/echo/?a={result=a:$.half}"),
            get("/echo/{result=a:$.half}/"),
            get("/echo/", headers={"X-A": "{result=a:$.half}"}),
            get("/echo/"),
        )
        assert results.codes == [200, 200, 200, 400, 200]

    def test_a_reference_to_a_cookie_finds_nothing(self, post, served):
        results = post(get("/cookies/", name="a"), get("/echo/?x={result=a:$headers.Set-Cookie}"))
        assert results.codes == [200, 424]

    def test_a_reference_cannot_be_the_method_or_the_whole_url(self, refused, served):
        errors = refused(
            write("/echo/", {"m": "DELETE"}, name="a"),
            {"method": "{result=a:$.data.m}", "relative_url": "/echo/"},
            get("{result=a:$.data.m}"),
        )
        assert [list(each) for each in errors["batch"]] == [[], ["method"], ["relative_url"]]

    def test_more_references_than_anybody_needs_are_refused_at_once(self, refused, served):
        body = [f"{{result=a:$.x{number}}}" for number in range(5000)]
        errors = refused(write("/echo/", {}, name="a"), write("/echo/", body))
        assert errors == {"batch": ["A batch has at most 1000 references; this one has 5000."]}

    def test_references_that_cost_too_much_fail_their_item(self, post, served):
        parent = ".`parent`"
        path = "$.data.rows.*" + f"{parent}.*" * 6
        results = post(
            write("/echo/", {"rows": list(range(1000))}, name="a"), get(f"/echo/?x={{result=a:{path}}}"), get("/echo/")
        )
        assert results.codes == [200, 424, 200]
        assert "takes too long" in results.json(1)["detail"]
