"""A process keeps its connections to Redis."""

import threading
from contextvars import Context

from django.core.cache.backends.redis import RedisCache

from core.pooling import MOST, ProcessPool

URL = "redis://127.0.0.1:1/0"  # nobody is asked: a pool connects when it is used


def pool(url=URL, **options):
    cache = RedisCache(url, {"OPTIONS": {"pool_class": "core.pooling.ProcessPool", **options}})
    return cache._cache._get_connection_pool(True)


def test_caches_of_all_contexts_and_threads_have_one_pool():
    found = [pool(), Context().run(pool)]
    thread = threading.Thread(target=lambda: found.append(pool()))
    thread.start()
    thread.join()
    assert len(set(map(id, found))) == 1
    assert isinstance(found[0], ProcessPool)


def test_another_address_or_another_timeout_is_another_pool():
    assert len({id(pool()), id(pool("redis://127.0.0.1:1/1")), id(pool(socket_timeout=3))}) == 3
    assert pool(socket_timeout=3).connection_kwargs["socket_timeout"] == 3


def test_options_may_be_of_any_kind():
    first, again = (pool(retry_on_error=[ConnectionError]) for _ in range(2))
    assert first is again
    assert first.connection_kwargs["retry_on_error"] == [ConnectionError]
    assert pool(retry_on_error=[TimeoutError]) is not first


def test_as_many_threads_as_there_are_may_use_it_unless_it_says_how_many():
    assert pool().max_connections == MOST
    assert pool(max_connections=5).max_connections == 5
