"""Measuring: contenders take turns, and what counts is the ratio to the floor within each round."""

import gc
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

ROUNDS = 7
LEAST = 3
"""Rounds that are measured whatever they take; the table says so where it is fewer than ``ROUNDS``."""
TURN = 0.3
"""Seconds that a turn of the floor may take."""
BUDGET = 20.0
"""Seconds that a row may take."""


@dataclass(frozen=True)
class Contender:
    """One way of doing the work. ``once`` does it once and returns what came out, for the comparison.

    It may return a function instead, which is asked for what came out when no time is taken.

    ``around`` is entered for each turn, outside of what is timed.
    """

    name: str
    once: Callable[[], object]
    around: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True)
class Row:
    """One line of the table: a floor, ours, and whoever else. All must give the same.

    ``times`` is how often the work is done in a turn, if there is time for it; ``aim`` and ``peer_aim`` are the ratios
    wanted, as text. Rows of one ``series`` do the same work with ever more of something: ``size`` says how much.
    """

    work: str
    floor: Contender
    ours: Contender
    others: Sequence[Contender] = ()
    peer: Contender | None = None
    times: int = 200
    aim: str = ""
    peer_aim: str = ""
    setup: Callable[[], object] = field(default=lambda: None)  # before every turn, outside of what is timed
    each_time: bool = False  # set up before every piece of work instead
    memory: bool = False  # measure the peak of the memory that Python allocates, too
    facts: Callable[[], str] = field(default=lambda: "")  # what else there is to tell of the work, when it is done
    close: Callable[[], object] = field(default=lambda: None)  # after everything, whatever happened
    series: str = ""
    size: int = 0


def run(row: Row, budget: float = BUDGET) -> dict[str, object]:
    """Measure ``row`` within about ``budget`` seconds; return plain data: times and ratios, with their spread."""
    try:
        return _run(row, time.monotonic() + budget)
    finally:
        row.close()


def _run(row: Row, deadline: float) -> dict[str, object]:
    contenders = [row.floor, row.ours, *([row.peer] if row.peer else []), *row.others]
    results = [_result(row, each) for each in contenders]
    same = all(result == results[0] for result in results)
    seconds = _rounds(row, contenders, deadline)
    floor = seconds[row.floor.name]
    ratios = {
        each.name: _spread([mine / base for mine, base in zip(seconds[each.name], floor, strict=True)])
        for each in contenders
    }
    peer = None
    if row.peer:
        pairs = zip(seconds[row.peer.name], seconds[row.ours.name], strict=True)
        peer = _spread([theirs / mine for theirs, mine in pairs])
    return {
        "work": row.work,
        "aim": row.aim,
        "peer_aim": row.peer_aim,
        "same_output": same,
        "rounds": len(floor),
        "series": row.series,
        "size": row.size,
        "floor": row.floor.name,
        "ours": row.ours.name,
        "milliseconds": {name: _spread([1000 * each for each in values]) for name, values in seconds.items()},
        "to_floor": ratios,
        "peer_to_ours": peer,
        "facts": row.facts(),
        "peak_mib": {each.name: _peak(row, each) for each in contenders} if row.memory else {},
    }


def _result(row: Row, contender: Contender) -> object:
    row.setup()
    with contender.around():
        result = contender.once()
        return result() if callable(result) else result


def _peak(row: Row, contender: Contender) -> float:
    """Return the most memory that Python had allocated at one time for the work, in MiB."""
    row.setup()
    with contender.around():
        gc.collect()
        tracemalloc.start()
        try:
            contender.once()
            return round(tracemalloc.get_traced_memory()[1] / 2**20, 1)
        finally:
            tracemalloc.stop()


def _rounds(row: Row, contenders: Sequence[Contender], deadline: float) -> dict[str, list[float]]:
    """Return the seconds of each contender, a number per round."""
    seconds: dict[str, list[float]] = {each.name: [] for each in contenders}
    left = deadline - time.monotonic()
    times = _times(row, contenders, left / 2 if row.memory else left)
    longest = 0.0
    for number in range(ROUNDS):
        began = time.monotonic()
        if number >= LEAST and began + longest > deadline:
            break
        # Whoever comes first in a round may profit or suffer from it: each does in turn.
        first = number % len(contenders)
        for each in (*contenders[first:], *contenders[:first]):
            seconds[each.name].append(_turn(row, each, times))
        longest = max(longest, time.monotonic() - began)
    return seconds


def _times(row: Row, contenders: Sequence[Contender], left: float) -> int:
    """Return how often the work is done in a turn: what the row asks for, or what ``left`` seconds suffice for.

    Where everything is set up once per turn, no turn of the floor is longer than ``TURN``.
    """
    began = time.perf_counter()
    once = [_turn(row, each, 1) for each in contenders]
    if row.each_time:
        return max(min(row.times, int(0.7 * left / ROUNDS / (time.perf_counter() - began))), 1)
    return max(min(row.times, int(TURN / once[0]), int(0.7 * left / ROUNDS / sum(once))), 1)


def _turn(row: Row, contender: Contender, times: int) -> float:
    """Return the seconds that the work takes once, over a turn of many."""
    row.setup()
    once = contender.once
    if row.each_time:
        return sum(_piece(row, contender) for _ in range(times)) / times
    with contender.around():
        for _ in range(max(times // 20, 1)):
            once()
        gc.collect()
        gc.disable()
        try:
            began = time.perf_counter()
            for _ in range(times):
                once()
            return (time.perf_counter() - began) / times
        finally:
            gc.enable()


def _piece(row: Row, contender: Contender) -> float:
    """Return the seconds that the work takes once, after its own setup."""
    row.setup()
    with contender.around():
        gc.collect()
        gc.disable()
        try:
            began = time.perf_counter()
            contender.once()
            return time.perf_counter() - began
        finally:
            gc.enable()


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 4),
        "min": round(min(values), 4),
        "max": round(max(values), 4),
    }
