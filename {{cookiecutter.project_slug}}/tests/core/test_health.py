"""The two probes."""

import asyncio

import pytest
from channels.layers import get_channel_layer
from django.db import connections

from core import health


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """Lets a busy machine take its time; the parts that are to fail do so at once."""
    monkeypatch.setattr(health, "CHANNEL_LAYER_TIMEOUT", 60)


def test_alive_costs_no_query(api, db, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = api.get("/healthz")
    assert response.json() == {"status": "ok"}
    assert response["Cache-Control"] == "no-store"


def test_ready_names_every_part(api, db, channel_layer):
    response = api.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "database": "ok", "cache": "ok", "channel_layer": "ok"}


async def test_the_probe_gets_its_answer_while_others_wait_for_theirs(channel_layer):
    layer = get_channel_layer()
    waiting = asyncio.create_task(layer.receive(await layer.new_channel()))
    await asyncio.sleep(0.1)
    await health._send_to_oneself()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("part", ["database", "cache", "channel_layer"])
def test_one_part_down_is_503_and_keeps_the_reason_to_the_log(api, db, monkeypatch, caplog, part):
    def fail():
        raise OSError("secret-host refused the connection")

    monkeypatch.setitem(health.CHECKS, part, fail)
    response = api.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "status": "failed",
        "database": "ok",
        "cache": "ok",
        "channel_layer": "ok",
        part: "failed",
    }
    assert "secret-host" not in response.content.decode()
    assert "secret-host" in caplog.text


def test_a_cache_that_forgets_is_not_ready(api, db, settings, caplog):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert api.get("/readyz").json()["cache"] == "failed"
    assert "read None" in caplog.text


def test_no_channel_layer_is_nothing_to_wait_for(api, db, settings):
    settings.CHANNEL_LAYERS = {}
    assert api.get("/readyz").status_code == 200


def test_a_probe_may_come_by_any_name_and_without_tls(api, db, settings):
    settings.ALLOWED_HOSTS = ["example.com"]
    settings.SECURE_SSL_REDIRECT = True
    assert api.get("/healthz", headers={"host": "10.0.0.7:8000"}).status_code == 200
    assert api.get("/readyz", headers={"host": "10.0.0.7:8000"}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_asks_and_does_not_tell(api, path):
    response = api.post(path)
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"


def test_every_database_is_asked(db, django_assert_num_queries):
    with django_assert_num_queries(len(list(connections))):
        health._check_databases()
