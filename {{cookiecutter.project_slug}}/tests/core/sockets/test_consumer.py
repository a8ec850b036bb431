"""What every socket is held to, whatever it serves."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from core.sockets import CloseCode, SocketConsumer
from core.sockets.keeper import keeper
from tests.core.sockets.conftest import Echo


@pytest.fixture
def limits(settings):
    """Returns a function that sets limits."""

    def set_limits(**values):
        settings.CORE = {**settings.CORE, "SOCKETS": values}

    return set_limits


pytestmark = pytest.mark.django_db(transaction=True)


async def closed(ws):
    """Return the code and the reason that a socket is closed with."""
    message = await ws.receive_output()
    assert message["type"] == "websocket.close"
    return message["code"], message["reason"]


async def test_what_is_offered_arrives_in_order(open_socket):
    async with open_socket() as ws:
        for number in range(20):
            await ws.send_to(text_data=str(number))
        assert [await ws.receive_from() for _ in range(20)] == [str(number) for number in range(20)]


async def test_a_ping_is_answered(open_socket):
    async with open_socket() as ws:
        await ws.send_to(text_data='{ "ping": 17 }')
        assert json.loads(await ws.receive_from()) == {"pong": 17}


@pytest.mark.parametrize("text", ['{"ping": 1, "more": 2}', '["ping"]', '"ping" no JSON', f'{{"ping": "{"x" * 300}"}}'])
async def test_what_only_looks_like_a_ping_goes_to_the_consumer(open_socket, text):
    async with open_socket() as ws:
        await ws.send_to(text_data=text)
        assert await ws.receive_from() == text


async def test_a_message_above_the_limit_is_refused_and_the_socket_stays_open(open_socket, limits):
    limits(MAX_MESSAGE_SIZE=10)
    async with open_socket() as ws:
        await ws.send_to(text_data="é" * 6)
        assert json.loads(await ws.receive_from()) == {
            "errors": ["The message is too large: at most 10 bytes are taken."],
            "response_status": 413,
        }
        await ws.send_to(text_data="é" * 5)
        assert await ws.receive_from() == "é" * 5


async def test_half_a_surrogate_pair_is_sent_as_a_question_mark(open_socket):
    """JSON can name one, and a message that UTF-8 cannot hold would end the socket."""
    async with open_socket() as ws:
        await ws.send_to(text_data="a\ud800b")
        assert await ws.receive_from() == "a?b"


@pytest.mark.parametrize("leaves", [False, True], ids=["open", "closing"])
async def test_what_was_not_yet_sent_to_a_caller_without_rights_is_not(open_socket, leaves):
    async with open_socket() as ws:
        (socket,) = keeper.open()
        for number in range(5):
            socket.offer(f"too early, {number}")
        if leaves:
            socket.close(CloseCode.NOT_AUTHENTICATED)
        socket.bar()
        socket.offer("too late")
        assert await closed(ws) == (CloseCode.NOT_AUTHENTICATED, "The credentials are not valid, or no longer. Log in.")


async def test_a_binary_message_is_refused(open_socket):
    async with open_socket() as ws:
        await ws.send_to(bytes_data=b"\x00")
        assert json.loads(await ws.receive_from())["errors"] == ["Send text: binary messages are not understood."]


async def test_a_consumer_that_fails_says_so_and_goes_on(open_socket, caplog):
    async with open_socket() as ws:
        await ws.send_to(text_data="fail")
        assert json.loads(await ws.receive_from())["response_status"] == 500
        await ws.send_to(text_data="still here")
        assert await ws.receive_from() == "still here"
    assert "RuntimeError: as asked" in caplog.text


async def test_messages_above_the_rate_are_refused_one_by_one_and_a_flood_closes(open_socket, limits):
    limits(MESSAGE_RATE=0.1)  # one is taken, one is refused, and that was all the patience
    async with open_socket() as ws:
        await ws.send_to(text_data="taken")
        assert await ws.receive_from() == "taken"
        await ws.send_to(text_data="refused")
        refused = json.loads(await ws.receive_from())
        assert refused["response_status"] == 429
        assert refused["errors"] == ["Too many messages: at most 0.1 a second are taken. Send this one again later."]
        await ws.send_to(text_data="too much")
        assert await closed(ws) == (
            CloseCode.FLOODING,
            "Too many messages: at most 0.1 a second are taken. Connect later.",
        )


async def test_a_client_that_is_sent_more_than_it_may_be_is_closed(open_socket, limits):
    limits(MAX_OUTGOING=1024)
    async with open_socket() as ws:
        await ws.send_to(text_data="x" * 1000)
        assert await ws.receive_from() == "x" * 1000
        await ws.send_to(text_data="y" * 100)
        assert await closed(ws) == (
            CloseCode.TOO_SLOW,
            "1100 bytes were sent, and may not have been read. Connect again.",
        )


async def test_what_a_client_is_sent_is_counted_by_the_interval(open_socket, limits, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("core.sockets.consumer.time", SimpleNamespace(monotonic=lambda: now[0]))
    limits(MAX_OUTGOING=1024, PING_INTERVAL=5)
    async with open_socket() as ws:
        for pause in (5.1, 5.1, 4.9):
            await ws.send_to(text_data="x" * 1000)
            assert await ws.receive_from() == "x" * 1000
            now[0] += pause
        await ws.send_to(text_data="y" * 100)
        assert (await closed(ws))[0] == CloseCode.TOO_SLOW


async def test_a_host_that_is_not_this_sites_is_refused(open_socket):
    async with open_socket(host="evil.example") as ws:
        assert await closed(ws) == (CloseCode.FORBIDDEN, "The Host header names no host of this site (ALLOWED_HOSTS).")


async def test_a_closed_socket_is_forgotten_and_told_once(open_socket):
    before, known = Echo.ended, len(keeper)
    async with open_socket():
        assert len(keeper) == known + 1
    assert len(keeper) == known
    assert Echo.ended == before + 1


async def test_a_server_that_blocks_while_it_writes_holds_nobody_up():
    """Servers like uvicorn wait in ``send`` for a client that does not read."""

    class Waiting(SocketConsumer):
        async def opened(self):
            for _ in range(3):
                self.offer("x")
            events.append("went on")

    events, never, inbox = [], asyncio.Event(), asyncio.Queue()

    async def send(message):
        events.append(message["type"])
        if message["type"] == "websocket.send":
            await never.wait()

    scope = {"type": "websocket", "headers": [(b"host", b"testserver")]}
    inbox.put_nowait({"type": "websocket.connect"})
    serving = asyncio.create_task(Waiting.as_asgi()(scope, inbox.get, send))
    while "websocket.send" not in events:
        await asyncio.sleep(0)
    assert events == ["websocket.accept", "went on", "websocket.send"]
    inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})
    await asyncio.wait_for(serving, 60)


def test_an_attribute_that_a_consumer_does_not_have_is_refused_by_name():
    with pytest.raises(TypeError, match="Echo has no attribute 'maping'"):
        Echo.as_asgi(maping={})


async def test_a_socket_whose_application_is_cancelled_says_that_the_server_shuts_down():
    """That is how daphne ends sockets."""
    sent = []

    async def send(message):
        sent.append(message)

    waiting = asyncio.Queue()
    waiting.put_nowait({"type": "websocket.connect"})
    scope = {"type": "websocket", "path": "/ws/", "headers": [(b"host", b"testserver")], "user": None}
    serving = asyncio.create_task(Echo.as_asgi()(scope, waiting.get, send))
    waiting.put_nowait({"type": "websocket.receive", "text": "hello"})
    while len(sent) < 2:
        await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert sent[-1] == {
        "type": "websocket.close",
        "code": CloseCode.SHUTTING_DOWN,
        "reason": "The server shuts down. Connect again.",
    }
