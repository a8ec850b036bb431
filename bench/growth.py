"""How the cost grows with the size of the work: a line per series of rows."""

import math
from typing import Any

WORDS = ((0.1, "hardly"), (0.85, "less than in proportion"), (1.15, "in proportion"))


def lines(results: list[dict[str, Any]]) -> str:
    """Return a line for each series among ``results``: what one piece of work takes, by size, and how that grows."""
    series: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in results:
        if row["series"]:
            series.setdefault((row["series"], row["database"]), []).append(row)
    return "\n".join(_line(*name, rows) for name, rows in series.items() if len(rows) > 1)


def _line(series: str, database: str, rows: list[dict[str, Any]]) -> str:
    mine = [row["milliseconds"][row["ours"]]["median"] for row in rows]
    floor = [row["milliseconds"][row["floor"]]["median"] for row in rows]
    points = ", ".join(f"{row['size']:,}: {ms:.3f} ms" for row, ms in zip(rows, mine, strict=True))
    sizes = [row["size"] for row in rows]
    each = 1000 * (mine[-1] - mine[0]) / (sizes[-1] - sizes[0])
    return (
        f"how the cost grows, {series}, {database}: {points}; that is {_word(sizes, mine)}, "
        f"{each:.1f} microseconds for each one more (the floor: {_word(sizes, floor)})"
    )


def _word(sizes: list[int], values: list[float]) -> str:
    # The exponent of the power of the size that leads from the first value to the last.
    exponent = math.log(max(values[-1], 1e-6) / max(values[0], 1e-6)) / math.log(sizes[-1] / sizes[0])
    return next((word for most, word in WORDS if exponent <= most), "more than in proportion")
