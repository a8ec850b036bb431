"""Changes as text, for the log and for doorbells that carry them. JSON, never pickle. Pure.

An entry is a list of ``[model, table, kind, keys or null, fields or null]``. Keys that JSON has no type for (UUIDs,
dates, decimals) are written as text; the model's key field makes them what they were. Many integers that follow one
another are written as runs, ``{"runs": [[first, how many], …]}``: a bulk operation is a short entry.
"""

import json
from collections.abc import Callable, Collection, Iterable
from itertools import pairwise
from typing import Any

from core.changes.change import Change

Restore = Callable[[str, list[Any]], tuple[Any, ...] | None]
WORTH_RUNS = 20
"""Keys from which on runs are looked for."""
MOST_KEYS = 1_000_000
"""Keys that the runs of an entry may stand for."""


def encode(changes: Iterable[Change]) -> str:
    """Return ``changes`` as text. Their database alias is not part of it: the log lies in that database."""
    rows = [
        [
            change.model,
            change.table,
            change.kind,
            None if change.pks is None else _keys(change.pks),
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
            None if pks is None else restore(model, _listed(pks)),
            None if fields is None else frozenset(fields),
            using,
        )
        for model, table, kind, pks, fields in json.loads(text)
    ]


def are_integers(values: Collection[Any]) -> bool:
    """Tell whether all of ``values`` are integers, which need no translation."""
    return set(map(type, values)) <= {int}


def _keys(pks: tuple[Any, ...]) -> Any:
    if len(pks) >= WORTH_RUNS and pks == _following(pks[0], len(pks)):  # at once: there may be thousands
        return {"runs": [(pks[0], len(pks))]}
    if not are_integers(pks):
        return [_plain(pk) for pk in pks]
    if len(pks) >= WORTH_RUNS and len(runs := _runs(pks)) * 4 <= len(pks):
        return {"runs": runs}
    return pks


def _following(first: Any, count: int) -> tuple[int, ...]:
    return tuple(range(first, first + count)) if type(first) is int else ()


def _runs(pks: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return ``pks`` as (first, how many) of numbers that follow one another, in their order."""
    starts = [0, *(at for at, (one, other) in enumerate(pairwise(pks), 1) if other != one + 1), len(pks)]
    return [(pks[start], end - start) for start, end in pairwise(starts)]


def _listed(pks: Any) -> list[Any]:
    if not isinstance(pks, dict):
        return list(pks)
    runs = [(first, count) for first, count in pks["runs"]]
    if sum(count for _, count in runs) > MOST_KEYS:
        raise ValueError("The runs of an entry stand for too many keys.")
    return [pk for first, count in runs for pk in range(first, first + count)]


def _plain(pk: Any) -> Any:
    if isinstance(pk, tuple):  # a composite key
        return [_plain(part) for part in pk]
    return pk if type(pk) in {int, str} else str(pk)
