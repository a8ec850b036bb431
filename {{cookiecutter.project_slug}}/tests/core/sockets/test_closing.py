"""The client is told why its socket was closed, and so is the log."""

import pytest
from django.contrib.auth.models import AnonymousUser, User

from core.sockets import CloseCode
from core.sockets.closing import LONGEST_REASON, goodbye


class Session:
    session_key = "secret"


@pytest.fixture
def line(caplog):
    """Returns a function that closes a socket of ``scope`` and returns what the log says of it."""
    caplog.set_level("INFO", "core.sockets")

    def closed(scope, code=CloseCode.FORBIDDEN, reason=""):
        goodbye(scope, code, reason)
        return caplog.records[-1].getMessage()

    return closed


ADA = User(pk=7, username="ada")


@pytest.mark.parametrize(
    ("scope", "who"),
    [
        ({"client": ["192.0.2.1", 5000], "user": AnonymousUser()}, "an anonymous caller at 192.0.2.1"),
        ({"client": ["192.0.2.1", 5000]}, "an anonymous caller at 192.0.2.1"),
        ({"client": None}, "an anonymous caller at an unknown address"),
        ({"client": ("::1", 1), "user": ADA, "session": Session()}, "user 7 (by session) at ::1"),
        ({"client": ("::1", 1), "user": ADA, "token": "secret"}, "user 7 (by token) at ::1"),
    ],
)
def test_the_log_says_who_was_closed_and_why_and_gives_away_no_key(line, scope, who):
    told = line({"path": "/ws/", **scope}, CloseCode.NOT_FOUND)
    assert told == f"The socket '/ws/' of {who} was closed with 4404: No socket is served under this path."
    assert "secret" not in told


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/ws/", "/ws/"),
        ("/ws/0123456789abcdef", "/ws/…"),
        ("/ws/0123456789abcdef/", "/ws/…"),
        ("/chat/rooms/17", "/chat/…"),
        ("/elsewhere", "/elsewhere"),
        ("/", "/"),
        ("", ""),
    ],
)
def test_the_log_says_where_and_not_the_id_that_would_let_its_reader_listen(line, path, logged):
    assert line({"path": path}).startswith(f"The socket {logged!r} of an anonymous caller")


def test_a_path_cannot_write_lines_into_the_log(line):
    assert "\n" not in line({"path": "/ws/\n2026-01-01 CRITICAL all is lost"})


@pytest.mark.parametrize("code", CloseCode)
def test_what_a_code_means_fits_into_a_close(code):
    assert goodbye({}, code) == {"type": "websocket.close", "code": int(code), "reason": code.reason}


def test_a_reason_that_does_not_fit_is_cut_between_characters():
    reason = goodbye({}, CloseCode.FORBIDDEN, "é" * 100)["reason"]
    assert reason == "é" * (LONGEST_REASON // 2)
