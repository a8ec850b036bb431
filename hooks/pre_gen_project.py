"""Refuses answers that would give a project that does not work. Runs before any file is written."""

import contextlib
import keyword
import re
import sys
import zoneinfo
from pathlib import Path

PROJECT_SLUG = {{cookiecutter.project_slug | tojson}}
DOMAIN_NAME = {{cookiecutter.domain_name | tojson}}
AUTHOR_EMAIL = {{cookiecutter.author_email | tojson}}
TIME_ZONE = {{cookiecutter.time_zone | tojson}}

# What the generated project imports or installs: a folder of such a name would be taken for the package.
PACKAGES = frozenset(
    "asgiref channels channels_redis corsheaders daphne django django_environ django_filter django_filters "
    "django_guardian django_stubs django_stubs_ext djangorestframework djangorestframework_stubs drf_spectacular "
    "drf_spectacular_sidecar environ guardian hatchling hypothesis import_linter importlinter jsonpath_ng mypy pip "
    "psycopg psycopg_binary psycopg_pool pytest pytest_asyncio pytest_django pytest_xdist redis regex rest_framework "
    "ruff setuptools sqlparse twisted types_pyyaml types_regex tzdata uv uvicorn whitenoise xdist yaml".split()
)
FOLDERS = frozenset({"config", "core", "polls", "scripts", "staticfiles", "tests"})


def slug_refusal(slug: str) -> str | None:
    """Return why ``slug`` is no good as a project's name, or None."""
    advice = "type another project_slug, such as live_polls"
    if not re.fullmatch(r"[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?", slug):
        return f"{slug!r} is not a name for a project: {advice} (letters, digits and underscores, a letter first)."
    lowered = slug.lower()
    if keyword.iskeyword(slug) or keyword.issoftkeyword(slug) or keyword.iskeyword(lowered):
        return f"{slug!r} is a keyword of Python: {advice}."
    if slug in sys.stdlib_module_names or lowered in sys.stdlib_module_names:
        return f"{slug!r} is a module of Python's standard library: {advice}."
    if lowered in PACKAGES:
        return f"{slug!r} is a package that the project depends on: {advice}."
    if lowered in FOLDERS:
        return f"{slug!r} is one of the project's own folders: {advice}."
    return None


def time_zone_refusal(name: str) -> str | None:
    """Return why ``name`` is no time zone, or None."""
    if name in zoneinfo.available_timezones():
        return None
    return f"There is no time zone {name!r}: type a time_zone of the tz database, such as Europe/Ljubljana or UTC."


def email_refusal(address: str) -> str | None:
    """Return why ``address`` is no email address, or None."""
    if re.fullmatch(r"[^\s@\"\\<>]+@[^\s@\"\\<>]+", address):
        return None
    return f"{address!r} is not an email address: type an author_email such as ada@example.com."


def domain_refusal(name: str) -> str | None:
    """Return why ``name`` is no host name, or None."""
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", name):
        return None
    return f"{name!r} is not a host name: type a domain_name such as example.com, without https:// and without a path."


def remove_parents(slug: str) -> None:
    """Remove the empty folders that cookiecutter has made for a slug with slashes: it removes the last one only."""
    folder = Path.cwd()
    for _ in slug.replace("\\", "/").strip("/").split("/")[1:]:
        with contextlib.suppress(OSError):  # one that is not empty was there before
            folder.rmdir()
        folder = folder.parent
    with contextlib.suppress(OSError):
        folder.rmdir()


def main() -> None:
    """Stop with every refusal, a sentence each."""
    refusals = [
        slug_refusal(PROJECT_SLUG),
        domain_refusal(DOMAIN_NAME),
        email_refusal(AUTHOR_EMAIL),
        time_zone_refusal(TIME_ZONE),
    ]
    if found := [refusal for refusal in refusals if refusal]:
        if "/" in PROJECT_SLUG:
            remove_parents(PROJECT_SLUG)
        sys.exit("\n".join(found))


main()
