"""Changes as text, for the log and for doorbells that carry them. JSON, never pickle. Pure.

An entry is a list of ``[model, table, kind, keys or null, fields or null]``. Keys that JSON has no type for (UUIDs,
dates, decimals) are written as text; the model's key field makes them what they were.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from core.changes.change import Change

Restore = Callable[[str, Any], Any]


def encode(changes: Iterable[Change]) -> str:
    """Return ``changes`` as text. Their database alias is not part of it: the log lies in that database."""
    rows = [
        [
            change.model,
            change.table,
            change.kind,
            None if change.pks is None else [_plain(pk) for pk in change.pks],
            None if change.fields is None else sorted(change.fields),
        ]
        for change in changes
    ]
    return json.dumps(rows, separators=(",", ":"))


def decode(text: str, using: str, restore: Restore) -> list[Change]:
    """Return the changes that ``encode`` was given.

    ``restore`` is called with a model's label and a key as JSON knows it, and returns the key.
    """
    return [
        Change(
            model,
            table,
            kind,
            None if pks is None else tuple(restore(model, pk) for pk in pks),
            None if fields is None else frozenset(fields),
            using,
        )
        for model, table, kind, pks, fields in json.loads(text)
    ]


def _plain(pk: Any) -> Any:
    if isinstance(pk, tuple):  # a composite key
        return [_plain(part) for part in pk]
    return pk if type(pk) in {int, str} else str(pk)
