"""Which tables an SQL statement names. Pure, but for the list of the project's models.

Looks at the words of the statement, not at its grammar: a word that happens to be the name of a table counts as that
table. So nothing that is read goes unseen, however the SQL was written.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.signals import setting_changed

from core.changes.capture import is_excluded

_WORD = re.compile(r"[\w$]+")
_HARMLESS = frozenset({"savepoint", "release", "rollback", "begin", "commit", "set", "show", "pragma", "explain"})
_READING = frozenset({"select", "with", "values", "table"})
_WRITING = frozenset({"insert", "update", "delete", "merge", "replace"})
_SOURCES = frozenset({"from", "table"})
LONGEST = 4000
"""Characters of a statement that is worth remembering."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a statement does. ``tables`` are the watched ones it names.

    ``writes``: it does more than read. ``unseen``: it reads rows whose changes nobody hears of. ``opaque``: it reads
    something that is no table of a model, a view of the database, or nothing but what a function of it may read.
    """

    tables: frozenset[str]
    writes: bool = False
    unseen: bool = False
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """The tables of all models, by their names in lower case."""

    watched: dict[str, str]
    unseen: frozenset[str]
    unmanaged: frozenset[str]
    constant: frozenset[str]
    odd: tuple[str, ...]  # names that are not one word


@cache
def _known() -> _Known:
    models: list[Any] = [model for model in apps.get_models(include_auto_created=True) if not model._meta.proxy]
    constant = frozenset({ContentType._meta.db_table})
    excluded = {model._meta.db_table.lower() for model in models if is_excluded(model)} - constant
    unmanaged = frozenset(model._meta.db_table.lower() for model in models if not model._meta.managed)
    watched = {model._meta.db_table.lower(): model._meta.db_table for model in models}
    watched = {name: table for name, table in watched.items() if name not in excluded and name not in constant}
    odd = tuple(name for name in (*watched, *excluded) if not _WORD.fullmatch(name))
    return _Known(watched, frozenset(excluded), unmanaged, constant, odd)


def read_statement(sql: str) -> Statement:
    """Return what the statement ``sql`` does."""
    return _remembered(sql) if len(sql) <= LONGEST else _read(sql)


@lru_cache(maxsize=1024)
def _remembered(sql: str) -> Statement:
    return _read(sql)


def _read(sql: str) -> Statement:
    text = sql.lower()
    words = set(_WORD.findall(text))
    first = _WORD.search(text)
    verb = first.group() if first else ""
    if verb in _HARMLESS:
        return Statement(frozenset())
    known = _known()
    named = words | {name for name in known.odd if name in text}
    tables = frozenset(known.watched[name] for name in named & known.watched.keys())
    nothing_known = not tables and not named & (known.unseen | known.constant)
    return Statement(
        tables,
        writes=verb not in _READING or (verb == "with" and bool(words & _WRITING)),
        unseen=bool(named & known.unseen),
        opaque=bool(named & known.unmanaged) or (nothing_known and (bool(words & _SOURCES) or "(" in text)),
    )


def _forget(*, setting: str, **_: object) -> None:
    if setting in {"CORE", "INSTALLED_APPS"}:
        _known.cache_clear()
        _remembered.cache_clear()


setting_changed.connect(_forget, dispatch_uid="core.statements")
