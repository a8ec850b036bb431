"""Changes as text, for the log and for doorbells that carry them. JSON, never pickle. Pure.

An entry is a list of ``[model, table, kind, keys or null, fields or null]``. Keys that JSON has no type for (UUIDs,
dates, decimals) are written as text; the model's key field makes them what they were.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from core.changes.change import Change

Restore = Callable[[str, list[Any]], tuple[Any, ...] | None]


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

    ``restore`` is called with a model's label and keys as JSON knows them, and returns the keys, or None if they are
    none of this model's: then the change is one of some rows. Raises what a text of another kind makes it raise.
    """
    return [
        Change(
            model,
            table,
            kind,
            None if pks is None else restore(model, pks),
            None if fields is None else frozenset(fields),
            using,
        )
        for model, table, kind, pks, fields in json.loads(text)
    ]


def _plain(pk: Any) -> Any:
    if isinstance(pk, tuple):  # a composite key
        return [_plain(part) for part in pk]
    return pk if type(pk) in {int, str} else str(pk)
