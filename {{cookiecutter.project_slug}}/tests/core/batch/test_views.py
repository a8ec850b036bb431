"""What a batch answers, and that each item answers what it would have answered alone."""

import hashlib
import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import get_script_prefix
from django.utils import timezone, translation
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from core.batch.handler import item_handler
from polls.models import Question
from tests.core.batch.conftest import Results, get, write

pytestmark = pytest.mark.django_db


def alone(client, item):
    """Send an item by itself; return status, headers and body."""
    headers, body = {**item.get("headers", {})}, item.get("body")
    data = "" if body is None else body if isinstance(body, str) else json.dumps(body)
    response = client.generic(
        item["method"],
        item["relative_url"],
        data,
        content_type=headers.pop("Content-Type", "application/json") if data else "",
        headers=headers,
    )
    return response.status_code, dict(response.items()), response.content.decode()


class TestTheAnswer:
    def test_there_is_one_result_for_each_item_in_their_order(self, post, served):
        results = post(get("/echo/", name="first"), get("/nothing/"), write("/echo/", {"a": 1}))
        assert [(each["name"], each["code"], each["code_text"]) for each in results] == [
            ("first", 200, "OK"),
            (None, 404, "Not Found"),
            (None, 200, "OK"),
        ]
        assert set(results[0]) == {"name", "code", "code_text", "headers", "body"}
        assert results.header(0, "Content-Type") == "application/json"
        assert results.json(2)["data"] == {"a": 1}

    def test_an_empty_batch_is_answered_by_an_empty_list(self, post):
        assert post() == []

    def test_how_long_each_took_is_told(self, post, served):
        timing = post(get("/slow/", name="s"), get("/echo/")).response["Server-Timing"]
        first, second = timing.split(", ")
        assert first.startswith('item-0;desc="s";dur=')
        assert 50 <= float(first.rpartition("=")[2]) < 5000
        assert second.startswith("item-1;dur=")

    def test_a_body_may_be_left_out(self, post, served):
        results = post(get("/echo/", omit_response_on_success=True), get("/nothing/", omit_response_on_success=True))
        assert results[0]["body"] is None
        assert "Not Found" in results[1]["body"]

    @pytest.mark.parametrize(("url", "content"), [("/binary/", bytes(range(256))), ("/file/", b"\x00\xff" * 1000)])
    def test_binary_answers_come_byte_for_byte(self, post, served, url, content):
        import base64

        (result,) = post(get(url))
        assert result["encoding"] == "base64"
        assert base64.b64decode(result["body"]) == content

    def test_answers_that_are_streamed_are_complete(self, post, served):
        results = post(get("/stream/"), get("/async_stream/"), get("/async_view/"))
        assert [each["body"] for each in results] == ["part 0\npart 1\npart 2\n", "onetwo", '{"async": true}']

    def test_a_stream_without_end_is_cut_off_and_closed(self, post, served, settings):
        settings.CORE = {"BATCH": {"MAX_STREAM_SIZE": 10_000}}
        results = post(get("/endless/"), get("/echo/"))
        assert results.codes == [500, 200]
        assert "more than 10000 bytes" in results.json(0)["detail"]
        assert "closed" in served.calls

    @pytest.mark.parametrize("url", ["/trickle/", "/async_trickle/"])
    def test_a_slow_stream_without_end_is_cut_off_and_closed(self, post, served, settings, url):
        settings.CORE = {"BATCH": {"MAX_STREAM_SECONDS": 0.1}}
        results = post(get(url), get("/echo/"))
        assert results.codes == [500, 200]
        detail = "The answer is streamed, and takes more than 0.1 seconds: too much for a batch."
        assert results.json(0) == {"detail": detail}
        assert "closed" in served.calls

    def test_a_stream_that_breaks_off_is_that_items_500(self, post, served):
        results = post(get("/breaks_off/"), get("/echo/"))
        assert results.codes == [500, 200]
        assert "middle" not in results[0]["body"]

    def test_a_redirect_is_told_and_not_followed(self, post, served):
        results = post(get("/redirect/", name="r"), get("/echo/?to={result=r:$headers.Location}"))
        assert (results[0]["code"], results.header(0, "Location")) == (302, "/echo/")
        assert results.json(1)["query"] == {"to": ["/echo/"]}

    def test_head_has_the_headers_of_get_and_no_body(self, post, served):
        head, got = post({"method": "HEAD", "relative_url": "/binary/"}, get("/binary/"))
        assert head["body"] == ""
        assert head["headers"] == got["headers"]

    def test_options_describes_the_endpoint(self, post):
        (result,) = post({"method": "options", "relative_url": "/api/questions/"})
        assert json.loads(result["body"])["name"] == "Question List"

    def test_cookies_reach_the_browser_and_not_the_body(self, post, served):
        results = post(get("/cookies/"))
        cookie = results.response.cookies["flavour"]
        assert (cookie.value, cookie["httponly"]) == ("oat", True)
        assert results.header(0, "Set-Cookie") is None


