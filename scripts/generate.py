"""Generate a project from the template as it stands in this checkout.

Usage: ``generate.py FOLDER [answer=value ...]``. Used by ``make demo``, ``make check``, the tests and the benchmarks.
What tools leave behind in the template folder (caches, a virtual environment, a database) is not taken along: a
person who gets the template from a repository does not have it either.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from cookiecutter.main import cookiecutter

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
KEPT = {".venv", ".env", "db.sqlite3", "db.sqlite3-shm", "db.sqlite3-wal"}
"""What a project that is generated again keeps."""


def left_behind() -> list[str]:
    """Return the patterns of what does not belong to the template: what a project's own .gitignore lists."""
    lines = (PROJECT / ".gitignore").read_text(encoding="utf-8").splitlines()
    return [line.strip("/") for line in lines if line and not line.startswith("#")]


def generate(folder: Path, **answers: object) -> Path:
    """Generate a project into ``folder`` and return its path.

    ``answers`` are those that differ from the defaults. A project that is there is made anew but for ``KEPT``.
    Raises ``cookiecutter.exceptions.FailedHookException`` when a hook refuses the answers.
    """
    with tempfile.TemporaryDirectory() as copy:
        template = Path(copy) / "template"
        template.mkdir()
        shutil.copy(ROOT / "cookiecutter.json", template)
        shutil.copytree(ROOT / "hooks", template / "hooks", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(PROJECT, template / PROJECT.name, ignore=shutil.ignore_patterns(*left_behind()))
        made = cookiecutter(
            str(template),
            no_input=True,
            extra_context=answers,
            output_dir=str(folder),
            overwrite_if_exists=True,
            default_config=True,
        )
    return Path(made)


def generate_again(folder: Path, **answers: object) -> None:
    """Generate into ``folder`` where an earlier project may be: no file stays that the template has lost.

    A file that comes out the same keeps its time, so that make does not install everything again.
    """
    before: dict[Path, tuple[bytes, int]] = {}
    for project in folder.iterdir() if folder.is_dir() else ():
        for entry in project.iterdir():
            if entry.name in KEPT:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                before[entry] = entry.read_bytes(), entry.stat().st_mtime_ns
                entry.unlink()
    generate(folder, **answers)
    for path, (content, time) in before.items():
        if path.exists() and path.read_bytes() == content:
            os.utime(path, ns=(time, time))


def main() -> None:
    """Read the command line."""
    if len(sys.argv) < 2:
        sys.exit("Usage: generate.py FOLDER [answer=value ...]")
    generate_again(Path(sys.argv[1]), **dict(argument.split("=", 1) for argument in sys.argv[2:]))


if __name__ == "__main__":
    main()
