"""Holds writes of whole lists to their conditions: what they are compared with is the list as GET would show it now."""

import copy
from typing import Any

from django.db.models import QuerySet

from core.conf import core_settings
from core.etags.calls import Call
from core.etags.conditions import is_conditional
from core.etags.exceptions import PreconditionFailedException
from core.etags.locks import lock_table
from core.etags.primary import reading_from_primary
from core.keys.functions import resolved
from core.keys.passing import as_get, passes_by


def require_conditions(view: Any, etag_func: Any, queryset: QuerySet[Any]) -> None:
    """Raise ``PreconditionFailedException`` unless the conditions of the request of ``view`` hold for its list.

    ``etag_func`` makes the list's tag: a function, or the name of a method of ``view``. ``queryset`` says what is about
    to be written and in which database; its table stays locked until the end of the transaction, which the caller has
    begun. Without a condition nothing is done.
    """
    request = view.request
    if not is_conditional(request) or not core_settings.ETAGS.ENABLED or passes_by(request):
        return
    with reading_from_primary():
        lock_table(queryset.model, queryset.db)
        listing = _listing(view)
        func = resolved(etag_func, listing)
        call = Call(listing, type(view).list, request, view.args, view.kwargs, view.kwargs, func)
        refusal = call.refusal()
    if refusal is not None:
        # What is raised takes the transaction along, and has no headers of its own.
        if refusal.has_header("ETag"):
            view.headers = {**getattr(view, "headers", {}), "ETag": refusal["ETag"]}
        raise PreconditionFailedException


def _listing(view: Any) -> Any:
    """Return ``view`` as it is when GET asks for its list: a bulk action passes for that of a single row."""
    twin = copy.copy(view)
    twin.action_map = {"get": "list", **(getattr(view, "action_map", None) or {})}
    twin.detail = False
    return as_get(twin, view.request)