class TestReferences:
    def test_they_are_filled_in_in_url_header_and_body_at_every_depth(self, post, served):
        results = post(
            write("/echo/", {"id": 7, "rows": [{"id": 1}, {"id": 2}], "text": "a b/c&d"}, name="a"),
            write(
                "/echo/?id={result=a:$.data.id}&ids={result=a:$.data.rows.*.id}&t={result=a:$.data.text}",
                {
                    "list": [["{result=a:$.data.rows[?(@.id>1)].id}"], {"deep": "n {result=a:$.data.id}"}],
                    "whole": "{result=a:$.data.rows}",
                },
                headers={"X-Tag": "{result=a:$headers.ETag}", "If-Match": "{result=a:$headers.etag}"},
            ),
        )
        echoed = results.json(1)
        assert echoed["query"] == {"id": ["7"], "ids": ["1,2"], "t": ["a b/c&d"]}
        assert echoed["data"] == {"list": [[[2]], {"deep": "n 7"}], "whole": [{"id": 1}, {"id": 2}]}
        assert echoed["headers"]["X-Tag"] == echoed["headers"]["If-Match"] == '"the tag"'

    @pytest.mark.parametrize("value", ["1/choices", "..", ".", "a\\b", "a\nb"])
    def test_a_value_cannot_lead_out_of_its_place_in_the_path(self, post, served, value):
        results = post(write("/echo/", {"v": value}, name="a"), get("/echo/{result=a:$.data.v}/"))
        assert results.codes == [200, 400]
        assert len(served.calls) == 1

    def test_a_value_cannot_add_a_query_or_a_fragment(self, post, served):
        results = post(
            write("/echo/", {"v": "x?a=1#b c%2F&"}, name="a"), get("/echo/{result=a:$.data.v}/?q={result=a:$.data.v}")
        )
        assert results.json(1)["rest"] == "x?a=1#b c%2F&"
        assert results.json(1)["query"] == {"q": ["x?a=1#b c%2F&"]}

    def test_a_value_cannot_add_a_header(self, post, served):
        results = post(
            write("/echo/", {"v": "x\r\nRemote-User: root"}, name="a"),
            get("/echo/", headers={"X-A": "{result=a:$.data.v}"}),
        )
        assert results.codes == [200, 400]
        assert len(served.calls) == 1

    def test_what_matches_nothing_fails_the_item_and_sends_nothing(self, post, served):
        """The peer ran the previous request again."""
        results = post(
            write("/echo/", {}, name="a"),
            write("/echo/?b", "{result=a:$.data.none}", name="b"),
            get("/echo/", depends_on="b"),
        )
        assert results.codes == [200, 424, 424]
        assert "{result=a:$.data.none} matches nothing" in results.json(1)["detail"]
        assert results.json(2)["failed"] == {"index": 1, "name": "b", "code": 424}
        assert served.calls == ["/echo/"]

    def test_an_answer_too_large_to_be_referred_to_is_refused(self, post, served, settings):
        settings.CORE = {"BATCH": {"MAX_RESULT_SIZE": 500}}
        results = post(write("/echo/", {"v": "x" * 600}, name="a"), get("/echo/?a={result=a:$.method}"))
        assert results.codes == [200, 424]
        assert "more than 500 bytes" in results.json(1)["detail"]

    def test_what_references_add_up_to_is_limited(self, post, served, settings):
        settings.CORE = {"BATCH": {"MAX_BODY_SIZE": 3000}}
        results = post(write("/echo/", {"v": "x" * 900}, name="a"), write("/echo/", ["{result=a:$.data.v}"] * 4))
        assert results.codes == [200, 424]

    def test_an_answer_that_is_not_json_cannot_be_referred_to(self, post, served):
        assert post(get("/stream/", name="a"), get("/echo/?a={result=a:$.x}")).codes == [200, 424]


