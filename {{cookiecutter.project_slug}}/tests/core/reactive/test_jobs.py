"""The background jobs of live queries, at their end."""

import asyncio

import pytest

from core.reactive import housekeeping
from core.reactive.delivery import Post
from core.reactive.hosting import Host, _Shift


async def for_ever(*_):
    await asyncio.Event().wait()


@pytest.mark.parametrize("made", [Post, Host])
async def test_a_job_that_ends_with_the_interpreter_says_nothing(made, monkeypatch, channel_layer):
    """Threads cannot be begun any more then, and the supervisor must not take that for a failure."""

    def too_late(*_, **__):
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(housekeeping, "keep_house", for_ever)
    monkeypatch.setattr(_Shift, "_look", lambda *_: ([], None))
    thing = made()
    if isinstance(thing, Host):
        thing.want()
    job = asyncio.create_task(thing.run())
    while thing._loop is None:
        await asyncio.sleep(0)
    await asyncio.sleep(0)  # so that what it consists of has begun, too
    monkeypatch.setattr(asyncio, "to_thread", too_late)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
