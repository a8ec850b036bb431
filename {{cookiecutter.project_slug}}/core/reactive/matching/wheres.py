"""Reads the conditions of a query into plain data, as far as they can be decided by looking at a row of its model.

These are Django's own lookups ``exact``, ``in``, ``isnull``, ``gt``, ``gte``, ``lt``, ``lte`` and ``range`` of a column
of the row with a constant, on integers, booleans, dates, moments, UUIDs and foreign keys to such keys. Texts are not
among them: whether two are equal is for a collation to say. What a field or a lookup of somebody's own means is not for
us to say.
"""

import datetime as dt
import uuid
from collections.abc import Collection
from typing import Any

from django.db import connections, models
from django.db.models.expressions import Col
from django.db.models.lookups import Lookup
from django.db.models.sql.where import AND, OR, NothingNode, WhereNode

from core.reactive.matching.conditions import (
    ABOVE,
    BELOW,
    EQUALS,
    FALSE,
    FROM,
    IN,
    IS_NULL,
    OPERATORS,
    TRUE,
    UNKNOWN,
    UP_TO,
    All,
    Comparison,
    Condition,
    all_of,
    opposite_of,
    some_of,
)

_INTEGERS: frozenset[type] = frozenset(
    {
        models.AutoField,
        models.BigAutoField,
        models.SmallAutoField,
        models.IntegerField,
        models.BigIntegerField,
        models.SmallIntegerField,
        models.PositiveIntegerField,
        models.PositiveBigIntegerField,
        models.PositiveSmallIntegerField,
    }
)
_KEYS: frozenset[type] = frozenset({models.ForeignKey, models.OneToOneField})
_TYPES: dict[type, type] = {
    **dict.fromkeys(_INTEGERS, int),
    models.BooleanField: bool,
    models.DateField: dt.date,
    models.DateTimeField: dt.datetime,
    models.UUIDField: uuid.UUID,
}
_LOOKUPS = frozenset({"django.db.models.lookups", "django.db.models.fields.related_lookups"})


def condition_of(node: Any, aliases: Collection[str | None], using: str) -> Condition:
    """Return what ``node`` of a query's conditions asks of a row whose columns the query knows by ``aliases``.

    ``using`` is the alias of the database, which is not asked.
    """
    if isinstance(node, NothingNode):
        return FALSE
    if isinstance(node, WhereNode):
        if not node.children:
            return TRUE  # negated or not: no condition
        parts = tuple(condition_of(child, aliases, using) for child in node.children)
        if node.connector not in {AND, OR}:
            return UNKNOWN
        tree = all_of(parts) if node.connector == AND else some_of(parts)
        return opposite_of(tree) if node.negated else tree
    if isinstance(node, Lookup) and type(node).__module__ in _LOOKUPS:
        return _lookup(node, aliases, using)
    return UNKNOWN


def _lookup(lookup: "Lookup[Any]", aliases: Collection[str | None], using: str) -> Condition:
    left: Any = lookup.lhs
    if type(left) is not Col or left.alias not in aliases or lookup.bilateral_transforms:
        return UNKNOWN
    field, name = left.target, str(lookup.lookup_name)
    if name == IS_NULL:
        return Comparison(field.name, IS_NULL, lookup.rhs) if isinstance(lookup.rhs, bool) else UNKNOWN
    wanted = _type_of(field)
    if wanted is None:
        return UNKNOWN
    return _compared(field, name, lookup.rhs, wanted, using)


def _compared(field: Any, name: str, right: Any, wanted: type, using: str) -> Condition:
    if name in {IN, "range"}:
        if not isinstance(right, Collection) or isinstance(right, str):
            return UNKNOWN
        values = [each for each in right if each is not None or name != IN]
    else:
        values = [right]
    if not all(_is_constant(each, field, wanted, using) for each in values):
        return UNKNOWN
    plain = tuple(int(each) if wanted is int else each for each in values)
    if name == IN:
        return Comparison(field.name, IN, plain)
    if name == "range":
        return All((Comparison(field.name, FROM, plain[0]), Comparison(field.name, UP_TO, plain[1])))
    if name not in OPERATORS or (wanted in {bool, uuid.UUID} and name in {ABOVE, FROM, BELOW, UP_TO}):
        return UNKNOWN  # databases do not agree on the order of these
    return Comparison(field.name, EQUALS if name == EQUALS else name, plain[0])


def _is_constant(value: Any, field: Any, wanted: type, using: str) -> bool:
    if wanted is int:
        return isinstance(value, int) and _is_in_range(value, field, using)
    if wanted is dt.date:
        return type(value) is dt.date
    return isinstance(value, wanted)


def _is_in_range(value: int, field: Any, using: str) -> bool:
    """Tell whether the column can hold ``value``; of one that it cannot hold Django makes no condition at all."""
    try:
        low, high = connections[using].ops.integer_field_range(field.get_internal_type())
    except KeyError:  # a foreign key: this is not done for them
        low, high = connections[using].ops.integer_field_range("BigIntegerField")
    return (low is None or value >= low) and (high is None or value <= high)


def _type_of(field: Any) -> type | None:
    """Return the type of the values of ``field``; None if it is not among those that we can compare."""
    for _ in range(8):  # a key may be a foreign key itself
        if type(field) not in _KEYS:
            break
        field = field.target_field
    return _TYPES.get(type(field))
