"""What a batch costs, against the same requests sent one by one through the loaded middleware handler."""

import json
from collections.abc import Callable
from typing import Any

from django.core.handlers.base import BaseHandler
from django.db import transaction
from django.test import RequestFactory, override_settings

from bench.batch_urls import PeerView
from bench.measure import Contender, Row
from bench.plain.models import Plain

Item = dict[str, Any]
Once = Callable[[], object]
OURS = "ours"


def rows() -> list[Row]:
    """Measure reads and writes in one transaction, slow reads, a chain of references, and growth with the items."""
    mixed = [_get() if number % 2 else _post() for number in range(50)]
    slow = [{"method": "GET", "relative_url": "/slow/"}] * 10
    one_slow = _one_by_one(slow[:1])
    found = [
        _row(
            "batch, 25 detail GETs and 25 POSTs, atomic",
            _one_by_one(mixed, atomic=True),
            mixed,
            atomic=True,
            times=3,
            aim="≤ 1.05",
            peer_aim="≥ 1.35",
        ),
        _row(
            "batch, 10 independent GETs of 50 ms",
            # The floor is one of them: its answer stands for all ten.
            lambda: one_slow() * 10,
            slow,
            times=1,
            aim="≤ 2 (PostgreSQL)",
            peer_aim="≥ 5",
        ),
        _row("batch, a chain of 50 items", _chained(50), _chain(50), times=3, aim="≤ 1.1"),
    ]
    for count in (1, 10, 50):
        items = [_get() for _ in range(count)]
        found.append(
            _row(
                f"batch, {count} detail GETs",
                _one_by_one(items),
                items,
                times=100 // count,
                series="batch, items",
                size=count,
            )
        )
    return found


def _row(work: str, floor: Once, items: list[Item], *, atomic: bool = False, **more: Any) -> Row:
    peer = Contender("drf-batch-requests", _batch("/peer/", items), _around) if PeerView else None
    ours = Contender(OURS, _batch("/batch/", items, atomic=atomic), _around)
    return Row(work, Contender("floor, one by one", floor, _around), ours, peer=peer, setup=_empty, **more)


def _around() -> Any:
    return override_settings(ROOT_URLCONF="bench.batch_urls")


def _get() -> Item:
    return {"method": "GET", "relative_url": "/plain/-1/"}


def _post(text: str = "a row") -> Item:
    return {"method": "POST", "relative_url": "/plain/", "body": {"text": text, "number": 3}}


def _chain(count: int) -> list[Item]:
    later = [{**_post(f"{{result=n{number - 1}:$.text}}"), "name": f"n{number}"} for number in range(1, count)]
    return [{**_post(), "name": "n0"}, *later]


def _empty() -> None:
    Plain._base_manager.all()._raw_delete("default")
    Plain(pk=-1, text="first").save(force_insert=True)  # a key that no sequence gives


def _handler() -> Callable[[Any], Any]:
    handler = BaseHandler()
    handler.load_middleware()
    return handler.get_response


def _sender() -> Callable[[Item], Any]:
    respond, factory = _handler(), RequestFactory()

    def send(item: Item) -> Any:
        body = json.dumps(item["body"]) if "body" in item else ""
        kind = "application/json" if body else ""
        return respond(factory.generic(item["method"], item["relative_url"], body, content_type=kind))

    return send


def _one_by_one(items: list[Item], *, atomic: bool = False) -> Once:
    send = _sender()

    def once() -> list[object]:
        if atomic:
            with transaction.atomic():
                return [_told(response.status_code, response.content) for response in map(send, items)]
        return [_told(response.status_code, response.content) for response in map(send, items)]

    return once


def _chained(count: int) -> Once:
    send = _sender()

    def once() -> list[object]:
        responses = [send(_post())]
        for _ in range(1, count):
            responses.append(send(_post(json.loads(responses[-1].content)["text"])))
        return [_told(response.status_code, response.content) for response in responses]

    return once


def _batch(url: str, items: list[Item], *, atomic: bool = False) -> Once:
    respond, factory = _handler(), RequestFactory()
    ours = url == "/batch/"
    # The peer takes lower case only, and knows no flags.
    asked = items if ours else [{**item, "method": item["method"].lower()} for item in items]
    data = json.dumps({"batch": asked, "atomic": atomic} if ours else {"batch": asked})

    def once() -> list[object]:
        response = respond(factory.post(url, data, content_type="application/json"))
        return [_told(each["code"], each["body"]) for each in json.loads(response.content)]

    return once


def _told(code: int, body: bytes | str) -> object:
    try:
        return code, {**json.loads(body), "id": None}
    except ValueError:
        return code, body
