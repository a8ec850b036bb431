"""What bulk operations cost, through the whole handler, next to the statement they come to and to the peers."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.core.handlers.base import BaseHandler
from django.db import connection
from django.db.models import Count, Max, Min, Sum
from django.test import RequestFactory
from rest_framework.routers import SimpleRouter
from rest_framework_bulk.drf3.mixins import BulkCreateModelMixin
from rest_framework_extensions.bulk_operations.mixins import ListDestroyModelMixin as PeerDestroy
from rest_framework_extensions.bulk_operations.mixins import ListUpdateModelMixin as PeerUpdate

from bench.measure import Contender, Row
from bench.plain.models import Plain
from bench.rows.writes import READERS, core
from bench.urls import viewset
from bench.watched.models import Watched
from core.bulk import ListCreateModelMixin, ListDestroyModelMixin, ListUpdateModelMixin

SIZES = (100, 1_000, 10_000)
HEADERS = {"X-BULK-OPERATION": "true"}


class Urls:
    """The endpoints of these rows only: a URLconf needs no module."""

    router = SimpleRouter()
    ours: Any = type("Ours", (ListCreateModelMixin, ListUpdateModelMixin, ListDestroyModelMixin, viewset(Watched)), {})
    router.register("bulk/ours", ours, "ours")
    router.register("bulk/extensions", type("Theirs", (PeerDestroy, PeerUpdate, viewset(Plain)), {}), "extensions")
    router.register("bulk/posting", type("Posting", (BulkCreateModelMixin, viewset(Plain)), {}), "posting")
    urlpatterns = router.urls


def rows() -> list[Row]:
    """PATCH, DELETE and POST of 100, 1,000 and 10,000 rows."""
    return [
        replace(make(size), series=f"bulk {name}, rows", size=size)
        for name, make in (("PATCH", _patch), ("DELETE", _delete), ("POST", _post))
        for size in SIZES
    ]


def _patch(size: int) -> Row:
    body = json.dumps({"number": 7})

    def floor() -> object:
        Plain.objects.all().update(number=7)
        return lambda: _table(Plain)

    return Row(
        f"bulk PATCH of {size:,} rows",
        Contender("floor, QuerySet.update", floor),
        Contender("ours, validated and announced", _request(Watched, "ours", "patch", body)),
        [_quiet(_request(Watched, "ours", "patch", body))],
        peer=Contender("drf-extensions, neither", _request(Plain, "extensions", "patch", body)),
        times=_times(size),
        aim="≤ 1.3" if size == SIZES[-1] else "",
        peer_aim="≥ 1" if size == SIZES[-1] else "",
        setup=lambda: _fill(size),
        each_time=True,
        memory=True,
    )


def _delete(size: int) -> Row:
    def floor() -> object:
        Plain.objects.all().delete()
        return lambda: _table(Plain)

    return Row(
        f"bulk DELETE of {size:,} rows",
        Contender("floor, QuerySet.delete", floor),
        Contender("ours, announced", _request(Watched, "ours", "delete")),
        [_quiet(_request(Watched, "ours", "delete"))],
        peer=Contender("drf-extensions, not announced", _request(Plain, "extensions", "delete")),
        times=_times(size),
        aim="≤ 1.9" if size == SIZES[-1] else "",
        peer_aim="≥ 1" if size == SIZES[-1] else "",
        setup=lambda: _fill(size),
        each_time=True,
        memory=True,
    )


def _post(size: int) -> Row:
    values = [{"text": f"row {number}", "number": number, "on": number % 2 == 0} for number in range(size)]
    body = json.dumps(values)

    def floor() -> object:
        Plain.objects.bulk_create([Plain(**each) for each in values])
        return lambda: _table(Plain)

    return Row(
        f"bulk POST of {size:,} rows",
        Contender("floor, bulk_create", floor),
        Contender("ours, validated, announced, one transaction", _request(Watched, "ours", "post", body)),
        [_quiet(_request(Watched, "ours", "post", body))],
        peer=Contender("djangorestframework-bulk", _request(Plain, "posting", "post", body)),
        times=_times(size),
        aim="≤ 5" if size == SIZES[-1] else "",
        peer_aim="≥ 3.5" if size == SIZES[-1] else "",
        setup=lambda: _fill(0),
        each_time=True,
        memory=True,
    )


def _quiet(once: Callable[[], object]) -> Contender:
    """Return ours where nothing reads changes: the difference is what telling the keys of all rows costs."""
    off = core(**{feature: {"ENABLED": False} for feature in READERS})
    return Contender("ours, nothing that reads changes", once, off)


def _times(size: int) -> int:
    return {100: 10, 1_000: 3, 10_000: 1}[size]


def _fill(size: int) -> None:
    for model in (Plain, Watched):
        if connection.vendor == "postgresql":  # deleted rows would lie about there, and be read past, until a VACUUM
            connection.cursor().execute(f"TRUNCATE {model._meta.db_table}")
        model._base_manager.all()._raw_delete("default")
        model._base_manager.bulk_create([model(text=f"row {number}") for number in range(size)])


def _table(model: Any) -> object:
    numbers = model.objects.aggregate(Count("id"), Sum("number"), Min("text"), Max("text"))
    return numbers, model.objects.filter(on=True).count()


def _request(model: Any, name: str, method: str, body: str = "") -> Callable[[], object]:
    handler = BaseHandler()
    handler.load_middleware()
    factory = RequestFactory(headers=HEADERS)
    send: Any = getattr(factory, method)

    def once() -> object:
        request = send(f"/bulk/{name}/", body, content_type="application/json")
        request.urlconf = Urls
        response = handler.get_response(request)
        if response.status_code not in {201, 204}:
            raise AssertionError(response.content)
        return lambda: _table(model)

    return once
