"""``scripts/pages.py`` prints the pages that are worth opening."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
EVERYWHERE = ["/", "/api/", "/api/docs/"]


def run(*arguments, **environment):
    command = [sys.executable, PROJECT / "scripts/pages.py", *arguments]
    settings = {"ENV_FILE": "/dev/null", "SECRET_KEY": "k" * 50, "DEBUG": "true", "DJANGO_SETTINGS_MODULE": ""}
    known = {name: value for name, value in os.environ.items() if name not in settings}
    settings = {**{name: value for name, value in settings.items() if value}, **environment}
    return subprocess.run(command, env={**known, **settings}, capture_output=True, text=True, check=False)


def pages(**environment):
    done = run("http://127.0.0.1:8123", **environment)
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert all(says for _, says in lines)
    return [url.removeprefix("http://127.0.0.1:8123") for url, _ in lines]


def test_all_pages_are_named_while_everything_is_on():
    assert pages() == [*EVERYWHERE, "/api/asyncapi/docs/", "/debugger/", "/admin/"]


def test_what_is_off_is_not_named():
    assert pages(CORE_BINDINGS_ENABLED="false") == [*EVERYWHERE, "/api/asyncapi/docs/", "/admin/"]
    off = {"CORE_BINDINGS_ENABLED": "false", "CORE_REACTIVE_ENABLED": "false"}
    assert pages(**off) == [*EVERYWHERE, "/admin/"]


def test_without_debug_there_is_no_debugger():
    deployed = {"DEBUG": "false", "ALLOWED_HOSTS": "example.com"}
    assert pages(**deployed) == [*EVERYWHERE, "/api/asyncapi/docs/", "/admin/"]


def test_an_address_is_asked_for():
    done = run()
    assert done.returncode == 1
    assert "Give the address of the site" in done.stderr
