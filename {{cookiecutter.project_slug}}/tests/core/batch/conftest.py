"""What the tests of batches share."""

import json

import pytest

from tests.core.batch import site


class Results(list):
    """The entries of a batch's answer."""

    @property
    def codes(self):
        return [entry["code"] for entry in self]

    def json(self, number):
        return json.loads(self[number]["body"])

    def header(self, number, name):
        return next((each["value"] for each in self[number]["headers"] if each["key"].lower() == name.lower()), None)


@pytest.fixture
def served(serve):
    """The views of ``site`` in place of the project's."""
    serve(site.urls)
    site.calls.clear()
    return site


@pytest.fixture
def post(api):
    """Posts items as a batch and returns the results: ``post({"method": …}, …, atomic=True)``."""

    def post(*items, client=api, headers=None, **flags):
        response = client.post(
            "/api/batch/", json.dumps({"batch": items, **flags}), content_type="application/json", headers=headers
        )
        assert response.status_code == 200, response.content
        results = Results(response.json())
        results.response = response
        return results

    return post


@pytest.fixture
def refused(api):
    """Posts items as a batch that must be refused and returns the errors."""

    def refused(*items, client=api, **flags):
        response = client.post("/api/batch/", json.dumps({"batch": items, **flags}), content_type="application/json")
        assert response.status_code == 400, response.content
        return response.json()

    return refused


def get(url, **more):
    return {"method": "GET", "relative_url": url, **more}


def write(url, body=None, **more):
    return {"method": "POST", "relative_url": url, "body": body, **more}
