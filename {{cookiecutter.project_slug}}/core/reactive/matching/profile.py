"""What a query depends on, as plain data: what an index has to know of it to tell which changes can concern it.

A profile goes to the database as JSON and from there to every worker. One that another version of this code has written
reads as ``ANYTHING``: then every change concerns it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.reactive.matching.conditions import Condition, decode, decode_value, encode, encode_value

VERSION: Final = 1
"""Of the form of ``as_data``."""

Fields = frozenset[str] | None
"""Names of fields; None stands for any."""

ANY: Final = "any"
"""Whatever happens to rows of the table may change the result."""
JOINED: Final = "joined"
"""Rows the base rows lead to by foreign keys. The database lets none of them go while a base row leads to it."""
SHOWN: Final = "shown"
"""Rows that are shown in or under the base rows: what is not shown does not matter."""
CHILD: Final = "child"
"""Rows shown under the row that their foreign key ``via`` leads to."""
MIDDLE: Final = "middle"
"""Rows between two models, which decide what is shown under the row that ``via`` leads to, and are not shown."""


@dataclass(frozen=True, slots=True)
class Use:
    """One way in which a query reads a table, besides that of the rows it lists.

    ``fields`` are those that are read. ``pins`` are the only keys whose rows can matter (None: any). ``guarded``: a
    foreign key makes sure that a row is deleted only after those that lead to it. For a ``CHILD`` or ``MIDDLE``,
    ``model`` is the label of the model in the table, ``via`` the name of its foreign key and ``parent`` the table that
    it leads to; ``deep`` tells that the rows there are themselves shown under others.
    """

    table: str
    kind: str = ANY
    fields: Fields = None
    pins: frozenset[Any] | None = None
    guarded: bool = False
    model: str = ""
    via: str = ""
    parent: str = ""
    deep: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that a query lists: those of ``model``, which lie in ``tables``, that fulfil ``condition``.

    ``condition_fields`` are all fields on which it depends whether a row is listed, ``order_fields`` those on which
    its place depends, ``read_fields`` these and those that are shown. ``windowed``: not all rows are listed;
    ``offset``: some that come before those listed are not. ``keyed``: what is listed is known by the keys of rows.
    """

    model: str
    tables: tuple[str, ...]
    condition: Condition
    condition_fields: Fields
    order_fields: Fields
    read_fields: Fields
    windowed: bool
    offset: bool
    keyed: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """What a query depends on. ``profile_of`` makes it; its parts are the index's business.

    ``rows`` is None if nothing is known of the rows but which tables they come from. ``using`` are the aliases of the
    databases, ``taken`` is when the query was made, in seconds since the epoch. ``anything``: every change
    of any table may concern it.
    """

    uses: tuple[Use, ...] = ()
    rows: Rows | None = None
    using: frozenset[str] = frozenset()
    taken: float = 0.0
    anything: bool = False

    @property
    def tables(self) -> frozenset[str] | None:
        """The tables whose changes can concern the query; None: those of any."""
        if self.anything:
            return None
        return frozenset(use.table for use in self.uses) | frozenset(self.rows.tables if self.rows else ())

    def as_data(self) -> dict[str, Any]:
        """Return the profile as JSON can hold it."""
        if self.anything:
            return {"version": VERSION, "anything": True}
        return {
            "version": VERSION,
            "uses": [_use_data(use) for use in self.uses],
            "rows": None if self.rows is None else _rows_data(self.rows),
            "using": sorted(self.using),
            "taken": self.taken,
        }

    @classmethod
    def from_data(cls, data: Any) -> "Profile":
        """Return the profile that ``as_data`` gave; ``ANYTHING`` if ``data`` is of another version, or no profile."""
        try:
            if data["version"] != VERSION or data.get("anything"):
                return ANYTHING
            return cls(
                tuple(_use(each) for each in data["uses"]),
                None if data["rows"] is None else _rows(data["rows"]),
                frozenset(data["using"]),
                float(data["taken"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            return ANYTHING


ANYTHING: Final = Profile(anything=True)
"""Of a query of which nothing is known: every change may concern it."""


def _fields_data(fields: Fields) -> list[str] | None:
    return None if fields is None else sorted(fields)


def _fields(data: Iterable[str] | None) -> Fields:
    return None if data is None else frozenset(data)


def _use_data(use: Use) -> dict[str, Any]:
    data: dict[str, Any] = {"table": use.table, "kind": use.kind, "fields": _fields_data(use.fields)}
    if use.pins is not None:
        data["pins"] = [encode_value(pin) for pin in use.pins]
    if use.guarded:
        data["guarded"] = True
    if use.kind in {CHILD, MIDDLE}:
        data |= {"model": use.model, "via": use.via, "parent": use.parent, "deep": use.deep}
    return data


def _use(data: Mapping[str, Any]) -> Use:
    if data["kind"] not in {ANY, JOINED, SHOWN, CHILD, MIDDLE}:
        raise ValueError(f"No table is used in the way {data['kind']!r}.")
    pins = data.get("pins")
    return Use(
        data["table"],
        data["kind"],
        _fields(data["fields"]),
        None if pins is None else frozenset(map(decode_value, pins)),
        bool(data.get("guarded")),
        data.get("model", ""),
        data.get("via", ""),
        data.get("parent", ""),
        bool(data.get("deep")),
    )


def _rows_data(rows: Rows) -> dict[str, Any]:
    return {
        "model": rows.model,
        "tables": list(rows.tables),
        "condition": encode(rows.condition),
        "condition_fields": _fields_data(rows.condition_fields),
        "order_fields": _fields_data(rows.order_fields),
        "read_fields": _fields_data(rows.read_fields),
        "windowed": rows.windowed,
        "offset": rows.offset,
        "keyed": rows.keyed,
    }


def _rows(data: Mapping[str, Any]) -> Rows:
    return Rows(
        data["model"],
        tuple(data["tables"]),
        decode(data["condition"]),
        _fields(data["condition_fields"]),
        _fields(data["order_fields"]),
        _fields(data["read_fields"]),
        data["windowed"],
        data["offset"],
        data["keyed"],
    )
