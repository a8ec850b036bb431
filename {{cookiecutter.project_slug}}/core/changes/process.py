"""Who this process is, in a log that many processes write to."""

import itertools
import os
import uuid
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


this_process = Process()
"""The process we are in."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=this_process.renew)
