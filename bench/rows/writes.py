"""What a write costs: with every feature on and nobody listening, and with those that read changes off."""

import json
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.db import transaction
from django.test import RequestFactory, override_settings

from bench.measure import Contender, Row
from bench.plain.models import Plain
from bench.watched.models import Watched

READERS = ("CACHING", "REACTIVE", "BINDINGS")
ON = "ours, every feature on"
FIRST = 10**9  # the row that is changed; a sequence does not come that far
OFF = "ours, CACHING, REACTIVE and BINDINGS off"


def rows() -> list[Row]:
    """A PATCH and a POST of one row through the whole handler, alone and in a transaction, and a queryset's update."""
    found = []
    for name, work in (
        ("PATCH of one row", _patch),
        ("PATCH of one row in atomic", _patch_in_atomic),
        ("POST of one row", _post),
        ("update() of one row", _update),
    ):
        floor = Contender("floor, plain DRF" if "()" not in name else "floor, plain Django", work(Plain))
        ours = work(Watched)
        parts = [
            Contender("without the log entry", ours, _core(CHANGES={"LOG": False})),
            Contender("without the version", ours, _core(CACHING={"ENABLED": False})),
        ]
        on = Contender(ON, ours, _core())
        off = Contender(OFF, ours, _core(**{feature: {"ENABLED": False} for feature in READERS}))
        found += [
            # The aim is for requests: a bare update() is so short that the log entry, a statement too, doubles it.
            Row(f"{name}, nobody listening", floor, on, parts, aim="" if "()" in name else "≤ 1.3", setup=_empty),
            Row(f"{name}, nothing that reads changes", floor, off, aim="≤ 1.02", setup=_empty),
        ]
    return found


def _core(**sections: dict[str, Any]) -> Callable[[], Any]:
    """Return what enters the settings of a contender. Those of the floor are the project's own."""
    core = {name: {**section, **sections.get(name, {})} for name, section in settings.CORE.items()}
    return lambda: override_settings(CORE=core)


def _empty() -> None:
    for model in (Plain, Watched):
        model._base_manager.all()._raw_delete("default")
        model(pk=FIRST, text="first").save(force_insert=True)


def _requests(model: type) -> tuple[RequestFactory, Callable[[Any], Any], str]:
    handler = BaseHandler()
    handler.load_middleware()
    return RequestFactory(), handler.get_response, f"/{model.__name__.lower()}/"


def _patch(model: type) -> Callable[[], object]:
    factory, respond, url = _requests(model)
    body = json.dumps({"number": 3})

    def once() -> object:
        response = respond(factory.patch(f"{url}{FIRST}/", body, content_type="application/json"))
        return response.status_code, response.content

    return once


def _patch_in_atomic(model: type) -> Callable[[], object]:
    patch = _patch(model)

    def once() -> object:
        with transaction.atomic():
            return patch()

    return once


def _post(model: type) -> Callable[[], object]:
    factory, respond, url = _requests(model)
    body = json.dumps({"text": "a row", "number": 3})

    def once() -> object:
        response = respond(factory.post(url, body, content_type="application/json"))
        return response.status_code, {**json.loads(response.content), "id": None}

    return once


def _update(model: type) -> Callable[[], object]:
    def once() -> object:
        return model.objects.filter(pk=FIRST).update(number=4)

    return once
