"""The settings of the generated project, with the tables that floors write to and without limits on requests."""

from config.settings import *  # noqa: F403
from config.settings import CORE, INSTALLED_APPS, REST_FRAMEWORK

INSTALLED_APPS += ["bench.plain", "bench.watched"]
# What the floors write is nobody's business: Django alone.
CORE["CHANGES"] = {
    "EXCLUDE": ["sessions", "admin.logentry", "contenttypes", "migrations", "core", "plain"],
}
REST_FRAMEWORK["DEFAULT_THROTTLE_CLASSES"] = []
ROOT_URLCONF = "bench.urls"
