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

# A thousand consumers live in one process here. Floors and peers join their groups all at once, a connection each, and
# redis-py refuses the 101st: a consumer that meets the refusal ends without having opened its socket.
CHANNEL_LAYERS["default"].setdefault("CONFIG", {})["capacity"] = 10_000
for host in CHANNEL_LAYERS["default"]["CONFIG"].get("hosts", []):
    host["max_connections"] = 2_000
