"""Prepare for the tests of the browser side: Node with npm's packages, and a Chromium.

Ends with 0 if all is there. With ``CI=true``, as root, a Chromium that is missing is installed by ``apt-get``. What
cannot be had ends with 1 with ``CI=true``, else with 77 and a word, so that the tests are skipped.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = 77
OLDEST_NODE = 20
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browser() -> str | None:
    """Return the path of a Chromium. ``CHROMIUM`` in the environment names one."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


def _install_browser() -> None:
    if os.environ.get("CI") != "true" or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print("==> Installing chromium")
    for command in (["update"], ["install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core"]):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "--quiet=2", *command], env=environment, stdout=subprocess.DEVNULL, check=True)


def _node_is_new_enough() -> bool:
    if not shutil.which("node") or not shutil.which("npm"):
        return False
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"v(\d+)", said)
    return found is not None and int(found[1]) >= OLDEST_NODE


def _missing() -> str | None:
    if not _node_is_new_enough():
        return f"There is no Node {OLDEST_NODE} or newer with npm."
    if browser() is None:
        _install_browser()
    return None if browser() else "There is no Chromium (apt-get install chromium, or CHROMIUM=path)."


def main() -> None:
    """Look, install, and say what is missing."""
    if missing := _missing():
        in_ci = os.environ.get("CI") == "true"
        consequence = "CI needs it." if in_ci else "Skipped the tests of the browser side."
        print(missing, consequence, file=sys.stderr)
        sys.exit(1 if in_ci else SKIPPED)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
