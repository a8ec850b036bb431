"""Doorbells: messages on the channel layer that say "look into the log now".

A layer drops messages when it is full, and loses them when a process dies; so a doorbell is never the only copy of
anything, as long as there is a log. Without one (``CORE["CHANGES"]["LOG"]`` is false) the doorbells carry the changes
themselves, and what the layer loses is lost.

Who sends: in a server process one task on the server's event loop, fed from any thread, since starting a loop and
a connection for each message would cost more than the write. In a process without a server (shell, command, worker
thread) the same task runs on a loop of its own, in a thread that is started with the first message. In-memory layers
are the exception there: nobody outside this process listens to one, so the message is put into it directly.
"""

import asyncio
import atexit
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from channels.layers import InMemoryChannelLayer, get_channel_layer

from core.changes import log
from core.changes.change import Change
from core.changes.encoding import encode
from core.changes.listening import end_if_cancelled
from core.changes.process import in_child, this_process

logger = logging.getLogger(__name__)

GROUP: Final = "core.changes"
"""The group that every process with a log reader joins."""
RING: Final = "core.changes.ring"
"""Type of a doorbell: ``{"type", "origin", "using", "changes"}``; ``changes`` is null where a log holds them."""
MOST_WAITING: Final = 1000
"""Messages that wait for the layer; when there are more, the oldest are dropped."""
PAUSE: Final = 0.01
"""Seconds between two rounds of sending: in a stream of writes the doorbells of so long are one."""
SEND_TIMEOUT: Final = 5.0
"""Seconds that the layer may take for one message."""
FLUSH_TIMEOUT: Final = 2.0
"""Seconds that a process without a server waits at its end for the last messages to leave."""


def ring(using: str, changes: list[Change], *, logged: bool) -> None:
    """Tell other processes that ``changes`` were committed. Never raises, never waits for the layer."""
    if not log.is_wanted():
        return
    carried = None if logged else encode(changes)
    send(GROUP, {"type": RING, "origin": this_process.origin, "using": using, "changes": carried})


def send(group: str, message: Mapping[str, Any]) -> None:
    """Send ``message`` to ``group`` soon, from any thread. What goes wrong is logged.

    A message equal to one that still waits is not sent twice.
    """
    try:
        _send(group, dict(message))
    except Exception:
        logger.exception("A message to the group %s could not be sent.", group)


def _send(group: str, message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is None:
        return
    if server_sender.feed(group, message):
        return
    if isinstance(layer, InMemoryChannelLayer):
        if layer.groups.get(group):
            _send_directly(layer, group, message)
    else:
        _own_sender().feed(group, message)


def _send_directly(layer: Any, group: str, message: dict[str, Any]) -> None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        async_to_sync(layer.group_send)(group, message)
    else:  # synchronous code called on a loop's own thread
        task = loop.create_task(layer.group_send(group, message))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


_tasks: set[asyncio.Task[None]] = set()  # the loop itself keeps no reference


class Sender:
    """Sends messages one after the other on the event loop where ``run`` was started."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Be one that does not run and has nothing to send."""
        self._waiting: OrderedDict[tuple[str, str], tuple[str, dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fed: asyncio.Event | None = None
        self._idle = threading.Event()
        self._idle.set()
        self._failing = False

    def feed(self, group: str, message: dict[str, Any]) -> bool:
        """Have ``message`` sent; return False if nothing runs here that could."""
        with self._lock:
            loop, fed = self._loop, self._fed
            if loop is None or fed is None or loop.is_closed():
                return False
            if not self._waiting:
                self._idle.clear()
                loop.call_soon_threadsafe(fed.set)
            self._waiting[group, repr(message)] = (group, message)
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)
        return True

    async def run(self) -> None:
        """Send what is fed, for ever."""
        fed = asyncio.Event()
        with self._lock:
            self._loop, self._fed = asyncio.get_running_loop(), fed
            if self._waiting:
                fed.set()
        try:
            while True:
                await fed.wait()
                fed.clear()
                while (item := self._next()) is not None:
                    await self._deliver(*item)
                    end_if_cancelled()
                await asyncio.sleep(PAUSE)
        finally:
            with self._lock:
                self._loop = self._fed = None

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait in another thread until everything fed has left; return False after ``timeout`` seconds."""
        return self._idle.wait(timeout)

    def _next(self) -> tuple[str, dict[str, Any]] | None:
        with self._lock:
            if not self._waiting:
                self._idle.set()
                return None
            return self._waiting.popitem(last=False)[1]

    async def _deliver(self, group: str, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                await get_channel_layer().group_send(group, message)
            self._failing = False
        except ChannelFull:
            logger.info("The channel layer is full: a message to the group %s was dropped.", group)
        except Exception as error:  # noqa: BLE001 - whatever a layer may raise
            # Once per outage: with every write a line, the log would be the next thing to be full.
            level = logging.DEBUG if self._failing else logging.ERROR
            self._failing = True
            logger.log(level, "The channel layer fails; messages are lost until it works: %r", error)


server_sender = Sender()
"""The sender on the server's event loop; it runs where the server does."""


class _OwnSender(Sender):
    """A sender with a thread and a loop of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._running = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.run()), name="core.changes.doorbell", daemon=True).start()
        self._running.wait(FLUSH_TIMEOUT)

    async def run(self) -> None:
        asyncio.get_running_loop().call_soon(self._running.set)
        await super().run()


_own: _OwnSender | None = None
_own_lock = threading.Lock()


def _forked() -> None:
    """Leave to the parent what its loops have to send; a child has loops of its own."""
    global _own, _own_lock
    _own, _own_lock = None, threading.Lock()
    server_sender.reset()


in_child(_forked)


def _own_sender() -> _OwnSender:
    global _own  # noqa: PLW0603 - one per process
    with _own_lock:
        if _own is None:
            _own = _OwnSender()
            _before_exit(_own.wait_until_idle, FLUSH_TIMEOUT)
        return _own


def _before_exit(function: Callable[..., object], *arguments: object) -> None:
    """Call ``function`` at the end of the interpreter, while everything still works.

    ``atexit`` comes after the pools of ``concurrent.futures`` have closed, where asyncio looks up host names.
    """
    register: Any = getattr(threading, "_register_atexit", atexit.register)
    try:
        register(function, *arguments)
    except RuntimeError:  # the end has begun
        atexit.register(function, *arguments)
