"""What changes say of the site's users, whichever model they are."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import models

from core.changes import Change
from core.changes.change import CREATED

HARMLESS: Final = frozenset({"last_login"})
"""Fields of a user that say nothing about their rights: a login is no reason to look at everybody."""


def users_changed(changes: Iterable[Change]) -> frozenset[str] | None:
    """Return the keys, as text, of users whose rights ``changes`` may have touched; None: of some, not known which.

    A user model with parents has a row in each of their tables, and any of them may say who is active.
    """
    tables = _tables(get_user_model())
    found: set[str] = set()
    for change in changes:
        key_is_known = tables.get(change.model.lower())
        if key_is_known is None or change.kind == CREATED or (change.fields and change.fields <= HARMLESS):
            continue
        if change.pks is None or not key_is_known:
            return None
        found.update(map(str, change.pks))
    return frozenset(found)


@lru_cache(maxsize=8)
def _tables(model: type[models.Model]) -> dict[str, bool]:
    """Return the labels of the models whose tables hold a user, each with whether its keys are those of users."""
    concrete: Any = model._meta.concrete_model
    found = {concrete._meta.label_lower: True}
    for parent, link in concrete._meta.parents.items():
        if not parent._meta.proxy and parent is not concrete:
            known = link is not None and link.primary_key
            found |= {label: known and same for label, same in _tables(parent).items()}
    return found
