"""Watches the models: the managers through which Django itself writes, and its signals of what it writes past them.

Only while somebody wants to know: a feature that reads the log, or a receiver of ``changes_committed``. With none, and
for excluded models always, Django runs the statements it would run without us.

Django saves instances through the model's base manager, and so it rewrites rows without a signal (``SET_NULL``, the
tables of many-to-many fields). While a model is watched that is a tracked one. Deletions and many-to-many fields are
told by their signals, which Django sends within its transaction. A handler for deletions would make Django fetch every
row before it deletes it; ``TrackedQuerySet.delete`` knows that it is ours and keeps the fast path.
"""

import threading
from collections.abc import Iterable
from typing import Any, cast

from django.apps import apps
from django.db import models, router
from django.db.models import signals

from core.changes import log
from core.changes.change import DELETED, KINDS, UPDATED, Table, Touch
from core.changes.signals import changes_committed
from core.changes.tables import Join, Layout, Model, join_of, joined, keys, layout, restored_key, table_of
from core.changes.transactions import record
from core.conf import core_settings

HANDLERS = "core.changes"
"""The ``dispatch_uid`` of every handler connected here."""

watched: dict[Model, Layout] = {}
"""The watched models, proxies among them."""
_joins: dict[Model, Join] = {}  # by the model in the middle


def update() -> None:
    """Begin to watch, or cease to, as the settings and the receivers of ``changes_committed`` want it now."""
    if not apps.models_ready:
        return
    with _rewiring:
        wanted = log.is_on() or changes_committed.has_listeners()
        excluded = frozenset(core_settings.CHANGES.EXCLUDE) if wanted else None
        if _without == [excluded]:
            return  # no write on another thread is to find things half done for nothing
        _without[:] = [excluded]
        models_ = [model for model in _all_models() if not is_excluded(model)] if wanted else []
        _cease(set(models_))
        _begin(models_)


_rewiring = threading.RLock()
_without: list[frozenset[str] | None] = [None]
"""What is excluded where things are watched now; None where nothing is watched."""


changes_committed.when_receivers_change = update


def tables() -> list[Table]:
    """Return every table that is watched while anything is."""
    models_ = [model for model in _all_models() if not model._meta.proxy and not is_excluded(model)]
    return [table_of(model) for model in models_]


def is_excluded(model: Model) -> bool:
    """Tell whether the settings exclude ``model``, by its label or by its application."""
    concrete: Model = model._meta.concrete_model or model
    options = concrete._meta
    names = {name.lower() for name in core_settings.CHANGES.EXCLUDE}
    return options.app_label.lower() in names or options.label_lower in names


def record_change(
    model: Model | str,
    kind: str,
    pks: Iterable[Any] | None = None,
    fields: Iterable[str] | None = None,
    using: str | None = None,
) -> None:
    """Report a write that nothing else sees, such as raw SQL. Call it where the write is, in its transaction.

    ``model`` is a class or a label (``"polls.question"``), ``kind`` is ``"created"``, ``"updated"`` or
    ``"deleted"``, ``pks`` are the keys of the rows, or the rows themselves (None: some rows), ``fields`` the names of
    the fields written (None: any). ``using`` is the database, by default the one that the model is written to. Raises
    ``ValueError`` for another kind, ``LookupError`` for a model that does not exist and ``ValueError`` or
    ``ValidationError`` for what is no key of it.
    """
    if kind not in KINDS:
        raise ValueError(f"The kind of a change is one of {', '.join(KINDS)}, not {kind!r}.")
    model = apps.get_model(model) if isinstance(model, str) else model
    if not watched:
        return
    told = None if pks is None else tuple(_told_key(model, pk) for pk in pks)
    touch = Touch(table_of(model), kind, told, None if fields is None else frozenset(fields))
    record(using or router.db_for_write(model), [touch])


def _told_key(model: Model, pk: Any) -> Any:
    # What is no key would only be found out by another process, which can do nothing about it.
    return restored_key(model, pk.pk if isinstance(pk, models.Model) else pk)


