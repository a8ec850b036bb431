"""Print what the template's environment needs, a requirement a line, for ``pip install -r``.

That is what the generated project lists in its pyproject.toml and what the template's own lists: the project's
linter, type checker and tests run on the template folder as it stands. Usage: ``requirements.py 5.2``, with the
version of Django. Standard library only.
"""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "{{cookiecutter.project_slug}}"


def requirements(django: str) -> list[str]:
    """Return the requirements of both, with ``django`` for the prompt that asks for the version."""
    lines: list[str] = []
    for folder in (PROJECT, ROOT):
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        lines += project["dependencies"] + project["optional-dependencies"]["dev"]
    return [line.replace("{{ cookiecutter.django_version }}", django) for line in lines]


if __name__ == "__main__":
    print("\n".join(requirements(*sys.argv[1:])))
