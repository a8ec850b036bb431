"""``scripts/make_env.py`` writes ``.env``."""

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(PROJECT / "scripts/make_env.py", tmp_path / "scripts")
    shutil.copy(PROJECT / ".env.example", tmp_path)
    return tmp_path


def make_env(folder):
    done = subprocess.run(
        [sys.executable, "scripts/make_env.py"], cwd=folder, capture_output=True, text=True, check=True
    )
    lines = (folder / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#")), done


def test_every_placeholder_becomes_a_secret_of_its_own(folder):
    env, _ = make_env(folder)
    assert "change-me" not in env.values()
    assert env["SECRET_KEY"] != env["POSTGRES_PASSWORD"]
    assert len(env["SECRET_KEY"]) >= 50
    assert env["POSTGRES_PASSWORD"].replace("-", "").replace("_", "").isalnum()


def test_only_its_owner_reads_it(folder):
    make_env(folder)
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600


def test_a_file_that_is_there_stays(folder):
    before, _ = make_env(folder)
    after, done = make_env(folder)
    assert before == after
    assert "left as it is" in done.stderr