def _all_models() -> list[Model]:
    return apps.get_models(include_auto_created=True)


def _begin(models_: list[Model]) -> None:
    for model in models_:
        _swap_managers(model)
    # Known before a handler is connected, so that a write on another thread finds all of it or nothing.
    layouts = {model: layout(model, is_excluded) for model in models_}
    joins: dict[Model, Join] = {
        field.remote_field.through: join_of(field, is_excluded, _bulk_is_seen)
        for model in models_
        for field in cast("list[Any]", model._meta.local_many_to_many)
    }
    watched.update(layouts)
    _joins.update(joins)
    for model in models_:
        if not model._meta.auto_created:
            _connect(model)
    for through in joins:
        signals.m2m_changed.connect(_on_m2m, sender=through, dispatch_uid=HANDLERS)


def _bulk_is_seen(through: Model) -> bool:
    from core.changes.querysets import is_tracked

    return bool(through._meta.auto_created) or is_tracked(through._default_manager)


def _connect(model: Model) -> None:
    signals.post_delete.connect(_on_delete, sender=model, dispatch_uid=HANDLERS)
    if watched[model].unseen:
        signals.pre_delete.connect(_before_delete, sender=model, dispatch_uid=HANDLERS)


def _cease(staying: set[Model]) -> None:
    """Cease to watch all models but ``staying``, whose handlers and joins are made anew right after."""
    for model in [model for model in watched if model not in staying]:
        _restore_managers(model)
        for signal in (signals.pre_delete, signals.post_delete):
            signal.disconnect(sender=model, dispatch_uid=HANDLERS)
        del watched[model]
    kept = {
        field.remote_field.through for model in staying for field in cast("list[Any]", model._meta.local_many_to_many)
    }
    for through in [through for through in _joins if through not in kept]:
        signals.m2m_changed.disconnect(sender=through, dispatch_uid=HANDLERS)
        del _joins[through]


def _swap_managers(model: Model) -> None:
    """Have Django use tracked managers where it writes behind everyone's back."""
    from core.changes.querysets import is_tracked, tracking

    names = ["base_manager"]
    if model._meta.auto_created:
        names.append("default_manager")
    for name in names:
        standing = getattr(model._meta, name)
        if is_tracked(standing):
            continue
        manager: Any = tracking(standing)
        manager.name, manager.model, manager.auto_created = standing.name, model, True
        manager.stands_in_for = standing
        model._meta.__dict__[name] = manager


def _restore_managers(model: Model) -> None:
    for name in ("base_manager", "default_manager"):
        manager = model._meta.__dict__.get(name)
        if (standing := getattr(manager, "stands_in_for", None)) is not None:
            model._meta.__dict__[name] = standing


def _before_delete(sender: Model, instance: models.Model, *, using: str, **_: Any) -> None:
    """Look which rows Django is about to rewrite where nobody will see it."""
    limit = core_settings.CHANGES.MAX_PKS
    for field in layout_.unseen if (layout_ := watched.get(sender)) else ():
        rows = field.model._base_manager.using(using).filter(**{field.name: instance})
        pks = tuple(rows.values_list("pk", flat=True)[: limit + 1])
        if pks:
            known = pks if len(pks) <= limit else None
            record(using, [Touch(table_of(field.model), UPDATED, known, frozenset({field.name}))])


def _on_delete(sender: Model, instance: models.Model, *, using: str, **_: Any) -> None:
    if (layout_ := watched.get(sender)) is None:
        return
    record(using, [Touch(layout_.own.table, DELETED, keys(sender, (instance.pk,))), *layout_.effects])


def _on_m2m(  # noqa: PLR0913 - what Django sends
    sender: Model,
    instance: models.Model,
    *,
    action: str,
    reverse: bool,
    model: Model,
    pk_set: set[Any] | None,
    using: str,
    **_: Any,
) -> None:
    if action.startswith("post_") and (join := _joins.get(sender)) is not None:
        others = pk_set and keys(model, pk_set)
        record(using, joined(join, action, keys(type(instance), (instance.pk,)), others, reverse=reverse))
