"""The consumer behind ``/ws/``."""

import json

import pytest
from channels.testing import WebsocketCommunicator

from core.bindings import WebsocketDemultiplexer

# A consumer closes connections that an earlier test may have left open.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def socket(channel_layer):
    socket = WebsocketCommunicator(WebsocketDemultiplexer.as_asgi(), "/ws/")
    assert (await socket.connect())[0]
    yield socket
    await socket.disconnect()


async def test_an_unknown_stream_gets_an_error_reply(socket):
    await socket.send_json_to({"stream": "nonsense", "payload": {"action": "list", "request_id": 7}})
    assert await socket.receive_json_from() == {
        "stream": "nonsense",
        "payload": {
            "action": "list",
            "data": {},
            "errors": ["There is no stream 'nonsense'. Streams: none yet."],
            "response_status": 404,
            "request_id": 7,
        },
    }


async def test_malformed_input_gets_an_error_reply_and_the_socket_stays_open(socket):
    for text in ("{", "[]", "{}", '{"stream": "s", "payload": 1}'):
        await socket.send_to(text_data=text)
        assert json.loads(await socket.receive_from())["payload"]["response_status"] == 400
    await socket.send_to(bytes_data=b"\x00")
    reply = await socket.receive_json_from()
    assert reply["payload"]["errors"] == ["Send text: binary messages are not understood."]
