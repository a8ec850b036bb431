"""The sockets that users' tests open."""

import pytest
from django.test import TransactionTestCase
from rest_framework.authtoken.models import Token

from core.testing import socket
from polls.models import Question

pytestmark = pytest.mark.django_db(transaction=True)


async def test_the_example_of_the_documentation(author, channel_layer):
    async with socket(author) as ws:
        await ws.subscribe("questions", "create")
        reply = await ws.request("questions", "create", {"question_text": "Why?"})
        assert reply["response_status"] == 201
        assert (await ws.event())["data"]["question_text"] == "Why?"
        assert await ws.events() == []


async def test_events_wait_until_they_are_asked_for_and_can_be_asked_for_by_stream(question):
    async with socket() as ws:
        await ws.subscribe("questions", "update")
        await ws.subscribe("choices", "update")
        choice = await question.choices.afirst()
        await question.asave()
        await choice.asave()
        assert (await ws.request("choices", "retrieve", pk=choice.pk))["response_status"] == 200
        assert (await ws.event("choices"))["pk"] == choice.pk
        assert [event["pk"] for event in await ws.events()] == [question.pk]


async def test_a_subscription_that_is_refused_raises():
    async with socket() as ws:
        with pytest.raises(AssertionError, match="Not found"):
            await ws.subscribe("questions", "update", pk=1)


async def test_a_token_logs_in_as_well(author):
    token = await Token.objects.acreate(user=author)
    async with socket(headers={"authorization": f"Token {token.key}"}) as ws:
        assert (await ws.request("questions", "create", {"question_text": "?"}))["response_status"] == 201


async def test_with_the_feature_off_it_says_so(settings):
    settings.CORE = {**settings.CORE, "BINDINGS": {"ENABLED": False}}
    with pytest.raises(AssertionError, match="Is CORE_BINDINGS_ENABLED true"):
        async with socket():
            pass


class SocketTest(TransactionTestCase):
    """The same in Django's own kind of test."""

    async def test_a_socket_works_in_a_transactional_test_case(self):
        async with socket() as ws:
            await ws.subscribe("questions", "create")
            question = await Question.objects.acreate(question_text="Why?")
            assert (await ws.event())["pk"] == question.pk
