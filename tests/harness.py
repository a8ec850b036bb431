"""What the template's tests use to run a generated project as its users do: commands and servers."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "{{cookiecutter.project_slug}}"
PYTHON = sys.executable
# Generous, for machines that do other things as well; nothing here waits for its end.
START_TIMEOUT = 300
STOP_TIMEOUT = 60
# What whoever asks for any port is not given, neither who listens nor who connects.
PORTS = range(20_000, 32_000)
SETTINGS = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VENV")


def search_path(*, uv):
    """Return a PATH on which the uv of this environment is found, or none at all."""
    parts = os.environ["PATH"].split(os.pathsep)
    own = str(Path(PYTHON).parent)
    if uv:
        return os.pathsep.join([own, *parts])
    return os.pathsep.join(part for part in parts if not (Path(part) / "uv").exists())


def project_environment(**extra):
    """Return the environment of a user's shell, with ``extra`` in it."""
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return kept | {"PATH": search_path(uv=True)} | extra


def run(*command, cwd, timeout=900, **extra):
    """Run a command to its end and return what it said and how it ended."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=project_environment(**extra),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def free_port():
    """Return a port that nobody listens on, and that no other test is given.

    It is claimed by taking the same number for UDP, for as long as this process lives: a server may take a while until
    it listens, and what runs beside these tests asks for ports as well.
    """
    while True:
        address = "127.0.0.1", PORTS[secrets.randbelow(len(PORTS))]  # as no seed of a test can have it again
        with contextlib.suppress(OSError), socket.socket() as probe, socket.socket(type=socket.SOCK_DGRAM) as claim:
            claim.bind(address)
            probe.bind(address)
            claim.detach()
            return address[1]


def withheld(*processes):
    """Return for how many seconds threads of these processes, and of databases, were ready to run and kept waiting.

    That is what other work on the machine costs them, and no fault of theirs. Only Linux tells; elsewhere it is none.
    """
    folders = [Path(f"/proc/{each.pid}") for each in processes]
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "comm").read_text().startswith(("postgres", "redis-server")):
                folders.append(folder)
    nanoseconds = 0
    for folder in (*folders, Path("/proc/self")):
        for thread in folder.glob("task/*/schedstat"):
            with contextlib.suppress(OSError):
                nanoseconds += int(thread.read_text().split()[1])
    return nanoseconds / 1e9


class Watch:
    """Tells how long ago something was, without the time that the machine has withheld from ``processes`` since."""

    def __init__(self, *processes):
        self.processes = processes
        self.before = withheld(*processes)

    def slack(self):
        """Return for how many seconds they have been kept waiting since the beginning."""
        return max(0.0, withheld(*self.processes) - self.before)

    def since(self, moment):
        """Return the seconds since ``moment``, a time of ``time.time()`` after the beginning."""
        return time.time() - moment - self.slack()


def interpreter(version):
    """Return a Python of ``version`` ("3.13") if this machine has one that works, else None."""
    found = shutil.which(f"python{version}")
    candidates = [found, *Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")]
    for candidate in filter(None, candidates):
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        with contextlib.suppress(OSError):
            done = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
            if done.stdout.strip() == version:
                return str(candidate)
    return None


def _hear_ctrl_c():
    """Have the process hear of Ctrl-C, where the tests were started in the background by a shell that ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Server:
    """A server process, from its start until it has ended; used as a context manager.

    The process leads a group of its own, which is all that is ever signalled.
    """

    def __init__(self, *command, cwd, port, **extra):
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.log = Path(cwd) / f"server-{port}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                env=project_environment(PYTHONUNBUFFERED="1", **extra),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_hear_ctrl_c,  # noqa: PLW1509 - it starts no thread and takes no lock
            )

    def wait(self, path="/healthz"):
        """Wait until the server answers."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"The server ended with {self.process.returncode}:\n{self.output}")
            with contextlib.suppress(httpx.TransportError):
                httpx.get(self.url + path, timeout=START_TIMEOUT)
                return self
            time.sleep(0.05)
        raise AssertionError(f"The server did not answer within {START_TIMEOUT} s:\n{self.output}")

    @property
    def output(self):
        """What the server has printed so far."""
        return self.log.read_text()

    def wait_for_output(self, text):
        """Wait until the server has printed ``text``."""
        deadline = time.monotonic() + START_TIMEOUT
        while text not in self.output:
            if time.monotonic() > deadline:
                raise AssertionError(f"The server never printed {text!r}:\n{self.output}")
            time.sleep(0.05)

    def stop(self, number=signal.SIGTERM):
        """Ask the server to stop, as a user or a process manager does, and return how it ended."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        return self.process.wait(STOP_TIMEOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(STOP_TIMEOUT)
            raise
