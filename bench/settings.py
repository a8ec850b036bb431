"""The settings of the generated project, with the tables that floors write to and without limits on requests."""

from config.settings import *  # noqa: F403
from config.settings import CACHES, CHANNEL_LAYERS, CORE, INSTALLED_APPS, REST_FRAMEWORK

INSTALLED_APPS += ["bench.plain", "bench.watched"]
# What the floors write is nobody's business: Django alone.
CORE["CHANGES"] = {
    "EXCLUDE": ["sessions", "admin.logentry", "contenttypes", "migrations", "core", "plain"],
}
REST_FRAMEWORK["DEFAULT_THROTTLE_CLASSES"] = []
ROOT_URLCONF = "bench.urls"

# The peer keeps tuples with bytes in them, for which it needs Django's pickle: it has a cache of its own.
CACHES["peer"] = {**CACHES["default"], "OPTIONS": {**CACHES["default"].get("OPTIONS", {})}}
CACHES["peer"]["OPTIONS"].pop("serializer", None)
REST_FRAMEWORK_EXTENSIONS = {"DEFAULT_USE_CACHE": "peer"}

# Floors and peers send to a thousand consumers of one process, which the usual 100 messages do not reach.
CHANNEL_LAYERS["default"].setdefault("CONFIG", {})["capacity"] = 10_000
