"""Nothing is done, and nothing told, for who has lost the right to be there, however soon after."""

import pytest
from django.contrib.sessions.models import Session

from core.bindings.sight import Sight
from core.sockets import CloseCode
from core.testing import socket
from polls.models import Question

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_session_that_ended_elsewhere_hears_nothing_and_does_nothing(author):
    async with socket(author) as ws:
        await ws.subscribe("questions", "create")
        await Session.objects.all().adelete()
        await Question.objects.acreate(question_text="Secret?", owner=author, published=False)
        assert await ws.close_code() == CloseCode.NOT_AUTHENTICATED
    async with socket(author) as ws:
        await Session.objects.all().adelete()
        await ws.communicator.send_json_to(
            {"stream": "questions", "payload": {"action": "create", "data": {"question_text": "Too late?"}}}
        )
        assert await ws.close_code() == CloseCode.NOT_AUTHENTICATED
    assert not await Question.objects.filter(question_text="Too late?").aexists()


async def test_a_session_that_ends_elsewhere_while_a_commit_is_looked_at_hears_nothing_of_it(author, monkeypatch):
    rows = Sight.rows

    def ending(self, pks):
        Session.objects.all().delete()
        return rows(self, pks)

    async with socket(author) as ws:
        await ws.subscribe("questions", "create")
        monkeypatch.setattr(Sight, "rows", ending)
        await Question.objects.acreate(question_text="Secret?", owner=author, published=False)
        message = await ws.communicator.receive_output()
        assert (message["type"], message.get("code")) == ("websocket.close", CloseCode.NOT_AUTHENTICATED)


async def test_who_changes_their_password_ends_what_others_do_with_the_old_one(author):
    async with socket(author) as ws:
        author.set_password("another")
        await author.asave()
        await ws.communicator.send_json_to(
            {"stream": "questions", "payload": {"action": "create", "data": {"question_text": "By a thief?"}}}
        )
        assert await ws.close_code() == CloseCode.NOT_AUTHENTICATED
    assert not await Question.objects.filter(question_text="By a thief?").aexists()


async def test_another_session_of_the_same_user_goes_on(author):
    async with socket(author) as ended, socket(author) as other:
        for each in (ended, other):
            await each.subscribe("questions", "create")
        key = ended.communicator.scope["headers"][-1][1].decode().partition("=")[2]
        await Session.objects.filter(session_key=key).adelete()
        question = await Question.objects.acreate(question_text="Still here?")
        assert (await other.event())["pk"] == question.pk
        assert await ended.close_code() == CloseCode.NOT_AUTHENTICATED
