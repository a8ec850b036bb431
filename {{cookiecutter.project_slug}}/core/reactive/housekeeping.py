"""Keeps the tables of live queries small: whoever is gone goes, and what nobody needs goes with them."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import Final

from django.db import connections
from django.db.models import Exists, Max, OuterRef

from core.conf import core_settings
from core.models import Difference, Observer, Subscriber, Subscription
from core.reactive import store
from core.reactive.protocol import notice
from core.reactive.publishing import tell

logger = logging.getLogger(__name__)

HEARTBEAT: Final = 0.25
"""How often subscribers that are connected are said to be there, as a part of ``SUBSCRIBER_TIMEOUT``."""
LONGEST_PAUSE: Final = 15.0
"""Seconds between two rounds at most."""
JOURNAL_AGE: Final = 600.0
"""Seconds after which a difference is told no more."""
UNUSED_FOR: Final = 60.0
"""Seconds for which an observer without subscribers stays: somebody may be about to subscribe."""


def heartbeat(subscribers: Iterable[str]) -> None:
    """Keep ``subscribers``, who are connected, from expiring."""
    until = time.time() + core_settings.REACTIVE.SUBSCRIBER_TIMEOUT
    for block in store.blocks(subscribers):
        Subscriber.objects.filter(pk__in=block).update(expires_at=until)


def tidy() -> None:
    """Remove subscribers that have expired, observers without subscribers, and old differences."""
    now = time.time()
    Subscriber.objects.filter(expires_at__lt=now).delete()
    subscriber = Subscriber.objects.filter(pk=OuterRef("subscriber_id"))
    Subscription.objects.filter(~Exists(subscriber)).delete()
    Subscription.objects.filter(ended_at__lt=now - 2 * core_settings.REACTIVE.REPAIR_INTERVAL).delete()
    subscription = Subscription.objects.filter(observer=OuterRef("pk"))
    Observer.objects.filter(~Exists(subscription), updated_at__lt=now - UNUSED_FOR).delete()
    Difference.objects.filter(created_at__lt=now - JOURNAL_AGE).delete()
    Difference.objects.filter(~Exists(Observer.objects.filter(pk=OuterRef("observer_id")))).delete()
    _shorten_journals()


def _shorten_journals() -> None:
    length = core_settings.REACTIVE.JOURNAL_LENGTH
    newest = Difference.objects.values("observer_id").annotate(newest=Max("seq"))
    for observer, last in newest.values_list("observer_id", "newest"):
        Difference.objects.filter(observer=observer, seq__lte=last - length).delete()


def clear() -> int:
    """Remove all observers and subscribers, and tell these to ask again; return how many observers there were."""
    told: dict[str, dict[str, str | None]] = {}
    for observer, subscriber, caller in Subscription.objects.values_list("observer_id", "subscriber_id", "caller"):
        told.setdefault(observer, {})[subscriber] = caller["user_pk"]
    removed = Observer.objects.all().delete()[0]
    for model in (Subscription, Subscriber, Difference):
        model.objects.all().delete()
    for observer, subscribers in told.items():
        tell(observer, notice("reload", observer), subscribers)
    return removed


async def keep_house(connected: Callable[[], list[str]], threads: Executor) -> None:
    """Say which subscribers are connected, and tidy up, for ever."""
    failing = False
    while True:
        try:
            await asyncio.get_running_loop().run_in_executor(threads, _round, connected())
            failing = False
        except Exception as error:  # noqa: BLE001 - whatever a database may raise
            if not failing:
                logger.warning("The tables of live queries cannot be tidied; trying on: %r", error)
            failing = True
        pause = min(core_settings.REACTIVE.SUBSCRIBER_TIMEOUT * HEARTBEAT, LONGEST_PAUSE)
        await asyncio.sleep(pause * random.uniform(0.75, 1))  # noqa: S311 - not all processes at once


def _round(connected: list[str]) -> None:
    try:
        heartbeat(connected)
        tidy()
    finally:
        connections.close_all()


def live_observers() -> list[Observer]:
    """Return all observers with their subscriptions."""
    return list(Observer.objects.order_by("question__view", "pk").prefetch_related("subscriptions"))
