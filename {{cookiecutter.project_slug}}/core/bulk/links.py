"""Sets the many-to-many links of many rows in a constant number of statements per block."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Model

from core.bulk.foresight import block_size
from core.bulk.payload import blocks, link_changes
from core.changes import record_change
from core.changes.capture import is_excluded


def set_links(rows: Sequence[Model], values: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Give each of ``rows`` the targets that stand in its ``values`` under each of ``names``.

    A field with a model of one's own in the middle, or from a model to itself, is set row by row: there Django does
    more than write two keys.
    """
    for name in names:
        pairs = [(row, each[name]) for row, each in zip(rows, values, strict=True) if name in each]
        ends = _ends(rows[0], name) if pairs else None
        if ends is None:
            for row, targets in pairs:
                getattr(row, name).set(targets)
        else:
            _set_at_once(ends, pairs)


class _Ends:
    """The model in the middle, the columns of its two ends, and what the field is called at either."""

    def __init__(self, manager: Any) -> None:
        self.through: Any = manager.through
        self.source = self.through._meta.get_field(manager.source_field_name)
        self.target = self.through._meta.get_field(manager.target_field_name)
        field = self.through._meta.auto_created._meta.get_field(_declared(manager))
        relation = field.remote_field
        back = None if relation.hidden else relation.get_accessor_name()
        self.names = (back, field.name) if manager.reverse else (field.name, back)


def _declared(manager: Any) -> str:
    """Return the name of the field at the model that declares it."""
    for field in manager.through._meta.auto_created._meta.local_many_to_many:
        if field.remote_field.through is manager.through:
            return str(field.name)
    raise LookupError(manager.through)  # Django makes such a model for a field only


def _ends(row: Model, name: str) -> _Ends | None:
    manager: Any = getattr(row, name)
    through = getattr(manager, "through", None)
    if through is None or not through._meta.auto_created or manager.symmetrical:
        return None
    return _Ends(manager)


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
    standing: list[Any] = []
    for block in blocks(list(wanted), block_size(using)):
        standing += links.filter(**{f"{source}__in": block}).values_list("pk", source, target)
    surplus, missing = link_changes(standing, wanted)
    for block in blocks(surplus, block_size(using)):
        links.filter(pk__in=block).delete()
    # Somebody else may add the same link at the same time: it is wanted, whoever added it.
    links.bulk_create([ends.through(**{source: row, target: each}) for row, each in missing], ignore_conflicts=True)
    gone = set(surplus)
    lost = [(row, each) for key, row, each in standing if key in gone]
    _announce(ends, [*lost, *missing], using)


def _announce(ends: _Ends, touched: Sequence[tuple[Any, Any]], using: str) -> None:
    """Tell the change stream that both ends were updated, as it hears it of Django's own ways to set links."""
    for place, field in enumerate((ends.source, ends.target)):
        model, name = field.related_model, ends.names[place]
        if touched and name is not None and not is_excluded(model):
            known = field.target_field.primary_key
            keys = tuple(dict.fromkeys(pair[place] for pair in touched)) if known else None
            record_change(model, "updated", keys, [name], using)
