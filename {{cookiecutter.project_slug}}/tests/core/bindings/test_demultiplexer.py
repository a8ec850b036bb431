"""The consumer behind ``/ws/``: streams, the order of replies, bad input."""

import asyncio
import json
import threading

import pytest

from core.bindings import AllowAny, ResourceBinding, list_action
from core.sockets import CloseCode
from core.testing import socket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("channel_layer")]


class Gate:
    """Holds up an action until the test opens it."""

    def __init__(self):
        self.event = threading.Event()
        self.begun = threading.Event()


gate = Gate()


class SlowBinding(ResourceBinding):
    permission_classes = (AllowAny,)
    model = None

    @list_action(permission_classes=[AllowAny])
    def slow(self, data=None, **kwargs):
        gate.begun.set()
        assert gate.event.wait(60)
        return data

    @list_action(permission_classes=[AllowAny])
    def quick(self, data=None, **kwargs):
        return data

    @list_action(permission_classes=[AllowAny])
    def broken(self, data=None, **kwargs):
        raise RuntimeError("as asked")

    @list_action(permission_classes=[AllowAny])
    def unsayable(self, data=None, **kwargs):
        return float("nan")


@pytest.fixture
def slow_streams(serve_streams):
    gate.__init__()
    yield serve_streams(slow=SlowBinding, other=SlowBinding)
    gate.event.set()


async def send(ws, stream, action, **payload):
    await ws.communicator.send_json_to({"stream": stream, "payload": {"action": action, **payload}})


async def received(ws):
    return (await ws.communicator.receive_json_from())["payload"]


async def test_an_unknown_stream_gets_an_error_reply(serve_streams):
    async with socket(demultiplexer=serve_streams(slow=SlowBinding)) as ws:
        await ws.communicator.send_json_to({"stream": "nonsense", "payload": {"action": "list", "request_id": 7}})
        assert await ws.communicator.receive_json_from() == {
            "stream": "nonsense",
            "payload": {
                "action": "list",
                "data": {},
                "errors": ["There is no stream 'nonsense'. Streams: slow."],
                "response_status": 404,
                "request_id": 7,
            },
        }


async def test_an_unknown_action_gets_an_error_reply_that_names_the_actions(slow_streams):
    async with socket(demultiplexer=slow_streams) as ws:
        reply = await ws.request("slow", "nonsense")
        assert (reply["response_status"], reply["action"]) == (405, "nonsense")
        assert reply["errors"] == ["There is no action 'nonsense' here. Actions: broken, quick, slow, unsayable."]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"stream": "s", "payload": 1}', '{"stream": "s", "payload": {}}'])
async def test_malformed_input_gets_an_error_reply_and_the_socket_stays_open(serve_streams, text):
    async with socket(demultiplexer=serve_streams()) as ws:
        await ws.communicator.send_to(text_data=text)
        assert json.loads(await ws.communicator.receive_from())["payload"]["response_status"] == 400
        await send(ws, "s", "list", request_id="still here")
        assert (await received(ws))["request_id"] == "still here"


async def test_a_binary_message_gets_an_error_reply(serve_streams):
    async with socket(demultiplexer=serve_streams()) as ws:
        await ws.communicator.send_to(bytes_data=b"\x00")
        assert (await received(ws))["errors"] == ["Send text: binary messages are not understood."]


async def test_a_refusal_keeps_the_request_id_where_it_can_be_read(settings, slow_streams):
    settings.CORE = {**settings.CORE, "SOCKETS": {"MESSAGE_RATE": 0.1, "MAX_MESSAGE_SIZE": 200}}
    async with socket(demultiplexer=slow_streams) as ws:
        await send(ws, "slow", "quick", request_id="one too many")
        reply = await received(ws)
        assert (reply["response_status"], reply["request_id"], reply["action"]) == (429, "one too many", "quick")


