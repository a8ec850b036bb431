"""Tells which observers a change can concern, by the tables alone."""

from collections.abc import Collection, Sequence
from typing import Any

from core.changes import Change
from core.queries import tables_read


class Profile:
    def __init__(self, tables: Collection[str] | None) -> None:
        self.tables = None if tables is None else frozenset(tables)

    def as_data(self) -> Any:
        return None if self.tables is None else sorted(self.tables)

    @classmethod
    def from_data(cls, data: Any) -> "Profile":
        return cls(data)


def profile_of(
    queryset: Any, *, primary_key: str = "pk", tables: Collection[str] | None = None, offset: int | None = None
) -> Profile:
    del primary_key, offset
    read = tables_read(queryset)
    return Profile(None if read is None or tables is None else read | frozenset(tables))


def shown_keys(rows: Any) -> dict[str, list[Any]]:
    del rows
    return {}


class Index:
    def __init__(self) -> None:
        self._profiles: dict[str, Profile] = {}

    def put(self, observer_id: str, profile: Profile, keys: Any, nested: Any = None) -> None:
        del keys, nested
        self._profiles[observer_id] = profile

    def discard(self, observer_id: str) -> None:
        self._profiles.pop(observer_id, None)

    def concerned(self, changes: Sequence[Change], rows: Any = None) -> dict[str, str]:
        del rows
        tables = {change.table for change in changes}
        return {name: "changed" for name, each in self._profiles.items() if each.tables is None or each.tables & tables}
