"""Settings of the project, driven by the environment; ``.env`` is read if present.

Every variable is listed, with its default, in ``.env.example``. With none set but ``DEBUG`` the project runs
on what it brings along: SQLite, local memory for cache and channel layer. ``DATABASE_URL`` and ``REDIS_URL``
make it grow, with no other change.
"""

import difflib
import logging
import os
import re
import tomllib
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
# What the process was started with wins over the file. ENV_FILE names another file, or none at all.
_env_file = Path(os.environ.get("ENV_FILE", BASE_DIR / ".env"))
_example = BASE_DIR / ".env.example"
if _env_file.is_file():
    env.read_env(_env_file)
    # A variable whose name is misspelt is one that nobody reads. Those of your own stand in the example as well.
    _known = re.findall(r"^#?(\w+)=", _example.read_text(encoding="utf-8"), re.MULTILINE) if _example.is_file() else []
    for _name in re.findall(r"^\s*(?:export\s+)?(\w+)\s*=", _env_file.read_text(encoding="utf-8"), re.MULTILINE):
        if _name not in _known and (_meant := difflib.get_close_matches(_name.upper(), _known, 1, cutoff=0.85)):
            raise ImproperlyConfigured(
                f"{_name} stands in {_env_file.name} and means nothing. Write {_meant[0]}; "
                "or, if it is one of your own, add it to .env.example."
            )


# A value that is no good is refused by name, with what to write instead. Empty counts as not set.


def text(name: str, *, default: str, pattern: str = "", advice: str = "") -> str:
    """Read a string from the environment; raise ``ImproperlyConfigured`` where it does not match ``pattern``."""
    value = env.str(name, default="").strip() or default
    if pattern and not re.fullmatch(pattern, value):
        raise ImproperlyConfigured(f"{name} is {value!r} in the environment. {advice}")
    return value


def flag(name: str, *, default: bool) -> bool:
    """Read a boolean from the environment. A typing error must not read as "off", as it would with ``env.bool``."""
    words = "(?i)true|yes|on|1|false|no|off|0"
    value = text(name, default=str(default), pattern=words, advice="Write true or false.")
    return value.lower() in {"true", "yes", "on", "1"}


def number(name: str, *, default: int) -> int:
    """Read a whole number from the environment, zero or more."""
    return int(text(name, default=str(default), pattern="[0-9]{1,9}", advice=f"Write a number, such as {default}."))


def hosts(name: str, pattern: str, advice: str) -> list[str]:
    """Read a list from the environment, of which each item matches ``pattern``."""
    items = [item.strip() for item in text(name, default="").split(",") if item.strip()]
    if wrong := [item for item in items if not re.fullmatch(pattern, item)]:
        raise ImproperlyConfigured(f"{name} has {wrong[0]!r} in the environment. {advice}")
    return items


# --- The project's own description, written once, in pyproject.toml ----------------------------------------

_pyproject: dict[str, Any] = tomllib.loads((BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))
SITE_TITLE: str = _pyproject["tool"]["site"]["title"]
SITE_DESCRIPTION: str = _pyproject["project"]["description"]
SITE_VERSION: str = _pyproject["project"]["version"]

# --- Security ----------------------------------------------------------------------------------------------

DEBUG = flag("DEBUG", default=False)

SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY and DEBUG:
    SECRET_KEY = "insecure-and-only-for-debugging"  # noqa: S105 - never used without DEBUG
if not DEBUG and (len(SECRET_KEY) < 40 or SECRET_KEY.startswith(("change-me", "insecure", "django-insecure"))):
    raise ImproperlyConfigured(
        "SECRET_KEY is missing, too short or a placeholder. Set it in the environment or in .env to the output of: "
        "python -c 'import secrets; print(secrets.token_urlsafe(50))'"
    )

ALLOWED_HOSTS = hosts("ALLOWED_HOSTS", r"[^/\s]+", "Write host names without a scheme, such as example.com.")
CSRF_TRUSTED_ORIGINS = hosts("CSRF_TRUSTED_ORIGINS", r"https?://[^/\s]+", "Write origins, such as https://example.com.")

# HTTPS=true for a site that is reached by https:// only.
HTTPS = flag("HTTPS", default=False)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
# Browsers remember this promise; raise it to a year when nothing needs http:// any more.
SECURE_HSTS_SECONDS = number("HSTS_SECONDS", default=3600) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = flag("HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = flag("HSTS_PRELOAD", default=False)
# Number of proxies in front that add to X-Forwarded-For and set X-Forwarded-Proto themselves. With none, both
# headers are a client's invention and are not looked at.
PROXIES = number("PROXIES", default=0)
if PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- Applications ------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "daphne",  # first: it brings the runserver that speaks WebSocket
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "rest_framework.authtoken",
    "core",
    "polls",
]

MIDDLEWARE = [
    "core.health.HealthMiddleware",  # first: probes come by address, without TLS
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database ----------------------------------------------------------------------------------------------

_database_url = text(
    "DATABASE_URL",
    default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}",
    pattern=r"(postgres|postgresql|sqlite)://.+",
    advice="Write an address such as postgres://user:password@127.0.0.1:5432/name or sqlite:////path/to/file.",
)
DATABASES: dict[str, dict[str, Any]] = {"default": env.db_url_config(_database_url)}
# Connections that PostgreSQL's pool keeps, shared by all threads of the process; 0 opens one per request instead.
_pool_size = number("DATABASE_POOL_SIZE", default=20)
_database = DATABASES["default"]
# Off, because under SQLite's immediate transactions read-only requests would wait for each other.
_database["ATOMIC_REQUESTS"] = flag("ATOMIC_REQUESTS", default=False)
if _database["ENGINE"] == "django.db.backends.sqlite3":
    # Readers and one writer at the same time; a writer takes its lock at BEGIN, where waiting works, and not
    # in mid-transaction, where SQLite answers "database is locked" at once.
    _database["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
        "timeout": 20,  # seconds
        "transaction_mode": "IMMEDIATE",
    }
