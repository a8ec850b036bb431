"""What a project costs before it does anything: to generate it, and to start it.

The peer of generating, cookiecutter-django, wants a template of its own from the network: measured alone on two cores,
it takes 0.75 s. The floor of starting is what ``startproject`` makes, with DRF, one list and daphne.
"""

import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from django.core.management import call_command

from bench.measure import Contender, Row
from scripts.generate import PROJECT, ROOT, left_behind

PEER = 0.75  # seconds
PATIENCE = 30.0
"""Seconds after which a server is not expected to answer any more."""

BARE_SETTINGS = """
import environ
INSTALLED_APPS = ["daphne", *INSTALLED_APPS, "rest_framework"]
DATABASES = {"default": environ.Env().db()}
"""
BARE_URLS = """
from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import include, path
from rest_framework.routers import DefaultRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet


class GroupSerializer(ModelSerializer):
    class Meta:
        model = Group
        fields = ("id", "name")


class GroupViewSet(ModelViewSet):
    queryset = Group.objects.order_by("id")
    serializer_class = GroupSerializer


router = DefaultRouter()
router.register("groups", GroupViewSet)
urlpatterns = [path("admin/", admin.site.urls), path("api/", include(router.urls))]
"""

folder = Path(tempfile.mkdtemp())


def close() -> None:
    """Remove what was made."""
    shutil.rmtree(folder)


def rows() -> list[Row]:
    """Generate a project, and start the server of one."""
    return [_generating(), _starting()]


# --- Generating ---


def _generating() -> Row:
    template = folder / "template"
    template.mkdir()
    shutil.copy(ROOT / "cookiecutter.json", template)
    shutil.copytree(ROOT / "hooks", template / "hooks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PROJECT, template / PROJECT.name, ignore=shutil.ignore_patterns(*left_behind()))
    numbers = itertools.count()
    took: list[float] = []

    def ours() -> Callable[[], object]:
        target = folder / f"generated{next(numbers)}"
        command = [sys.executable, "-m", "cookiecutter", str(template), "--no-input", "--default-config", "-o"]
        began = time.perf_counter()
        subprocess.run([*command, str(target)], stdout=subprocess.DEVNULL, check=True, timeout=PATIENCE)
        took.append(time.perf_counter() - began)
        return lambda: _files(next(target.iterdir()))

    ours()
    (generated,) = (folder / "generated0").iterdir()

    def floor() -> Callable[[], object]:
        target = folder / f"copied{next(numbers)}"
        shutil.copytree(generated, target)
        return lambda: _files(target)

    def facts() -> str:
        return f"cookiecutter-django takes {PEER} s, {PEER / min(took):.1f} times as long as ours at its best"

    return Row(
        "generating a project",
        Contender("floor, copying the files", floor),
        Contender("ours, the command", ours),
        times=1,
        each_time=True,
        facts=facts,
    )


def _files(project: Path) -> dict[str, bytes]:
    """Return what was made, but for .env: its secrets are new each time."""
    files = {str(path.relative_to(project)): path.read_bytes() for path in project.rglob("*") if path.is_file()}
    return {**files, ".env": b""}


# --- Starting ---


def _starting() -> Row:
    bare = folder / "bare"
    bare.mkdir()
    call_command("startproject", "bare", str(bare))
    with (bare / "bare" / "settings.py").open("a") as settings:
        settings.write(BARE_SETTINGS)
    (bare / "bare" / "urls.py").write_text(BARE_URLS)
    return Row(
        "starting the server, to the first answer",
        _server("floor, a bare project with DRF and daphne", bare, "bare", "/api/groups/"),
        _server("ours", Path.cwd(), "config", "/api/questions/"),
        times=1,
        each_time=True,
        aim="≤ 1.3",
    )


def _server(name: str, project: Path, package: str, path: str) -> Contender:
    """Return the work of starting the server and asking for ``path``. It is stopped when no time is taken."""
    running: list[subprocess.Popen[bytes]] = []
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": f"{package}.settings",
        "PYTHONPATH": str(project),
    }

    def once() -> int:
        port = _free_port()
        command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), f"{package}.asgi:application"]
        server = subprocess.Popen(
            command, cwd=project, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        running.append(server)
        return _first_answer(server, f"http://127.0.0.1:{port}{path}")

    @contextmanager
    def stopped() -> Iterator[None]:
        try:
            yield
        finally:
            while running:
                server = running.pop()
                server.terminate()
                try:
                    server.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    server.kill()

    return Contender(name, once, stopped)


def _first_answer(server: "subprocess.Popen[bytes]", url: str) -> int:
    """Return the status of the first answer from ``url``. Raises TimeoutError, or HTTPError where it is a refusal."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if server.poll() is not None:
            raise ChildProcessError(f"The server of {url} has ended with {server.returncode}.")
        try:
            with urlopen(url, timeout=PATIENCE) as response:
                response.read()
                return response.status
        except URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
            time.sleep(0.005)
    raise TimeoutError(f"{url} has not answered within {PATIENCE:.0f} s.")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