async def test_a_message_that_is_too_large_gets_an_error_reply(settings, slow_streams):
    settings.CORE = {**settings.CORE, "SOCKETS": {"MAX_MESSAGE_SIZE": 200}}
    async with socket(demultiplexer=slow_streams) as ws:
        await send(ws, "slow", "quick", data="x" * 200)
        assert (await ws.communicator.receive_json_from())["payload"]["response_status"] == 413
        assert (await ws.request("slow", "quick", 1))["data"] == 1


@pytest.mark.parametrize("stream", ["slow", "nowhere"])
async def test_what_cannot_be_written_back_does_not_stop_the_stream(slow_streams, stream):
    """Half a surrogate pair, and a request_id nested so deeply that it can just be read."""
    nested = ["[" * depth + "]" * depth for depth in range(850, 1000, 50)]
    async with socket(demultiplexer=slow_streams) as ws:
        for request_id in ('"\\ud800"', *nested):
            payload = f'{{"action": "quick", "request_id": {request_id}}}'
            await ws.communicator.send_to(text_data=f'{{"stream": "{stream}", "payload": {payload}}}')
            answer = json.loads(await ws.communicator.receive_from())
            assert answer["payload"]["response_status"] in {200, 404, 400, 500}
            assert answer["payload"]["request_id"] in ("\ud800", None) or request_id in nested
            assert (await ws.request("slow", "quick", 1))["data"] == 1


async def test_requests_of_one_stream_are_answered_in_order(slow_streams):
    async with socket(demultiplexer=slow_streams) as ws:
        await send(ws, "slow", "slow", data=0)
        for number in range(1, 10):
            await send(ws, "slow", "quick", data=number)
        gate.event.set()
        assert [(await received(ws))["data"] for _ in range(10)] == list(range(10))


async def test_a_slow_request_on_one_stream_does_not_hold_up_another(slow_streams):
    async with socket(demultiplexer=slow_streams) as ws:
        await send(ws, "slow", "slow", data="slow")
        assert await asyncio.to_thread(gate.begun.wait, 60)
        assert (await ws.request("other", "quick", "quick"))["data"] == "quick"
        gate.event.set()
        assert (await received(ws))["data"] == "slow"


@pytest.mark.parametrize("action", ["broken", "unsayable"])
async def test_a_stream_that_fails_hurts_no_other_and_says_nothing_of_the_inside(slow_streams, caplog, action):
    async with socket(demultiplexer=slow_streams) as ws:
        reply = await ws.request("slow", action)
        assert (reply["response_status"], reply["data"]) == (500, {})
        assert reply["errors"] == ["The server could not do this. The failure has been logged."]
        assert "An action on a socket failed." in caplog.text
        for stream in ("other", "slow"):
            assert (await ws.request(stream, "quick", 1))["data"] == 1


async def test_more_requests_than_may_wait_are_refused(slow_streams, bindings_settings):
    bindings_settings(MAX_PENDING=2)
    async with socket(demultiplexer=slow_streams) as ws:
        for number in range(3):
            await send(ws, "slow", "slow", data=number, request_id=number)
        reply = await received(ws)
        assert (reply["response_status"], reply["request_id"]) == (429, 2)
        gate.event.set()
        assert [(await received(ws))["data"] for _ in range(2)] == [0, 1]
        assert (await ws.request("slow", "quick", 3))["data"] == 3


async def test_a_client_that_leaves_while_a_request_runs_hurts_nobody(slow_streams):
    async with socket(demultiplexer=slow_streams) as stayer:
        async with socket(demultiplexer=slow_streams) as ws:
            await send(ws, "slow", "slow")
            assert await asyncio.to_thread(gate.begun.wait, 60)
            gate.event.set()
        assert (await stayer.request("slow", "quick", 1))["data"] == 1


async def test_a_deactivated_user_who_asks_is_closed_with_4401(author):
    async with socket(author) as ws:
        assert (await ws.request("questions", "list"))["response_status"] == 200
        author.is_active = False
        await author.asave()
        await send(ws, "questions", "list")
        assert await ws.close_code() == CloseCode.NOT_AUTHENTICATED
