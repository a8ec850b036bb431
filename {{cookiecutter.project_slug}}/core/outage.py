"""A cache that does not answer: one warning when it begins, one line when it is over, and no waiting in between.

Whoever uses the cache for something that the site can do without goes through the ``guard``: versions, cached answers,
throttles. After a failure the cache is left alone for ``PAUSE`` seconds, because an unreachable host costs every
request its timeout.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured

logger = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds after a failure in which optional uses of the cache are not even tried."""

_Result = TypeVar("_Result")


class Guard:
    """Calls functions that use the cache, and turns what they raise into a default."""

    def __init__(self) -> None:
        self._failed_at: float | None = None
        self._lock = threading.Lock()

    @property
    def pausing(self) -> bool:
        """Whether the cache has failed so recently that it is not worth trying."""
        failed_at = self._failed_at
        return failed_at is not None and time.monotonic() - failed_at < PAUSE

    def call(self, use: Callable[[], _Result], default: _Result, *, insist: bool = False) -> _Result:
        """Return what ``use`` returns, or ``default`` if it raises or the cache has failed a moment ago.

        ``insist`` tries in spite of a recent failure. Raises ``ImproperlyConfigured`` all the same.
        """
        if self._failed_at is not None and self.pausing and not insist:
            return default
        try:
            result = use()
        except ImproperlyConfigured:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a cache may raise
            self.failed(error)
            return default
        if self._failed_at is not None:
            self.recovered()
        return result

    def failed(self, error: Exception) -> None:
        """Take note that the cache did not answer; say so once."""
        with self._lock:
            first, self._failed_at = self._failed_at is None, time.monotonic()
        if first:
            logger.warning("The cache does not answer; the site goes on without it, slower: %r", error)

    def recovered(self) -> None:
        """Take note that the cache answers."""
        with self._lock:
            again, self._failed_at = self._failed_at is not None, None
        if again:
            logger.info("The cache answers again.")


guard = Guard()
"""The guard of this process."""
