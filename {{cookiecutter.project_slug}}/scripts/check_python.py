"""Fail with a sentence where this interpreter is older than the ``requires-python`` of pyproject.toml.

Standard library only, and able to run on old interpreters, for it is they who have to say so.
"""

import os
import pathlib
import re
import sys

PYPROJECT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "pyproject.toml")


def main():
    """Compare the versions."""
    with pathlib.Path(PYPROJECT).open() as file:
        found = re.search(r'^requires-python = ">=(\d+)\.(\d+)"', file.read(), re.MULTILINE)
    if found is None:
        sys.exit('pyproject.toml has no line requires-python = ">=X.Y".')
    needed = tuple(int(number) for number in found.groups())
    if sys.version_info < needed:
        sys.exit(
            "This project needs Python %d.%d or newer, and %s is %d.%d. "
            "Install a newer one and name it, as in: make run PYTHON=python3.13"
            % (needed + (sys.executable,) + tuple(sys.version_info[:2]))
        )


if __name__ == "__main__":
    main()
