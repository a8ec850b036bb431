"""Print the pages of the site that are worth opening, at the address given: those that are switched on.

Run by ``make run`` in the project's folder: ``python scripts/pages.py http://127.0.0.1:8000``.
"""

import os
import sys
from pathlib import Path

import django
from django.urls import Resolver404, resolve

PAGES = {
    "/": "the questions and their votes",
    "/api/": "the REST API, browsable",
    "/api/docs/": "its description",
    "/api/asyncapi/docs/": "the messages of the sockets",
    "/debugger/": "a page to try the WebSocket",
    "/admin/": "the admin",
}


def is_served(path: str) -> bool:
    """Tell whether the project has a route for ``path``."""
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


def main() -> None:
    """Read the address from the command line."""
    if len(sys.argv) != 2:
        sys.exit("Give the address of the site, as in: python scripts/pages.py http://127.0.0.1:8000")
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    address = sys.argv[1].rstrip("/")
    served = {f"{address}{path}": says for path, says in PAGES.items() if is_served(path)}
    width = max(map(len, served), default=0)
    for url, says in served.items():
        print(f"    {url:{width}}   {says}")


if __name__ == "__main__":
    main()