elif _database["ENGINE"] == "django.db.backends.postgresql":
    _database.setdefault("OPTIONS", {})
    _database["OPTIONS"].setdefault("connect_timeout", 5)  # seconds
    if _pool_size:
        _database["OPTIONS"].setdefault("pool", {"min_size": 0, "max_size": _pool_size, "timeout": 10})
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Cache and channel layer -------------------------------------------------------------------------------

REDIS_URL = text(
    "REDIS_URL",
    default="",
    pattern=r"((rediss?|unix)://.+)?",
    advice="Write an address such as redis://127.0.0.1:6379/0.",
)
# Lets several projects, or several runs of the tests, share one Redis.
REDIS_PREFIX = text("REDIS_PREFIX", default="site")

CACHES: dict[str, dict[str, Any]]
CHANNEL_LAYERS: dict[str, dict[str, Any]]
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": REDIS_PREFIX,
            "OPTIONS": {
                "serializer": "core.serialization.JSONCacheSerializer",
                "pool_class": "core.pooling.ProcessPool",
                "socket_connect_timeout": 2,  # seconds
                "socket_timeout": 2,
            },
        },
    }
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {
                # redis-py 8 gives up reading after 5 s, channels-redis waits for that long: without room
                # between the two every idle consumer dies.
                "hosts": [{"address": REDIS_URL, "socket_timeout": 15}],
                "prefix": f"{REDIS_PREFIX}:layer",
            },
        },
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

# --- Users -------------------------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "rest_framework:login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"

# --- Language and time -------------------------------------------------------------------------------------

LANGUAGE_CODE = "en-us"
TIME_ZONE = text("TIME_ZONE", default="UTC")
if TIME_ZONE not in available_timezones():
    raise ImproperlyConfigured(f"TIME_ZONE is {TIME_ZONE!r} in the environment. Write a name such as Europe/Ljubljana.")
USE_TZ = True

# --- Static files ------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
_static_storage = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
    if DEBUG
    else "whitenoise.storage.CompressedManifestStaticFilesStorage"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _static_storage},
}
if DEBUG:
    # Nothing is collected in development: whitenoise would warn that the folder is not there.
    WHITENOISE_USE_FINDERS = True
    WHITENOISE_AUTOREFRESH = True

# --- API ---------------------------------------------------------------------------------------------------


def rate(name: str, *, default: str) -> str:
    """Read a rate of requests from the environment."""
    advice = f"Write a number per s, min, hour or day, such as {default}."
    return text(name, default=default, pattern=r"[0-9]+/(s|sec|m|min|h|hour|d|day)", advice=advice)


REST_FRAMEWORK = {
    # The token comes first because its challenge makes "not logged in" a 401 and "not allowed" a 403.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.DjangoModelPermissionsOrAnonReadOnly"],
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.OrderingFilter",
    ],
    "DEFAULT_PAGINATION_CLASS": "core.pagination.LimitOffsetPagination",
    "PAGE_SIZE": 25,
    "DEFAULT_SCHEMA_CLASS": "core.schema.AutoSchema",
    # DRF's own, which count in the cache, would answer 500 while it is down.
    "DEFAULT_THROTTLE_CLASSES": [
        "core.throttling.AnonRateThrottle",
        "core.throttling.UserRateThrottle",
        "core.throttling.ScopedRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "anon": rate("THROTTLE_ANON", default="600/min"),
        "user": rate("THROTTLE_USER", default="3000/min"),
        "token": rate("THROTTLE_TOKEN", default="10/min"),  # guesses at a password, per address
    },
    "NUM_PROXIES": PROXIES,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": SITE_TITLE,
    "DESCRIPTION": SITE_DESCRIPTION,
    "VERSION": SITE_VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api",
    "COMPONENT_SPLIT_REQUEST": True,
}

# --- The features of core ----------------------------------------------------------------------------------

_features = ("BATCH", "ROUTERS", "CACHING", "ETAGS", "BULK", "REACTIVE", "BINDINGS")
_ours = f"CORE_({'|'.join(_features)}|CHANGES|SOCKETS)_.*|CORE_.*_ENABLED"
for _name in os.environ:
    if re.fullmatch(_ours, _name) and _name not in {f"CORE_{feature}_ENABLED" for feature in _features}:
        raise ImproperlyConfigured(
            f"{_name} stands in the environment and means nothing. The toggles are CORE_<name>_ENABLED with one of "
            f"{', '.join(_features)}; all else is set in config/settings.py, in CORE."
        )
# What else can be set stands in docs/, such as CORE["REACTIVE"]["THROTTLE_RATE"] = 1.
CORE: dict[str, dict[str, Any]] = {
    **{feature: {"ENABLED": flag(f"CORE_{feature}_ENABLED", default=True)} for feature in _features},
    "CHANGES": {},
    "SOCKETS": {},
}

# --- Logging -----------------------------------------------------------------------------------------------

_levels = "|".join(logging.getLevelNamesMapping())
_log_level = text("LOG_LEVEL", default="INFO", pattern=_levels, advice=f"Write one of {_levels.replace('|', ', ')}.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": _log_level},
    # Django's own handlers would print every line a second time.
    "loggers": {name: {"handlers": [], "propagate": True} for name in ("django", "django.server")},
}
