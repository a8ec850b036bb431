"""Tell whether PostgreSQL and Redis answer: ``services.py POSTGRES_URL REDIS_URL``.

Ends with 0 if both do. If one does not: with ``CI=true`` with 1, else with 77 and a word, so that the tests that need
them are skipped.
"""

import os
import sys
from collections.abc import Callable

import psycopg
import redis

SKIPPED = 77


def _postgres(url: str) -> None:
    psycopg.connect(f"{url}/postgres", connect_timeout=30).close()


def _redis(url: str) -> None:
    with redis.Redis.from_url(url, socket_connect_timeout=30) as client:
        client.ping()


def problem(postgres: str, redis_: str) -> str | None:
    """Return what does not answer, and why; None if both do."""
    checks: list[tuple[str, Callable[[str], None], str]] = [
        ("PostgreSQL", _postgres, postgres),
        ("Redis", _redis, redis_),
    ]
    for name, check, url in checks:
        try:
            check(url)
        except (psycopg.Error, redis.RedisError) as error:
            return f"{name} does not answer at {url} ({error})."
    return None


def main() -> None:
    """Ask both."""
    if found := problem(sys.argv[1], sys.argv[2]):
        in_ci = os.environ.get("CI") == "true"
        consequence = "CI needs it." if in_ci else "Skipped the tests that need it."
        print(found, consequence, file=sys.stderr)
        sys.exit(1 if in_ci else SKIPPED)


if __name__ == "__main__":
    main()
