"""Threads of tests, which leave no connection behind."""

import threading

from django.core.cache import caches
from django.db import connections


def start(function, *args):
    """Run ``function`` in a thread; close at its end what Django keeps per thread."""

    def run():
        try:
            function(*args)
        finally:
            connections.close_all()
            close_caches()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def close_caches():
    """Close the connections to Redis that nobody uses at the moment: all threads have them from one pool."""
    for cache in caches.all(initialized_only=True):
        for pool in getattr(getattr(cache, "_cache", None), "_pools", {}).values():
            pool.disconnect(inuse_connections=False)
