"""Whichever feature is switched off, all others go on: on the example, by what a client is answered."""

import json

import pytest
from asgiref.sync import async_to_sync
from rest_framework.test import APIClient

from core.testing import socket
from polls.models import Question

pytestmark = pytest.mark.django_db(transaction=True)

FEATURES = ("BATCH", "ROUTERS", "CACHING", "ETAGS", "BULK", "REACTIVE", "BINDINGS")


def batch(api, question):
    item = {"method": "GET", "relative_url": f"/api/questions/{question.pk}/"}
    response = api.post("/api/batch/", {"batch": [item]}, format="json")
    return response.status_code == 200 and json.loads(response.json()[0]["body"])["id"] == question.pk


def routers(api, question):
    response = api.get(f"/api/questions/{question.pk}/choices/")
    return response.status_code == 200 and len(response.json()["results"]) == 2


def caching(api, question):
    for _ in range(2):
        response = api.get("/api/choices/")
    assert len(response.json()["results"]) == 2
    # Nobody is ever shown what was before a write, cached or not.
    question.choices.filter(choice_text="Tea").vote()
    assert api.get("/api/choices/").json()["results"][0]["votes"] == 1
    return "Age" in response


def etags(api, question):
    url = f"/api/questions/{question.pk}/"
    refused = api.patch(url, {"question_text": "Changed?"}, format="json", HTTP_IF_MATCH='"x"')
    tag = api.get(url).get("ETag", '"x"')
    return refused.status_code == 412 and api.get(url, HTTP_IF_NONE_MATCH=tag).status_code == 304


def bulk(api, question):
    changed = {"choice_text": "Same"}
    response = api.patch("/api/choices/", changed, format="json", HTTP_X_BULK_OPERATION="true")
    return response.get("X-Bulk-Rows") == "2" and not question.choices.exclude(**changed).exists()


def reactive(api, question):
    body = api.get("/api/questions/", {"observe": "me"}).json()
    return "observer" in body and [item["id"] for item in body["items"]] == [question.pk]


@async_to_sync
async def bindings(api, question):
    """Read, write and be told: of what is written over HTTP too."""
    async with socket() as ws:
        await ws.subscribe("questions", "update")
        rows = (await ws.request("questions", "list"))["data"]
        await Question.objects.filter(pk=question.pk).aupdate(published=True)
        event = await ws.event()
        return [row["id"] for row in rows] == [event["pk"]] == [question.pk]


CHECKS = dict(zip(FEATURES, (batch, routers, caching, etags, bulk, reactive, bindings), strict=True))


@pytest.mark.parametrize("off", [None, *FEATURES])
def test_with_any_feature_off_all_others_work(author, question, settings, off):
    if off is not None:
        settings.CORE = {**settings.CORE, off: {**settings.CORE.get(off, {}), "ENABLED": False}}
    for feature, works in CHECKS.items():
        api = APIClient()
        api.force_authenticate(author)
        if feature != off:
            assert works(api, question), feature
        elif feature not in {"BATCH", "BINDINGS"}:  # which have gone with their routes, where those were made without
            assert not works(api, question), feature
