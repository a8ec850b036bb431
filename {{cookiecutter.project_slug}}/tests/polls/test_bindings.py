"""The example over the socket."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from core.testing import socket
from polls.models import Choice

pytestmark = pytest.mark.django_db(transaction=True)


async def test_votes_over_many_sockets_at_once_are_all_counted_and_told(question, channel_layer):
    choice = await question.choices.afirst()
    async with AsyncExitStack() as stack:
        voters = [await stack.enter_async_context(socket()) for _ in range(4)]
        watcher = await stack.enter_async_context(socket())
        await watcher.subscribe("choices", "update", pk=choice.pk)
        votes = [voter.request("choices", "vote", pk=choice.pk) for voter in voters]
        assert {reply["response_status"] for reply in await asyncio.gather(*votes)} == {200}
        events = await watcher.events()
        assert len(events) == 4
        assert events[-1]["data"]["votes"] == 4
    assert (await Choice.objects.aget(pk=choice.pk)).votes == 4


async def test_voting_for_a_hidden_choice_finds_nothing(hidden_question, stranger):
    choice = await hidden_question.choices.afirst()
    async with socket(stranger) as ws:
        assert (await ws.request("choices", "vote", pk=choice.pk))["response_status"] == 404


async def test_a_choice_can_only_be_made_for_a_question_that_is_seen(hidden_question, question, staff, author):
    other = await type(hidden_question).objects.acreate(question_text="Mine", owner=staff, published=False)
    async with socket(author) as ws:
        for pk, status in ((question.pk, 201), (hidden_question.pk, 201), (other.pk, 400)):
            reply = await ws.request("choices", "create", {"question": pk, "choice_text": "x"})
            assert reply["response_status"] == status
