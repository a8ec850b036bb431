"""Runs the benchmarks: ``python -m bench``, or ``ONLY=writes python -m bench`` for one part.

A project is generated from the template; each module of ``bench/rows`` is measured in a process of its own, in that
project, on an empty database. ``POSTGRES`` and ``REDIS``, addresses without a database name and with one, are measured
on in place of SQLite and of memory. What is printed is also written to ``bench/results.json``. Nothing here fails for
being slow.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import growth
from scripts.generate import generate

HERE = Path(__file__).resolve().parent
SECONDS = {"batch": 80, "bulk": 190, "caching": 120, "project": 70, "reactive": 160, "sockets": 170, "writes": 70}
"""What each part may take at most; 860 in all."""


def main() -> None:
    """Measure, print, write."""
    only = os.environ.get("ONLY", "").split(",")
    parts = sorted(path.stem for path in (HERE / "rows").glob("*.py") if path.stem != "__init__")
    parts = [part for part in parts if only == [""] or part in only]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        project = generate(Path(folder))
        for part in parts:
            with database(Path(folder)) as (name, url):
                results += measure(part, project, name, url)
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    done = [row for row in results if "failed" not in row]
    lost = [f"NOT MEASURED: {row['work']}, {row['database']}: {row['failed']}" for row in results if "failed" in row]
    print("\n".join(filter(None, [table(done), memory(done), facts(done), growth.lines(done), *lost])))


@contextmanager
def database(folder: Path) -> Iterator[tuple[str, str]]:
    """Make an empty database to measure on, and give its kind and its URL."""
    if not (address := os.environ.get("POSTGRES")):
        yield "SQLite", f"sqlite:///{folder / uuid.uuid4().hex}.sqlite3"
        return
    import psycopg

    name = f"realtime_bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(f"{address}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield "PostgreSQL", f"{address}/{name}"
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def measure(part: str, project: Path, database: str, url: str) -> "list[dict[str, object]]":
    """Run the rows of one part in a process of their own."""
    began = time.monotonic()
    seconds = SECONDS.get(part, 60)
    print(f"==> {part} on {database}, {seconds} s at most", file=sys.stderr, flush=True)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(project), str(HERE.parent)]),
        "DJANGO_SETTINGS_MODULE": "bench.settings",
        "ENV_FILE": os.devnull,
        "DEBUG": "false",
        "SECRET_KEY": uuid.uuid4().hex * 2,
        "ALLOWED_HOSTS": "*",
        "DATABASE_URL": url,
        "LOG_LEVEL": "ERROR",
        "PYTHONWARNINGS": "ignore",
    }
    if redis := os.environ.get("REDIS"):
        environment |= {"REDIS_URL": redis, "REDIS_PREFIX": f"bench-{uuid.uuid4().hex[:8]}"}
    command = [sys.executable, "-m", "bench.part", part, str(seconds)]
    done = subprocess.run(command, cwd=project, env=environment, stdout=subprocess.PIPE, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    took = f"{time.monotonic() - began:.0f} s"
    print(f"    {len(rows)} rows in {took}", file=sys.stderr, flush=True)
    if done.returncode:
        rows.append({"work": f"the rest of {part}", "failed": f"ended with {done.returncode} after {took}, see above"})
    return [{"part": part, "database": database, **row} for row in rows]


def memory(results: "list[dict[str, object]]") -> str:
    """Return the peaks of memory that were measured, a line per row."""
    rows = [row for row in results if row["peak_mib"]]
    return "\n".join(
        f"peak memory, {row['work']}, {row['database']}: "
        + ", ".join(f"{name} {mib} MiB" for name, mib in row["peak_mib"].items())
        for row in rows
    )


def facts(results: "list[dict[str, object]]") -> str:
    """Return what else was found out, a line per row."""
    return "\n".join(f"{row['work']}, {row['database']}: {row['facts']}" for row in results if row["facts"])


def table(results: "list[dict[str, object]]") -> str:
    """Return the results as a table in Markdown: ratios to the floor, median (minimum to maximum)."""
    lines = [
        "| work | who | ms | ÷ floor | aim | peer ÷ ours | aim | same output | rounds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in results:
        for name, ratio in row["to_floor"].items():
            mine = name == row["ours"]
            peer = _shown(row["peer_to_ours"]) if mine and row["peer_to_ours"] else ""
            cells = [
                f"{row['work']}, {row['database']}",
                name,
                f"{row['milliseconds'][name]['median']:.3f}",
                _shown(ratio),
                row["aim"] if mine else "",
                peer,
                row["peer_aim"] if mine else "",
                ("yes" if row["same_output"] else "NO") if mine else "",
                str(row["rounds"]) if mine else "",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(spread: "dict[str, float]") -> str:
    return f"{spread['median']:.2f} ({spread['min']:.2f} to {spread['max']:.2f})"


if __name__ == "__main__":
    main()
