"""Who has lost the right to be there does not stay; a server that stops says so."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connections
from django.test import Client
from django.utils import timezone
from rest_framework.authtoken.models import Token

from core import users
from core.changes import Change
from core.sockets import CloseCode
from core.sockets.credentials import Credential, rights_of
from core.sockets.keeper import Keeper, keeper
from tests.testapp.models import Cafe

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user():
    return User.objects.create_user("ada", password="secret")


@pytest.fixture
async def running():
    """The keeper runs, as it does in a server."""
    task = asyncio.create_task(keeper.run())
    await asyncio.sleep(0)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def closed(ws):
    return (await ws.receive_output()).get("code") == CloseCode.NOT_AUTHENTICATED


async def is_open(ws):
    """Tell whether nothing was said to a socket, and least of all a goodbye: it answers."""
    await ws.send_to(text_data='{"ping": 1}')
    return (await ws.receive_output()).get("text") == '{"pong": 1}'


def log_out(session_cookie):
    client = Client()
    client.cookies["sessionid"] = session_cookie.partition("=")[2]
    client.logout()
    connections.close_all()


def delete_the_user(user):
    user.delete()


def deactivate(user):
    User.objects.filter(pk=user.pk).update(is_active=False)  # untracked, hence seen only by the check


def change_the_password(user):
    user.set_password("another")
    user.save()


def end_the_session(user):
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize("loss", [delete_the_user, deactivate, change_the_password, end_the_session])
async def test_a_session_that_holds_no_longer_closes_its_sockets(open_socket, user, cookie, loss):
    header = await database_sync_to_async(cookie)(user)
    async with open_socket(cookie=header) as ws, open_socket() as anonymous:
        await keeper.check()
        assert await is_open(ws)
        await database_sync_to_async(loss)(user)
        await keeper.check()
        assert await closed(ws)
        assert await is_open(anonymous)


async def test_a_token_that_was_deleted_closes_its_sockets(open_socket, user):
    token = await Token.objects.acreate(user=user)
    async with open_socket(authorization=f"Token {token.key}") as ws:
        await keeper.check()
        assert await is_open(ws)
        await token.adelete()
        await keeper.check()
        assert await closed(ws)


async def test_a_logout_is_seen_at_once_in_whatever_thread_it_happens(open_socket, user, cookie):
    header, other = await database_sync_to_async(lambda: (cookie(user), cookie(user)))()
    async with open_socket(cookie=header) as ws, open_socket(cookie=other) as elsewhere:
        await asyncio.to_thread(log_out, header)
        assert await closed(ws)
        assert await is_open(elsewhere)


async def test_a_deactivation_is_seen_at_once(open_socket, user, cookie, running):
    header = await database_sync_to_async(cookie)(user)
    async with open_socket(cookie=header) as ws:
        user.is_active = False
        await user.asave()
        assert await closed(ws)


async def test_what_nobody_tells_of_is_seen_within_the_interval(open_socket, user, cookie, settings):
    """As after a logout in another process: only the database knows."""
    settings.CORE = {**settings.CORE, "SOCKETS": {"CHECK_INTERVAL": 0.5}}
    header = await database_sync_to_async(cookie)(user)
    task = asyncio.create_task(keeper.run())
    async with open_socket(cookie=header) as ws:
        await Session.objects.all().adelete()
        assert await closed(ws)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_somebody_who_only_logs_in_again_is_no_reason_to_look(monkeypatch, user, cookie):
    looked = []
    monkeypatch.setattr(Keeper, "check_soon", lambda self: looked.append(True))
    await database_sync_to_async(cookie)(user)
    assert not looked
    await database_sync_to_async(change_the_password)(user)
    assert looked


async def test_a_change_in_the_table_of_a_users_parent_is_a_reason_to_look(monkeypatch):
    looked = []
    monkeypatch.setattr(Keeper, "check_soon", lambda self: looked.append(True))
    monkeypatch.setattr(users, "get_user_model", lambda: Cafe)
    told = Change("testapp.place", "testapp_place", "updated", (1,), frozenset({"rank"}), "default")
    Keeper().on_changes([replace(told, model="testapp.kiosk")])
    assert not looked
    Keeper().on_changes([told])
    assert looked


async def test_at_shutdown_every_socket_is_told_to_come_back(open_socket):
    task = asyncio.create_task(keeper.run())
    async with open_socket() as ws:
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await ws.receive_output())["code"] == CloseCode.SHUTTING_DOWN


async def test_a_check_that_fails_is_told_once_and_closes_nobody(
    open_socket, user, cookie, monkeypatch, caplog, settings
):
    settings.CORE = {**settings.CORE, "SOCKETS": {"CHECK_INTERVAL": 0.5}}
    monkeypatch.setattr("core.sockets.keeper.PAUSE", 0)
    asked = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()

    def fail(credentials):
        loop.call_soon_threadsafe(asked.release)
        raise RuntimeError("no database")

    monkeypatch.setattr("core.sockets.keeper.rights_of", fail)
    header = await database_sync_to_async(cookie)(user)
    async with open_socket(cookie=header) as ws:
        task = asyncio.create_task(keeper.run())
        for _ in range(3):
            keeper.check_soon()
            await asyncio.wait_for(asked.acquire(), 60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await ws.receive_output())["code"] == CloseCode.SHUTTING_DOWN
    assert caplog.text.count("cannot be checked") == 1


def test_any_number_of_callers_costs_a_query_per_kind(user, django_assert_num_queries):
    users = [User.objects.create_user(f"user {number}") for number in range(5)]
    credentials = set()
    for each in users:
        client = Client()
        client.force_login(each)
        credentials.add(Credential("session", client.cookies["sessionid"].value, str(each.pk)))
        credentials.add(Credential("token", Token.objects.create(user=each).key, str(each.pk)))
    with django_assert_num_queries(3):
        assert rights_of(credentials).lost == set()


def test_a_session_is_not_anothers(user):
    other = User.objects.create_user("grace")
    client = Client()
    client.force_login(other)
    stolen = Credential("session", client.cookies["sessionid"].value, str(user.pk))
    assert rights_of({stolen}).lost == {stolen}
    theirs = Credential("token", Token.objects.create(user=other).key, str(user.pk))
    assert rights_of({theirs}).lost == {theirs}


@pytest.mark.parametrize("engine", ["cache", "cached_db", "signed_cookies"])
def test_sessions_are_found_wherever_they_are_kept(settings, user, engine):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    client = Client()
    client.force_login(user)
    held = Credential("session", client.cookies["sessionid"].value, str(user.pk))
    assert rights_of({held}).lost == set()
    change_the_password(user)
    assert rights_of({held}).lost == {held}
