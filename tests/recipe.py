"""The README's recipe for an application, followed step by step."""

import re
import sys

from harness import PYTHON, run

BLOCK = re.compile(r"^    # ((?:books|tests/books)/\w+\.py)\n((?:(?!    # )    .*\n|\n)+)", re.MULTILINE)
LISTS = '"polls"]'


def make(project, *arguments):
    """Run make with the packages of this environment."""
    shared = (f"VENV={sys.prefix}", "INSTALLED=.env")
    return run("make", "--no-print-directory", *arguments, *shared, cwd=project, timeout=3600)


def edit(path, before, after):
    """Replace a part of a file that has to be there."""
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def passed(done):
    """Return what a command that succeeded has said."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def add_books(project):
    """Give a project the application of its README, and return the project."""
    passed(run(PYTHON, "manage.py", "startapp", "books", cwd=project))
    for name in ("tests.py", "views.py"):
        (project / "books" / name).unlink()
    edit(project / "config/settings.py", '    "polls",\n', '    "polls",\n    "books",\n')
    edit(project / "pyproject.toml", LISTS, '"polls", "books"]')
    blocks = BLOCK.findall((project / "README.md").read_text())
    assert len(blocks) == 7
    for name, code in blocks:
        path = project / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(re.sub("^    ", "", code, flags=re.MULTILINE).rstrip() + "\n")
    for target in ("migrations", "format"):
        passed(make(project, target))
    return project
