"""``scripts/check_python.py`` refuses interpreters that are too old."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/check_python.py"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")

    def run(line):
        (tmp_path / "pyproject.toml").write_text(f"[project]\n{line}\n")
        command = [sys.executable, tmp_path / "scripts/check_python.py"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_an_interpreter_that_is_new_enough_passes_in_silence(run):
    done = run('requires-python = ">=3.11"')
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_old_one_is_told_what_is_needed_and_what_to_type(run):
    done = run('requires-python = ">=3.99"')
    assert done.returncode == 1
    assert "needs Python 3.99 or newer" in done.stderr
    assert "make run PYTHON=" in done.stderr


def test_a_project_that_does_not_say_is_told_so(run):
    assert "has no line" in run("").stderr
