"""Generate a project from the template as it stands in this checkout.

Usage: ``generate.py FOLDER [answer=value ...]``. Used by ``make demo``, ``make check``, the tests and the benchmarks.
What tools leave behind in the template folder (caches, a virtual environment, a database) is not taken along: a
person who gets the template from a repository does not have it either.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from cookiecutter.main import cookiecutter

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "{{cookiecutter.project_slug}}"


def left_behind() -> list[str]:
    """Return the patterns of what does not belong to the template: what a project's own .gitignore lists."""
    lines = (PROJECT / ".gitignore").read_text(encoding="utf-8").splitlines()
    return [line.strip("/") for line in lines if line and not line.startswith("#")]


def copy_template(template: Path) -> None:
    """Copy into ``template`` what a person gets of it from a repository."""
    template.mkdir()
    shutil.copy(ROOT / "cookiecutter.json", template)
    shutil.copytree(ROOT / "docs", template / "docs")
    shutil.copytree(ROOT / "hooks", template / "hooks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PROJECT, template / PROJECT.name, ignore=shutil.ignore_patterns(*left_behind()))


def generate(folder: Path, *, overwrite: bool = False, **answers: object) -> Path:
    """Generate a project into ``folder`` and return its path.

    ``answers`` are those that differ from the defaults. Raises, of ``cookiecutter.exceptions``,
    ``OutputDirExistsException`` where the project is there already, unless ``overwrite``, and
    ``FailedHookException`` when a hook refuses the answers.
    """
    with tempfile.TemporaryDirectory() as copy:
        template = Path(copy) / "template"
        copy_template(template)
        made = cookiecutter(
            str(template),
            no_input=True,
            extra_context=answers,
            output_dir=str(folder),
            overwrite_if_exists=overwrite,
            default_config=True,
        )
    return Path(made)


def main() -> None:
    """Read the command line."""
    if len(sys.argv) < 2:
        sys.exit("Usage: generate.py FOLDER [answer=value ...]")
    generate(Path(sys.argv[1]), **dict(argument.split("=", 1) for argument in sys.argv[2:]))


if __name__ == "__main__":
    main()
