"""Writes the new project's .env, brings the features' pages along, and says what comes next. Needs no network."""

import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT_SLUG = {{cookiecutter.project_slug | tojson}}
TEMPLATE = {{cookiecutter.get("_repo_dir", "") | tojson}}
CALLED_FROM = ({{cookiecutter.get("_output_dir", "") | tojson}}, os.environ.get("PWD", ""))
"""Folders that a relative path of the template may be meant from: cookiecutter says only what it was given."""
REPOSITORY, COMMIT = {{cookiecutter.get("_template", "") | tojson}}, {{cookiecutter.get("_commit", "") | tojson}}
"""What cruft says instead, which has cloned the template into a folder that it does not tell."""
OF_THE_TEMPLATE = {"decisions.md"}
FOLDER = "{" + "{cookiecutter.project_slug}}/"  # as the pages name it


def given() -> Path:
    """Return the template's folder, as cookiecutter names it."""
    for folder in CALLED_FROM:
        if (Path(folder) / TEMPLATE / "cookiecutter.json").exists():
            return Path(folder) / TEMPLATE
    sys.exit(f"The template's docs were not found from {TEMPLATE!r}. Give cookiecutter its full path.")


def clone(folder: str) -> None:
    """Clone the pages of the template into ``folder``, from where cruft has just cloned it."""
    for command in (
        ("clone", "--quiet", "--no-checkout", REPOSITORY, "."),
        ("checkout", "--quiet", COMMIT, "--", "docs"),
    ):
        if subprocess.run(["git", *command], cwd=folder, check=False).returncode:
            sys.exit(f"The template's docs could not be cloned from {REPOSITORY!r}.")


def copy_pages(template: Path) -> None:
    """Copy the pages of the features, whose code refers to them."""
    Path("docs").mkdir(exist_ok=True)
    for page in sorted((template / "docs").glob("*.md")):
        if page.name not in OF_THE_TEMPLATE:
            text = page.read_text(encoding="utf-8").replace(FOLDER, "")
            (Path("docs") / page.name).write_text(text, encoding="utf-8")


if TEMPLATE or not COMMIT:
    copy_pages(given())
else:
    with tempfile.TemporaryDirectory() as cloned:
        clone(cloned)
        copy_pages(Path(cloned))
runpy.run_path("scripts/make_env.py", run_name="__main__")
print(
    f"""
{PROJECT_SLUG} is ready. Next:

    cd {PROJECT_SLUG}
    make run               # at http://127.0.0.1:8000, with nothing else installed
    docker-compose up      # or: the same site on PostgreSQL and Redis
"""
)
