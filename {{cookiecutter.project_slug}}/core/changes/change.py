"""What a change is: the plain value that goes from a write to everyone who wants to know of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

CREATED: Final = "created"
UPDATED: Final = "updated"
DELETED: Final = "deleted"
KINDS: Final = (CREATED, UPDATED, DELETED)


@dataclass(frozen=True, slots=True)
class Change:
    """Rows of one table that one transaction has created, updated or deleted.

    ``model`` is the label of the model that owns the table, ``"polls.question"``: of a proxy, the model behind it.
    ``table`` is the table's name in the database. ``kind`` is ``"created"``, ``"updated"`` or ``"deleted"``.
    ``pks`` are the primary keys of the rows; None means some rows, not known which. ``fields`` are the names of the
    fields written; None means that any may have been. ``using`` is the alias of the database.
    """

    model: str
    table: str
    kind: str
    pks: tuple[Any, ...] | None
    fields: frozenset[str] | None
    using: str


class Table(NamedTuple):
    """The table of a model: where rows live, whichever class they were written through."""

    model: str
    name: str


class Touch(NamedTuple):
    """One observation: what a single write did to one table.

    ``kind`` is one of ``KINDS``, or ``UPSERTED`` for rows of which only the database knows whether they were there.
    ``pks`` may be a range: keys that follow one another need not be made before somebody wants them.
    """

    table: Table
    kind: str
    pks: Sequence[Any] | None = None
    fields: frozenset[str] | None = None


UPSERTED: Final = "upserted"
