"""Measures the rows of one part, in a process with the project's settings; prints them as JSON."""

import importlib
import json
import sys

import django


def main() -> None:
    """Set Django and the tables up, then measure."""
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, run_syncdb=True)

    from bench.measure import run

    part = importlib.import_module(f"bench.rows.{sys.argv[1]}")
    print(json.dumps([run(row) for row in part.rows()]))
    if hasattr(part, "close"):
        part.close()


if __name__ == "__main__":
    main()
