"""The consumer behind ``/ws/``: one socket, any number of streams, told apart by name."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from channels.generic.websocket import AsyncWebsocketConsumer

from core.bindings.messages import BAD_REQUEST, NOT_FOUND, UnreadableMessageError, error_reply, parse


class WebsocketDemultiplexer(AsyncWebsocketConsumer):
    """Routes each message to the stream it names.

    ``mapping`` gives the streams. A message for one that it does not hold, or that is no message at all, gets an
    error in reply and the socket stays open.
    """

    mapping: ClassVar[Mapping[str, Any]] = {}

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer one message."""
        try:
            request = parse(text_data)
        except UnreadableMessageError as error:
            await self.reply(error_reply(error.stream, error.payload, BAD_REQUEST, error.sentence))
            return
        streams = ", ".join(sorted(self.mapping)) or "none yet"
        sentence = f"There is no stream {request.stream!r}. Streams: {streams}."
        await self.reply(error_reply(request.stream, request.payload, NOT_FOUND, sentence))

    async def reply(self, message: dict[str, Any]) -> None:
        """Send ``message`` as JSON."""
        await self.send(text_data=json.dumps(message))