class TestFailures:
    def test_a_failure_fails_only_its_dependents_and_they_name_it(self, post, served):
        results = post(
            get("/nothing/", name="bad"),
            get("/echo/?x={result=bad:$.id}", name="next"),
            get("/echo/", depends_on=["next"]),
            get("/echo/"),
        )
        assert results.codes == [404, 424, 424, 200]
        assert results.json(1)["failed"] == results.json(2)["failed"] == {"index": 0, "name": "bad", "code": 404}

    def test_an_exception_is_that_items_500_and_tells_nothing(self, api, post, served, settings):
        settings.DEBUG = False
        api.raise_request_exception = False
        results = post(get("/boom/"), get("/echo/"))
        assert results.codes == [500, 200]
        assert "secret" not in results[0]["body"]

    def test_with_debug_the_traceback_is_what_it_would_be_alone(self, api, post, served, settings):
        settings.DEBUG = True
        api.raise_request_exception = False
        (result,) = post(get("/boom/"))
        assert "a secret of the server" in result["body"]


class TestLikeOneByOne:
    @pytest.mark.parametrize(
        "item",
        [
            get("/api/questions/"),
            get("/api/questions/?limit=1&ordering=-id"),
            get("/api/questions/", headers={"Accept": "text/html"}),
            get("/api/questions/", headers={"Accept": "image/png"}),
            get("/api/questions/", headers={"Accept-Language": "de"}),
            get("/api/questions/0/"),
            get("/api/questions"),
            get("/nothing/"),
            get("/healthz"),
            get("/api/choices/?votes__gte=many"),
            write("/api/questions/", {"question_text": ""}),
            write("/api/questions/", "no json"),
            write("/api/questions/", {"a": 1}, headers={"Content-Type": "text/csv"}),
            {"method": "DELETE", "relative_url": "/api/questions/"},
            {"method": "HEAD", "relative_url": "/api/questions/"},
            {"method": "OPTIONS", "relative_url": "/api/questions/"},
        ],
    )
    @pytest.mark.parametrize("who", ["anonymous", "author"])
    def test_an_item_answers_what_it_would_have_answered_alone(self, post, author, question, item, who):
        client = APIClient()
        if who == "author":
            client.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(user=author).key}")
        status, headers, body = alone(client, {**item, "headers": {"Accept-Language": "en", **item.get("headers", {})}})
        (result,) = post(item, client=client, headers={"Accept-Language": "en"})
        assert result["code"] == status
        assert {each["key"]: each["value"] for each in result["headers"]} == headers
        if "html" not in headers.get("Content-Type", ""):  # which may hold a token that is masked anew each time
            assert result["body"] == body

    def test_it_has_the_callers_credentials_language_host_and_trace(self, post, served, author):
        client = APIClient(REMOTE_ADDR="9.8.7.6")
        headers = {
            "Authorization": f"Token {Token.objects.create(user=author).key}",
            "Accept-Language": "de",
            "Host": "localhost",
            "Traceparent": "00-1-2-03",
            "Accept": "application/json",
            "If-None-Match": "*",
        }
        echoed = post(get("/echo/"), client=client, headers=headers).json(0)
        assert (echoed["user"], echoed["language"], echoed["address"]) == ("author", "de", "9.8.7.6")
        assert echoed["url"] == "http://localhost/echo/"
        assert echoed["headers"]["Traceparent"] == "00-1-2-03"
        assert not {"If-None-Match", "Accept", "Content-Length", "Content-Type"} & set(echoed["headers"])

    def test_it_is_as_secure_as_the_batch(self, api, post, served, settings):
        """By the connection, or by what the proxy says; never by an item."""
        items = json.dumps({"batch": [get("/echo/")]})
        sent = {"data": items, "content_type": "application/json"}
        (result,) = api.post("/api/batch/", secure=True, **sent).json()
        assert json.loads(result["body"])["secure"] is True
        assert json.loads(result["body"])["url"].startswith("https://")
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_PROTO", "https")
        assert post(get("/echo/"), headers={"X-Proto": "https"}).json(0)["secure"] is True
        assert post(get("/echo/")).json(0)["secure"] is False
        response = api.post(
            "/api/batch/",
            json.dumps({"batch": [get("/echo/", headers={"X-Proto": "https"})]}),
            content_type="application/json",
        )
        assert response.status_code == 400

    def test_it_has_nothing_of_its_siblings(self, post, served):
        """At the peer a header of one item stayed for all that followed."""
        results = post(
            write("/echo/", {"a": 1}, headers={"X-Own": "1", "If-Match": '"x"', "Accept-Language": "de"}), get("/echo/")
        )
        assert results.json(0)["headers"]["X-Own"] == "1"
        assert not {"X-Own", "If-Match", "Content-Type"} & set(results.json(1)["headers"])
        assert (results.json(1)["data"], results.json(1)["language"]) == ({}, "en")

    def test_what_an_item_activates_ends_with_it(self, post, served):
        prefix, language = get_script_prefix(), translation.get_language()
        results = post(get("/activate/", headers={"Accept-Language": "fr"}), get("/says/"))
        assert results[0]["body"] == "Oui"
        assert results.json(1) == {"language": "en", "zone": "UTC"}
        assert results.response["Content-Language"] == "en"
        assert (translation.get_language(), timezone.get_current_timezone_name()) == (language, "UTC")
        assert get_script_prefix() == prefix

    def test_who_logs_in_is_logged_in_afterwards_and_not_in_the_next_item(self, client, post, served, author):
        results = post(write("/log_in/"), get("/echo/"), client=client)
        assert results.codes == [200, 200]
        assert results.json(1)["user"] == ""
        assert "sessionid" in results.response.cookies
        assert client.get("/echo/").json()["user"] == "author"

    @pytest.mark.parametrize("engine", ["db", "signed_cookies"])
    @pytest.mark.parametrize("every", [False, True])
    def test_the_session_is_as_the_items_have_left_it(self, client, post, served, author, settings, engine, every):
        """Also where every request saves its session, and the one of the batch was loaded before them."""
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        settings.SESSION_SAVE_EVERY_REQUEST = every
        client.get("/remember/?what=a")
        post(write("/log_in/"), client=client)
        assert client.get("/echo/").json()["user"] == "author"
        post({"method": "POST", "relative_url": "/remember/?what=b"}, client=client)
        seen = client.get("/remember/?what=c").json()
        assert seen == ["a", "b", "c"]
        assert post(get("/echo/"), client=client).json(0)["user"] == "author"
        assert post(write("/log_out/"), client=client).codes == [200]
        assert client.get("/echo/").json()["user"] == ""
        assert client.get("/remember/?what=d").json() == ["d"]

    def test_the_full_url_of_an_item_has_its_query(self, post, served):
        assert post(get("/echo/?a=1&b=%20")).json(0)["url"] == "http://testserver/echo/?a=1&b=%20"

    def test_below_a_prefix_urls_are_those_that_a_client_sees(self, served, api):
        def ask(url):
            data = json.dumps({"batch": [get(url)]})
            return api.post("/api/batch/", data, content_type="application/json", SCRIPT_NAME="/app")

        (result,) = ask("/app/echo/").json()
        assert json.loads(result["body"])["url"] == "http://testserver/app/echo/"
        assert "begins at /app/" in ask("/echo/").json()["batch"][0]["relative_url"][0]
        assert get_script_prefix() == "/"

    def test_throttles_count_each_item(self, post, served):
        assert sorted(post(*[get("/throttled/")] * 4).codes) == [200, 200, 429, 429]
        assert post(*[write("/throttled/")] * 2).codes == [429, 429]

    def test_the_chain_is_loaded_once_and_not_for_each_item(self, post, served):
        handler = item_handler()
        post(*[get("/echo/")] * 5)
        assert item_handler() is handler

    def test_the_guard_stands_behind_other_middleware(self, post, served, settings):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.refusing"]
        assert post(get("/echo/")).codes == [418]

    def test_nested_routes_work_inside(self, post, question):
        results = post(get("/api/questions/", name="q"), get("/api/questions/{result=q:$.results[0].id}/choices/"))
        assert [row["choice_text"] for row in results.json(1)["results"]] == ["Tea", "Coffee"]


