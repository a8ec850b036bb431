"""What every WebSocket passes before it reaches its consumer."""

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.test import Client
from django.urls import path
from rest_framework.authtoken.models import Token

from core.sockets import is_allowed_origin, websocket_application
from core.testing import TIMEOUT


class WhoAmI(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept()
        await self.send(text_data=self.scope["user"].get_username())


pytestmark = pytest.mark.django_db(transaction=True)

application = websocket_application([path("ws/", WhoAmI.as_asgi())])
OWN = {"origin": "http://testserver"}


async def first_message(path="/ws/", **headers):
    """Open a socket; return what the server says first."""
    socket = WebsocketCommunicator(
        application, path, headers=[(name.encode(), value.encode()) for name, value in headers.items()]
    )
    accepted, _ = await socket.connect(TIMEOUT)
    assert accepted  # a refusal accepts, so that a browser sees its code
    message = await socket.receive_output(TIMEOUT)
    await socket.disconnect()
    return message


async def outcome(path="/ws/", **headers):
    """Open a socket; return the name it was opened under, or the code it was closed with."""
    message = await first_message(path, **headers)
    return message["code"] if message["type"] == "websocket.close" else message["text"]


async def test_a_program_without_credentials_is_anonymous():
    assert await outcome() == ""


async def test_a_path_that_nobody_serves_is_refused():
    assert await outcome("/ws/nothing/here/", **OWN) == 4404
    assert await outcome("/", **OWN) == 4404


async def test_a_page_of_another_site_is_refused():
    assert await outcome(origin="https://evil.example") == 4403


async def test_a_page_of_this_site_is_let_in():
    assert await outcome(**OWN) == ""


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"origin": "https://evil.example"}, "The Origin header names no host of this site (ALLOWED_HOSTS)."),
        ({"cookie": "sessionid=x"}, "A session cookie came without an Origin header."),
        (
            {"authorization": "Bearer x"},
            'The Authorization header is not "Token <key>" with the key of an active user.',
        ),
    ],
)
async def test_who_is_refused_is_told_why_and_so_is_the_log(headers, reason, caplog):
    caplog.set_level("INFO", "core.sockets")
    assert (await first_message(**headers))["reason"] == reason
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("core.sockets")]
    assert line.startswith("The socket '/ws/' of an anonymous caller at ")
    assert line.endswith(reason)


class TestCredentials:
    @pytest.fixture
    def user(self):
        return User.objects.create_user("ada", password="secret")

    @pytest.fixture
    def cookie(self, user):
        client = Client()
        client.force_login(user)
        return f"sessionid={client.cookies['sessionid'].value}"

    @pytest.fixture
    def token(self, user):
        return Token.objects.create(user=user).key

    async def test_the_session_says_who_it_is(self, cookie):
        assert await outcome(cookie=cookie, **OWN) == "ada"

    async def test_a_session_cookie_without_origin_is_refused(self, cookie):
        assert await outcome(cookie=cookie) == 4403

    async def test_a_session_cookie_from_another_site_is_refused(self, cookie):
        assert await outcome(cookie=cookie, origin="https://evil.example") == 4403

    async def test_another_cookie_without_origin_is_let_in(self):
        assert await outcome(cookie="theme=dark") == ""

    @pytest.mark.parametrize("cookie", ["sessionid=x", 'a=b; sessionid="x"', "sessionid=x; b[=;", "b]=1; sessionid=y"])
    async def test_a_session_cookie_is_recognised_however_it_is_written(self, cookie):
        assert await outcome(cookie=cookie) == 4403

    async def test_a_token_says_who_it_is(self, token):
        assert await outcome(authorization=f"Token {token}") == "ada"
        assert await outcome(authorization=f"token {token}") == "ada"

    async def test_a_token_wins_over_the_session(self, token, cookie):
        assert await outcome(authorization=f"Token {token}", cookie=cookie, **OWN) == "ada"

    @pytest.mark.parametrize("value", ["Token wrong", "Token", "", "Basic YTpi", "Token a b", "Token \xff"])
    async def test_a_bad_token_is_refused_rather_than_taken_for_anonymous(self, user, value):
        assert await outcome(authorization=value) == 4401

    async def test_the_token_of_a_deactivated_user_is_refused(self, user, token):
        user.is_active = False
        await user.asave()
        assert await outcome(authorization=f"Token {token}") == 4401


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://example.com", True),
        ("http://example.com:8000", True),
        ("https://EXAMPLE.com", True),
        ("https://sub.example.org", True),
        ("http://[::1]:8000", True),
        ("https://example.com.evil.net", False),
        ("https://evil.net/example.com", False),
        ("https://example.com@evil.net", False),
        ("null", False),
        ("", False),
        ("example.com", False),
        ("file://example.com", False),
        ("http://[", False),
    ],
)
def test_an_origin_is_allowed_or_not(settings, origin, allowed):
    settings.ALLOWED_HOSTS = ["example.com", ".example.org", "[::1]"]
    assert is_allowed_origin(origin, "example.com") is allowed


def test_a_site_that_answers_under_any_name_listens_to_its_own_pages_only(settings):
    settings.ALLOWED_HOSTS = ["*"]
    assert is_allowed_origin("https://shop.example", "shop.example:8000")
    assert not is_allowed_origin("https://evil.example", "shop.example")


def test_without_allowed_hosts_debug_means_this_machine(settings):
    settings.ALLOWED_HOSTS = []
    settings.DEBUG = True
    assert is_allowed_origin("http://localhost:8000", "localhost:8000")
    settings.DEBUG = False
    assert not is_allowed_origin("http://localhost:8000", "localhost:8000")
