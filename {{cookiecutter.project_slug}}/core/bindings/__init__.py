"""REST and subscriptions over one WebSocket."""

from core.bindings.demultiplexer import WebsocketDemultiplexer

__all__ = ["WebsocketDemultiplexer"]
