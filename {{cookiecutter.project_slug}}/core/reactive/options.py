"""What ``@observable`` was told about a view."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Options:
    """How a view is observed; see ``core.reactive.observable``."""

    primary_key: str | None = None
    poll_interval: float | None = None
    dependencies: Sequence[Any] = ()
    shared: bool = False
