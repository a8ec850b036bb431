"""The header that a bulk request has to carry. Pure: knows its text, not the request."""

from enum import Enum

USUAL_NAME = "X-BULK-OPERATION"
"""Looked at for ``dry-run`` even where protection is off: a rehearsal must never turn into the real thing."""
ROWS = "X-Bulk-Rows"
"""The response header with the number of rows touched."""

_YES = {"true", "yes", "on", "1"}
_DRY = {"dry-run"}


class Intent(Enum):
    """What the header says."""

    MISSING = "missing"
    GO = "go"
    DRY_RUN = "dry-run"
    UNKNOWN = "unknown"


def intent(value: str | None) -> Intent:
    """Return what the header's ``value`` says; None is a header that was not sent."""
    word = (value or "").strip().lower()
    if not word:
        return Intent.MISSING
    if word in _DRY:
        return Intent.DRY_RUN
    return Intent.GO if word in _YES else Intent.UNKNOWN


def missing(name: str) -> str:
    """Return the sentence for a request without the header ``name``."""
    return f"Header '{name}' should be provided for bulk operation."


def unknown(name: str, value: str) -> str:
    """Return the sentence for a header whose ``value`` says nothing known."""
    return f"Header '{name}' is {value[:40]!r}. Say 'true', or 'dry-run' to be told the number of rows."
