"""Which headers an item may set, and which it has from the batch."""

import pytest

from core.batch import headers


@pytest.mark.parametrize(
    "name",
    ["If-Match", "if-none-match", "Accept", "Accept-Language", "Content-Type", "X-CUSTOM-BULK-OPERATION", "X-Anything"],
)
def test_an_item_sets_what_is_its_own(name):
    assert headers.problem(name, "value") is None


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "host", "Authorization", "Cookie", "X-CSRFToken", "Origin", "Referer"),
        *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "Via"),
        *("Remote-User", "Remote-Addr", "X-Remote-User", "Proxy-Authorization", "Sec-Fetch-Site", "X-Original-URL"),
        *("Client-IP", "X-Cluster-Client-IP", "CF-Connecting-IPv6", "Forwarded-For", "X-Host", "X-HTTP-Host-Override"),
        *("X-Auth-Request-User", "X-Authenticated-User", "X-SSL-Client-Cert", "SSL-Client-Verify", "X-Webauth-User"),
        *("X-Amzn-Oidc-Identity", "X-Goog-Authenticated-User-Email", "X-MS-Client-Principal", "X-Envoy-Peer"),
        *("Front-End-Https", "X-Scheme", "X-Script-Name", "X-Client-Cert", "X-Forwarded"),
        *("Content-Length", "Transfer-Encoding", "TE", "Trailer", "Connection", "Upgrade", "Expect", "Keep-Alive"),
        *("remote_user", "X_Forwarded_For", "Content_Length", "", "a b", "a:b", "H\u00f6st", "a\n"),
        "X-Api-Key",
    ],
)
def test_an_item_cannot_set_who_asks_from_where_or_how_it_is_framed(name):
    assert headers.problem(name, "value", {"x-api-key"})


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "\x00", "\u20ac", "\ud800", 5, None, ["a"]])
def test_a_value_that_is_no_header_is_refused(value):
    assert headers.problem("X-A", value)


def test_items_have_the_caller_from_the_batch_and_nothing_of_the_batch_itself():
    meta = {
        "REMOTE_ADDR": "1.2.3.4",
        "REMOTE_USER": "ann",
        "SERVER_NAME": "site",
        "SERVER_PORT": "80",
        "CONTENT_LENGTH": "10",
        "CONTENT_TYPE": "application/json",
        "QUERY_STRING": "a=1",
        "PATH_INFO": "/api/batch/",
        "RAW_URI": "/api/batch/",
        "CSRF_COOKIE": "secret",
        "HTTP_HOST": "site",
        "HTTP_COOKIE": "a=1",
        "HTTP_AUTHORIZATION": "Token x",
        "HTTP_X_CSRFTOKEN": "t",
        "HTTP_ORIGIN": "https://site",
        "HTTP_REFERER": "https://site/",
        "HTTP_ACCEPT_LANGUAGE": "de",
        "HTTP_X_FORWARDED_FOR": "5.6.7.8",
        "HTTP_TRACEPARENT": "00-1",
        "HTTP_X_REQUEST_ID": "r",
        "HTTP_ACCEPT": "text/html",
        "HTTP_IF_NONE_MATCH": "*",
        "HTTP_RANGE": "bytes=0-1",
        "HTTP_X_CUSTOM_BULK_OPERATION": "1",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "HTTP_X_API_KEY": "k",
    }
    left = {
        *("CONTENT_LENGTH", "CONTENT_TYPE", "QUERY_STRING", "PATH_INFO", "RAW_URI", "CSRF_COOKIE", "HTTP_ACCEPT"),
        *("HTTP_IF_NONE_MATCH", "HTTP_RANGE", "HTTP_X_CUSTOM_BULK_OPERATION", "HTTP_TRANSFER_ENCODING"),
    }
    assert set(meta) - set(headers.inherited(meta)) == left | {"HTTP_X_API_KEY"}
    assert set(meta) - set(headers.inherited(meta, ["x-api-key"])) == left


def test_a_header_has_its_place_among_the_variables():
    assert headers.variable("If-Match") == "HTTP_IF_MATCH"
    assert headers.variable("content-type") == "CONTENT_TYPE"
