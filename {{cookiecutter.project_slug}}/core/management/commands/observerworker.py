"""``manage.py observerworker``: a worker of live queries in one supervised process."""

import asyncio
import signal
from typing import Any

from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.core.management.base import BaseCommand, CommandError

from core.changes import doorbell
from core.conf import core_settings
from core.reactive.hosting import host
from core.supervisor import Supervisor


class Command(BaseCommand):
    """Evaluates live queries until SIGTERM or Ctrl-C; restarts what fails. Run as many as are needed."""

    help = "Evaluate live queries, as runworker does on their channels, and restart whatever fails."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until asked to stop. Raises ``CommandError`` where it could do nothing."""
        del args, options
        enabled = core_settings.REACTIVE.ENABLED
        if enabled and isinstance(get_channel_layer(), InMemoryChannelLayer):
            raise CommandError(
                "The channel layer is in memory, where the server itself evaluates live queries and no other process "
                "reaches its sockets. Set REDIS_URL, or start nothing."
            )
        # Not an error where they are off: who starts it, as compose does, would only start it again.
        self.stdout.write(
            "Evaluating live queries. Stop with Ctrl-C."
            if enabled
            else "Live queries are off, there is nothing to do. Set CORE_REACTIVE_ENABLED=true, or stop with Ctrl-C."
        )
        asyncio.run(_serve(enabled=enabled))
        self.stdout.write("Stopped.")


async def _serve(*, enabled: bool) -> None:
    supervisor, stopped = Supervisor(), asyncio.Event()
    if enabled:
        supervisor.add("core.changes.doorbell", doorbell.server_sender.run)
        supervisor.add("core.reactive.worker", host.run)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    host.want()
    supervisor.start()
    await stopped.wait()
    await supervisor.stop()
