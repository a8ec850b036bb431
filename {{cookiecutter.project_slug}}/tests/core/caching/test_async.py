"""Async views of Django's: the same promises, on an event loop, with many requests at once."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpResponse, JsonResponse
from django.test import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.caching import cache_response, turns
from tests.caching_app.models import Book
from tests.threads import close_caches

pytestmark = pytest.mark.django_db(transaction=True)

made = []


@cache_response()
async def pages(request):
    made.append(1)
    # Between reading and answering others come in.
    rows = {book.pk: book.pages async for book in Book.objects.all()}
    await asyncio.sleep(0)
    return JsonResponse(rows)


@cache_response(shared=True)
async def counted(request):
    made.append(1)
    await asyncio.sleep(0.05)
    return HttpResponse(str(await Book.objects.acount()))


@cache_response()
async def failing(request):
    made.append(1)
    raise ValueError("as views do")


@pytest.fixture(autouse=True)
def _served(use):
    made.clear()
    use(pages=pages, counted=counted, failing=failing)


STEPS = st.lists(st.sampled_from(["read", "update", "save", "create", "delete"]), min_size=1, max_size=10)


async def write(step, number):
    match step:
        case "update":
            await Book.objects.all().aupdate(pages=number)
        case "save":
            book = await Book.objects.afirst()
            if book is not None:
                book.pages = number
                await book.asave()
        case "create":
            await Book.objects.acreate(title="new", pages=number)
        case "delete":
            await Book.objects.filter(pages__lt=number - 1).adelete()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_after_every_write_the_answer_is_what_the_database_holds(steps):
    """Twice each time: from the view, then from the cache."""

    async def run():
        client = AsyncClient()
        for number, step in enumerate(steps, 1):
            await write(step, number)
            held = {str(book.pk): book.pages async for book in Book.objects.all()}
            first = await client.get("/pages/")
            second = await client.get("/pages/")
            assert first.json() == second.json() == held
            assert "Age" in second
        await sync_to_async(close_caches)()

    Book.objects.all().delete()
    asyncio.run(run())


async def test_with_readers_and_writers_at_once_nobody_sees_what_was_before_an_answered_write():
    """Every reader sees at least the highest value that was written before it asked."""
    book = await Book.objects.acreate(title="a")
    written, late, done = [0], [], asyncio.Event()

    async def writer():
        for value in range(1, 21):
            await Book.objects.filter(pk=book.pk).aupdate(pages=value)
            written[0] = value
            await asyncio.sleep(0)
        done.set()

    async def reader():
        client = AsyncClient()
        while not done.is_set():
            before = written[0]
            shown = (await client.get("/pages/")).json()[str(book.pk)]
            if shown < before:
                late.append((before, shown))

    await asyncio.wait_for(asyncio.gather(writer(), *(reader() for _ in range(4))), 60)
    assert late == []
    assert written == [20]
    assert (await AsyncClient().get("/pages/")).json() == {str(book.pk): 20}


async def test_of_many_misses_at_once_one_makes_the_answer():
    """The others wait for it without holding up the loop, and are given it."""
    answers = await asyncio.gather(*(AsyncClient().get("/counted/") for _ in range(8)))
    assert {answer.content for answer in answers} == {b"0"}
    assert len(made) == 1
    assert sum("Age" in answer for answer in answers) == 7


async def test_a_view_that_fails_gives_its_turn_back(monkeypatch):
    """The next one makes the answer itself, at once."""
    released = []
    release = turns.release
    monkeypatch.setattr(turns, "release", lambda store, key: (released.append(key), release(store, key)))
    for number in (1, 2):
        with pytest.raises(ValueError, match="as views do"):
            await AsyncClient().get("/failing/")
        assert len(made) == len(released) == number


async def test_nobody_waits_for_long_for_another_process(settings, monkeypatch):
    """The claim is another's: the wait is bounded, then the answer is made, and not kept."""
    settings.CORE = {"CACHING": {"FILL_WAIT": 0.1}}
    monkeypatch.setattr(turns, "claim", lambda store, key: False)
    monkeypatch.setattr(turns, "is_claimed", lambda store, key: True)
    response = await asyncio.wait_for(AsyncClient().get("/counted/"), 60)
    assert response.content == b"0"
    assert "Age" not in response
