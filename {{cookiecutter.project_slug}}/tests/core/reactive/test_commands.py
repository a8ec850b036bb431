"""The commands that show and remove live queries, and the worker's."""

import asyncio
import os
import signal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from core.management.commands import observerworker
from core.models import Observer, Subscriber
from polls.models import Choice

CHOICES = "/api/choices/"


def said(name):
    out = StringIO()
    call_command(name, stdout=out)
    return out.getvalue()


def test_what_is_live_is_shown(world, question, author):
    page = world.page(author)
    live = page.observe(CHOICES, votes__gte=1)
    Choice.objects.filter(choice_text="Tea").vote()
    world.work()
    shown = said("observers")
    assert f"{live.observer}  choice-list  {CHOICES}?votes__gte=1" in shown
    assert f"user {author.pk} at http://testserver (en" in shown
    assert f"subscribers  {page.subscriber}" in shown
    assert "tables       polls_choice, polls_question" in shown
    assert "evaluations  2, the last took" in shown
    assert f"seq          {live.seq}" in shown
    assert "last reason  row 1 of polls.choice was updated and may be in the list" in shown.replace(
        f"row {Choice.objects.first().pk} ", "row 1 "
    )
    assert shown.endswith("1 live query.\n")


def test_all_of_it_can_be_removed_and_clients_are_told(world, question):
    live = world.page().observe(CHOICES)
    assert said("clearobservers") == "Removed 1 live query.\n"
    world.deliver()
    assert live.ended == "reload"
    assert not Observer.objects.exists()
    assert not Subscriber.objects.exists()
    assert said("observers") == "0 live queries.\n"


def test_the_worker_says_that_it_is_not_needed_where_the_server_evaluates(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    with pytest.raises(CommandError, match="Set REDIS_URL, or start nothing"):
        call_command("observerworker", stdout=StringIO())


def test_the_worker_does_nothing_where_live_queries_are_off_and_stops_when_asked(settings, monkeypatch):
    settings.CORE = {**settings.CORE, "REACTIVE": {"ENABLED": False}}
    serve = observerworker._serve

    async def stopped_at_once(**kwargs):
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)
        await serve(**kwargs)

    monkeypatch.setattr(observerworker, "_serve", stopped_at_once)
    shown = said("observerworker")
    assert "Live queries are off" in shown
    assert shown.endswith("Stopped.\n")
