"""Settings of the tests: the project's own, on an environment that does not depend on anybody's ``.env``.

``DATABASE_URL`` and ``REDIS_URL`` of the real environment are honoured, so that the same tests run on SQLite and
PostgreSQL, in memory and on Redis.
"""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

os.environ["ENV_FILE"] = os.devnull
os.environ["DEBUG"] = "true"
os.environ["SECRET_KEY"] = "only-for-tests-" + "x" * 40
os.environ["ALLOWED_HOSTS"] = "testserver,localhost,127.0.0.1"
# Runs that share a Redis, and workers of one run, must not meet in it.
os.environ["REDIS_PREFIX"] = f"test-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}-" + os.environ.get(
    "PYTEST_XDIST_WORKER", "main"
)

from config.settings import *  # noqa: F403
from config.settings import CORE, DATABASES, INSTALLED_APPS, REST_FRAMEWORK

INSTALLED_APPS += ["tests.testapp"]
if "polls" not in INSTALLED_APPS and find_spec("polls"):
    # The site no longer serves the example, but the tests of core still use it.
    INSTALLED_APPS += ["polls"]
    ROOT_URLCONF = "tests.urls"
CORE["CHANGES"] = {"EXCLUDE": ["sessions", "admin.logentry", "contenttypes", "migrations", "core", "testapp.quiet"]}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, because threads that write to an in-memory database do not wait for each other as they do in life.
    _folder = Path(tempfile.gettempdir()) / f"test-db-{os.getpid()}"
    DATABASES["default"]["TEST"] = {"NAME": f"{_folder}.sqlite3"}
# Tests count on being answered; those of the throttles set rates of their own.
REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] = dict.fromkeys(("anon", "user", "token"), "100000/min")

# Models and permissions that only tests need; guardian's backend is switched on in the tests of its permissions.
INSTALLED_APPS += ["guardian", "tests.nesting_app", "tests.bulk_app", "tests.caching_app"]
ANONYMOUS_USER_NAME = None  # guardian would add a user
SILENCED_SYSTEM_CHECKS = ["guardian.W001"]  # its backend is not there
