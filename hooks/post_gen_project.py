"""Writes the new project's .env, brings the features' pages along, and says what comes next. Needs no network."""

import os
import runpy
import sys
from pathlib import Path

PROJECT_SLUG = {{cookiecutter.project_slug | tojson}}
TEMPLATE = {{cookiecutter._repo_dir | tojson}}  # noqa: SLF001 - cookiecutter's name for it
CALLED_FROM = ({{cookiecutter._output_dir | tojson}}, os.environ.get("PWD", ""))  # noqa: SLF001
"""Folders that a relative path of the template may be meant from: cookiecutter says only what it was given."""
OF_THE_TEMPLATE = {"decisions.md"}
FOLDER = "{" + "{cookiecutter.project_slug}}/"  # as the pages name it


def pages() -> list[Path]:
    """Return the pages of the template."""
    for folder in CALLED_FROM:
        if (Path(folder) / TEMPLATE / "cookiecutter.json").exists():
            return sorted((Path(folder) / TEMPLATE / "docs").glob("*.md"))
    sys.exit(f"The template's docs were not found from {TEMPLATE!r}. Give cookiecutter its full path.")


def copy_pages() -> None:
    """Copy the pages of the features, whose code refers to them."""
    Path("docs").mkdir(exist_ok=True)
    for page in pages():
        if page.name not in OF_THE_TEMPLATE:
            text = page.read_text(encoding="utf-8").replace(FOLDER, "")
            (Path("docs") / page.name).write_text(text, encoding="utf-8")


copy_pages()
runpy.run_path("scripts/make_env.py", run_name="__main__")
print(
    f"""
{PROJECT_SLUG} is ready. Next:

    cd {PROJECT_SLUG}
    make run               # at http://127.0.0.1:8000, with nothing else installed
    docker-compose up      # or: the same site on PostgreSQL and Redis
"""
)
