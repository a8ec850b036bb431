"""Measures the rows of one part, in a process with the project's settings; prints a line of JSON per row.

``python -m bench.part PART [SECONDS]``: it takes no longer, for what hangs is ended, with all stacks on stderr.
"""

import faulthandler
import importlib
import json
import sys
import time
import traceback

import django

SECONDS = 180.0
SHARE = 0.75
"""The share of the seconds that is planned with; the rest is for what takes longer than it promised."""


def main() -> None:
    """Set Django and the tables up, then measure. A row that fails is told of, and the next one measured."""
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else SECONDS
    deadline = time.monotonic() + SHARE * seconds
    faulthandler.dump_traceback_later(seconds, exit=True)
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, run_syncdb=True)

    from bench.measure import run

    part = importlib.import_module(f"bench.rows.{sys.argv[1]}")
    rows = part.rows()
    for left, row in zip(range(len(rows), 0, -1), rows, strict=True):
        began = time.monotonic()
        try:
            result = run(row, max(deadline - began, 0) / left)
        except Exception as error:  # noqa: BLE001 - told of in the table
            traceback.print_exc()
            result = {"work": row.work, "failed": f"{type(error).__name__}: {error}"}
        print(json.dumps({**result, "took": round(time.monotonic() - began, 1)}), flush=True)
    if hasattr(part, "close"):
        part.close()


if __name__ == "__main__":
    main()
