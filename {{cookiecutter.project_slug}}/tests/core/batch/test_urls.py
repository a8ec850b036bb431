"""Which URLs an item may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.batch.urls import Target, target


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        ("/", b"/", ""),
        ("/api/x/", b"/api/x/", ""),
        ("/api/x/?a=1&b=%20", b"/api/x/", "a=1&b=%20"),
        ("/a%20b/", b"/a b/", ""),
        ("/caf\u00e9/?q=\u00e9", "/caf\u00e9/".encode(), "q=%C3%A9"),
        ("/a?b?c/../d", b"/a", "b?c/../d"),
        ("/a?next=http://x/%2F", b"/a", "next=http://x/%2F"),
        ("/a//b", b"/a//b", ""),
        ("/100%25/", b"/100%/", ""),
        ("/a:b@c;d=e/", b"/a:b@c;d=e/", ""),
        ("/...", b"/...", ""),
    ],
)
def test_a_path_of_this_site_is_taken_apart(url, path, query):
    assert target(url) == Target(path, query)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api/",
        "http://example.com/api/",
        "https:/api/",
        "//example.com/api/",
        "?a=1",
        "/a#b",
        "/a?b#c",
        "/a b",
        "/a\tb",
        "/a\r\nHost: x",
        "/a\x00",
        "/a\\b",
        "/a%2Fb",
        "/a%2fb",
        "/a%5Cb",
        "/a%00b",
        "/a%0Ab",
        "/a/../b",
        "/a/./b",
        "/a/%2e%2e/b",
        "/a/.%2E",
        "/a%",
        "/a%zz",
        "/\ud800",
    ],
)
def test_what_is_no_path_of_this_site_is_refused(url):
    with pytest.raises(ValueError, match=r"path|URL"):
        target(url)


@given(st.text(max_size=40))
def test_any_text_is_a_target_or_refused(text):
    try:
        found = target(f"/{text}")
    except ValueError:
        return
    assert found.path.startswith(b"/")
    assert b".." not in found.path.split(b"/")
    assert found.query.isascii()
