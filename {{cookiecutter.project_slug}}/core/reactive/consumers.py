"""The consumers of live queries: one for clients, two that start the worker of a ``runworker`` process."""

import logging
import re
from typing import Any

from asgiref.sync import sync_to_async
from channels.consumer import AsyncConsumer
from django.db import connections

from core.conf import core_settings
from core.reactive.delivery import post
from core.reactive.hosting import host
from core.reactive.owners import owner_of_scope
from core.reactive.registry import Line
from core.reactive.store import NotOwnerError, admit
from core.sockets import CloseCode, SocketConsumer

logger = logging.getLogger(__name__)

SUBSCRIBER_ID = re.compile(r"[A-Za-z0-9._~-]{1,100}")
"""What a subscriber may call itself."""


class ClientConsumer(SocketConsumer):
    """The socket on ``/ws/<subscriber_id>``: tells a subscriber of every difference. It takes no messages but pings."""

    subscriber = ""
    _line: Line | None = None

    async def opened(self) -> None:
        """Begin to send, unless the subscriber belongs to another caller."""
        self.subscriber = self.scope["url_route"]["kwargs"]["subscriber_id"]
        if not SUBSCRIBER_ID.fullmatch(self.subscriber):
            self.close(CloseCode.NOT_FOUND)
            return
        if not await sync_to_async(self._admitted)():
            self.close(CloseCode.FORBIDDEN)
            return
        if not self.closing:
            self._line = post.connect(self)

    def _admitted(self) -> bool:
        try:
            admit(self.subscriber, owner_of_scope(self.scope))
        except NotOwnerError:
            return False
        finally:
            connections.close_all()
        return True

    def received(self, text: str) -> None:
        """Say that nothing is expected."""
        self.refused(400, "This socket takes no messages but pings: ask by GET with ?observe=<subscriber>.", text)

    async def left(self) -> None:
        """Cease to send. The queries stay live for ``SUBSCRIBER_TIMEOUT``, for those who come back."""
        if self._line is not None:
            post.registry.discard(self._line)


class WorkerConsumer(AsyncConsumer):
    """Has this process be a worker of live queries: ``manage.py runworker core.reactive.worker``.

    Channels makes a consumer with the first message on its channel. Servers send one every few seconds.
    """

    async def core_reactive_notify(self, message: Any) -> None:
        """Start the worker if it does not run, and have it look at once."""
        del message
        if core_settings.REACTIVE.ENABLED:
            host.want()


class PollObserversConsumer(WorkerConsumer):
    """The same on ``core.reactive.poll_observer``. A worker evaluates what is polled when it is due, as all else."""
