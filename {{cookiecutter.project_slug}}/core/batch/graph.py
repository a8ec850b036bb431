"""What an item waits for, and which items may run now. Pure."""

import heapq
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise


def find_cycle(depends_on: Sequence[Iterable[int]]) -> list[int] | None:
    """Return the items of one cycle, in the order in which they wait for each other, or None.

    ``depends_on`` holds, for each item, the numbers of those that it depends on.
    """
    done: set[int] = set()
    for start in range(len(depends_on)):
        trail: list[int] = []
        on_trail: set[int] = set()
        stack = [(start, iter(depends_on[start]))] if start not in done else []
        if stack:
            trail, on_trail = [start], {start}
        while stack:
            item, others = stack[-1]
            other = next((each for each in others if each not in done), None)
            if other is None:
                stack.pop()
                done.add(trail.pop())
                on_trail.discard(item)
            elif other in on_trail:
                return trail[trail.index(other) :]
            else:
                stack.append((other, iter(depends_on[other])))
                trail.append(other)
                on_trail.add(other)
    return None


def waits_for(
    depends_on: Sequence[Iterable[int]], safe: Sequence[bool], *, ordered: bool, one_writer: bool = False
) -> list[set[int]]:
    """Return, for each item, the numbers of those that have to be finished before it starts.

    ``safe`` tells which items only read. With ``ordered``, an item that writes waits for all before it and is waited
    for by all behind it; reads between two writes are free. Without, nothing but ``depends_on`` counts; with
    ``one_writer`` those that write then take turns.
    """
    waits = [set(each) for each in depends_on]
    if ordered:
        writer: int | None = None
        readers: list[int] = []
        for item, reads in enumerate(safe):
            if writer is not None:
                waits[item].add(writer)
            if reads:
                readers.append(item)
            else:
                waits[item].update(readers)
                writer, readers = item, []
    elif one_writer:
        writers = [item for item in sequence(waits) if not safe[item]]
        for before, after in pairwise(writers):
            waits[after].add(before)
    return waits


def in_line(waits: Sequence[Collection[int]]) -> bool:
    """Tell whether each item waits for the one before it, so that no two can run at the same time."""
    return all(number - 1 in others for number, others in enumerate(waits) if number)


def sequence(waits: Sequence[Iterable[int]]) -> list[int]:
    """Return all items in an order that suits ``waits``; of those that may run, the first in the batch."""
    schedule, order = Schedule(waits), []
    while (item := schedule.take()) is not None:
        order.append(item)
        schedule.finish(item)
    return order


@dataclass(slots=True)
class Schedule:
    """Hands out items as soon as what they wait for is finished, in the order of the batch."""

    waits: Sequence[Iterable[int]]
    _missing: list[int] = field(init=False)
    _waiting: list[list[int]] = field(init=False)
    _ready: list[int] = field(init=False)
    _unfinished: int = field(init=False)

    def __post_init__(self) -> None:
        self._missing = [len(set(each)) for each in self.waits]
        self._waiting = [[] for _ in self.waits]
        for item, others in enumerate(self.waits):
            for other in set(others):
                self._waiting[other].append(item)
        self._ready = [item for item, count in enumerate(self._missing) if not count]
        self._unfinished = len(self._missing)

    @property
    def finished(self) -> bool:
        """Whether every item is."""
        return not self._unfinished

    @property
    def ready(self) -> int:
        """How many items could be taken now."""
        return len(self._ready)

    def take(self) -> int | None:
        """Return an item that may run now, or None."""
        return heapq.heappop(self._ready) if self._ready else None

    def finish(self, item: int) -> None:
        """Let those go that waited for ``item``."""
        self._unfinished -= 1
        for other in self._waiting[item]:
            self._missing[other] -= 1
            if not self._missing[other]:
                heapq.heappush(self._ready, other)
