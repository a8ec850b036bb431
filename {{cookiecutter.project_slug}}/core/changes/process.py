"""Who this process is, in a log that many processes write to."""

import itertools
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Process:
    """The name of a process, and the numbers that its entries in the log get."""

    origin: str = field(default_factory=lambda: uuid.uuid4().hex)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def renew(self) -> None:
        """Become another process: the child of a fork is not its parent."""
        self.origin = uuid.uuid4().hex
        self.numbers = itertools.count(1)


_in_child: list[Callable[[], None]] = []


def in_child(function: Callable[[], None]) -> None:
    """Have ``function`` called in every child that this process forks.

    What belongs to threads is nobody's there: a lock that another thread held stays locked, a loop does not run.
    """
    _in_child.append(function)


def _renew_all() -> None:
    for function in _in_child:
        function()


this_process = Process()
"""The process we are in."""
in_child(this_process.renew)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
