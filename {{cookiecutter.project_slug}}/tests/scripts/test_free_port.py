"""``scripts/free_port.py`` chooses the port to serve on."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/free_port.py"


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_free_port_is_taken_as_it_is(taken):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = run(str(port))
    assert (done.stdout, done.stderr) == (f"{port}\n", "")


def test_a_port_in_use_gives_a_sentence_and_another(taken):
    done = run(str(taken))
    assert taken < int(done.stdout) < taken + 100
    assert done.stderr == f"Port {taken} of 127.0.0.1 is in use: taking {int(done.stdout)} instead.\n"


@pytest.mark.parametrize("arguments", [(), ("x",), ("0",), ("65536",), ("-1",), ("80 80",), ("²",)])
def test_what_is_no_port_is_refused(arguments):
    done = run(*arguments)
    assert done.returncode == 1
    assert "Give a port between 1 and 65535" in done.stderr