def refusing(get_response):
    from django.http import HttpResponse

    def middleware(request):
        return HttpResponse(status=418) if request.path.startswith("/echo/") else get_response(request)

    return middleware


class TestForms:
    def form(self, api, items, **parts):
        response = api.post("/api/batch/", {"batch": json.dumps(items), **parts}, format="multipart")
        assert response.status_code == 200, response.content
        return Results(response.json())

    @pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
    def test_files_arrive_byte_for_byte_in_both_forms_and_more_than_once(self, api, served, size):
        content = bytes(range(256)) * (size // 256) + b"\r\n--x"[: size % 256]
        digest = hashlib.sha256(content).hexdigest()
        results = self.form(
            api,
            [
                write("/echo/", attached_files=["a.jpg"]),
                write("/echo/", {"n": 1, "l": ["x", "y"]}, attached_files={"picture": "a.jpg", "other": "b"}),
                write("/echo/", '{"data": 42}', attached_files=["a.jpg", "b"]),
            ],
            **{
                "a.jpg": SimpleUploadedFile('caf\u00e9 "1".jpg', content, "image/jpeg"),
                "b": SimpleUploadedFile("b.txt", b"b", "text/plain"),
            },
        )
        picture = [['caf\u00e9 "1".jpg', "image/jpeg", digest]]
        other = [["b.txt", "text/plain", hashlib.sha256(b"b").hexdigest()]]
        assert [results.json(number)["files"] for number in range(3)] == [
            {"a.jpg": picture},
            {"picture": picture, "other": other},
            {"a.jpg": picture, "b": other},
        ]
        assert results.json(1)["data"] == {"n": ["1"], "l": ["x", "y"]}
        assert results.json(2)["data"] == {"data": ["42"]}

    def test_references_fill_the_fields_of_a_form(self, api, served):
        results = self.form(
            api,
            [
                write("/echo/", {"ids": [1, 2]}, name="a"),
                write("/echo/", {"ids": "{result=a:$.data.ids.*}"}, attached_files=["f"]),
            ],
            f=SimpleUploadedFile("f", b"f"),
        )
        assert results.json(1)["data"] == {"ids": ["1", "2"]}

    def test_flags_are_words(self, api, served, author):
        items = [get("/nothing/"), get("/echo/")]
        assert self.form(api, items).codes == [404, 200]
        assert self.form(api, items, atomic="true").codes == [404, 424]

    def test_a_form_that_is_not_right_is_refused(self, api):
        for fields, key in (({"batch": "["}, "batch"), ({"batch": "[]", "atomic": "maybe"}, "atomic"), ({}, "batch")):
            response = api.post("/api/batch/", {**fields, "f": SimpleUploadedFile("f", b"f")}, format="multipart")
            assert (response.status_code, list(response.json())) == (400, [key])

    def test_an_item_may_be_a_form_without_files(self, post, served):
        types = ("application/x-www-form-urlencoded", "multipart/form-data")
        for kind in types:
            echoed = post(write("/echo/", {"a": ["x", "y"]}, headers={"Content-Type": kind})).json(0)
            assert (echoed["data"], echoed["type"].partition(";")[0]) == ({"a": ["x", "y"]}, kind)


def test_other_types_of_content_are_refused(api):
    assert api.post("/api/batch/", "x", content_type="text/plain").status_code == 415


def test_it_is_only_posted_to(api):
    assert api.get("/api/batch/").status_code == 405


def test_a_write_is_seen_by_the_read_behind_it(post, author):
    client = APIClient()
    client.force_authenticate(author)
    for atomic in (False, True):
        results = post(
            write("/api/questions/", {"question_text": f"Why {atomic}?"}, name="q"),
            get("/api/questions/{result=q:$.id}/"),
            {"method": "PATCH", "relative_url": "/api/questions/{result=q:$.id}/", "body": {"published": False}},
            get("/api/questions/{result=q:$.id}/"),
            client=client,
            atomic=atomic,
        )
        assert results.codes == [201, 200, 200, 200]
        assert [results.json(number)["published"] for number in (1, 3)] == [True, False]
    assert Question.objects.count() == 2
