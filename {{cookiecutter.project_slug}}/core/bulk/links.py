"""Sets the many-to-many links of many rows in a constant number of statements per block."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, Q, QuerySet

from core.blocks import block_size, blocks
from core.bulk.payload import link_changes, mirrored_changes
from core.changes import TrackedQuerySet, record_change
from core.changes.capture import is_excluded


def set_links(rows: Sequence[Model], values: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Give each of ``rows`` the targets that stand in its ``values`` under each of ``names``.

    Where the model in the middle has a way of its own to insert or delete rows, that is used, row by row.
    """
    for name in names:
        pairs = [(row, each[name]) for row, each in zip(rows, values, strict=True) if name in each]
        if not pairs:
            continue
        ends = _ends(pairs[0][0], name)
        if ends is None:
            for row, targets in pairs:
                getattr(row, name).set(targets)
        else:
            _set_at_once(ends, pairs)


@dataclass(frozen=True, slots=True)
class _Ends:
    """The model in the middle, its two columns, and what the field is called at either end (None: nothing)."""

    through: Any
    source: Any
    target: Any
    names: tuple[str | None, str | None]
    symmetrical: bool


def _ends(row: Model, name: str) -> _Ends | None:
    manager: Any = getattr(row, name)
    through = manager.through
    usual = {QuerySet.bulk_create, TrackedQuerySet.bulk_create, QuerySet.delete, TrackedQuerySet.delete}
    rows = type(through._default_manager.all())
    if through._meta.parents or not {rows.bulk_create, rows.delete} <= usual:
        return None
    back = next((each for each in row._meta.related_objects if each.get_accessor_name() == name), None)
    field: Any = row._meta.get_field(name) if back is None else back.field
    relation = field.remote_field
    accessor = None if relation.hidden else relation.get_accessor_name()
    return _Ends(
        through,
        through._meta.get_field(manager.source_field_name),
        through._meta.get_field(manager.target_field_name),
        (accessor, field.name) if manager.reverse else (field.name, field.name if manager.symmetrical else accessor),
        manager.symmetrical,
    )


def _set_at_once(ends: _Ends, pairs: Sequence[tuple[Model, Any]]) -> None:
    using = pairs[0][0]._state.db or "default"
    wanted = {
        getattr(row, ends.source.target_field.attname): [
            getattr(each, ends.target.target_field.attname) if isinstance(each, Model) else each for each in targets
        ]
        for row, targets in pairs
    }
    links = ends.through._base_manager.using(using)
    source, target = ends.source.attname, ends.target.attname
    standing = list(_standing(ends, list(wanted), using))
    surplus, missing = (mirrored_changes if ends.symmetrical else link_changes)(standing, wanted)
    for block in blocks(surplus, block_size(using)):
        links.filter(pk__in=block).delete()
    # Somebody else may add the same link at the same time: it is wanted, whoever added it.
    links.bulk_create([ends.through(**{source: row, target: each}) for row, each in missing], ignore_conflicts=True)
    gone = set(surplus)
    lost = [(row, each) for key, row, each in standing if key in gone]
    _announce(ends, [*lost, *missing], using)


def _standing(ends: _Ends, rows: Sequence[Any], using: str) -> Iterable[tuple[Any, Any, Any]]:
    """Return the links of ``rows`` as (their own key, row, target); with those back to them if they are mirrored."""
    links = ends.through._base_manager.using(using)
    source, target = ends.source.attname, ends.target.attname
    found = {}
    for block in blocks(rows, block_size(using, 2 if ends.symmetrical else 1)):
        concerned = Q(**{f"{source}__in": block})
        if ends.symmetrical:
            concerned |= Q(**{f"{target}__in": block})
        for link in links.filter(concerned).values_list("pk", source, target):
            found[link[0]] = link
    return found.values()


def _announce(ends: _Ends, touched: Sequence[tuple[Any, Any]], using: str) -> None:
    """Tell the change stream that both ends were updated, as it hears it of Django's own ways to set links."""
    for place, field in enumerate((ends.source, ends.target)):
        model, name = field.related_model, ends.names[place]
        if touched and name is not None and not is_excluded(model):
            known = field.target_field.primary_key
            keys = tuple(dict.fromkeys(pair[place] for pair in touched)) if known else None
            record_change(model, "updated", keys, [name], using)
