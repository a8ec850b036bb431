"""The batch of a running server: the two examples of the original document, and what only a server shows."""

import hashlib
import json
import re
import shutil
import subprocess

import httpx
import pytest
from harness import PYTHON, Server, free_port, run

from scripts.generate import generate

TIMEOUT = 300  # seconds; nothing waits for its end
URLS = """
import hashlib
import threading

from django.urls import path
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from config.urls import urlpatterns as project


@api_view(["GET", "POST"])
@permission_classes([AllowAny])
def test(request):
    if request.method == "GET":
        return Response({"id": 1, "data": [{"id": 2}, {"id": 3}]})
    data = request.data
    return Response({
        "query": request.query_params,
        "data": data if isinstance(data, dict) and not hasattr(data, "getlist") else {
            key: data.getlist(key) for key in data if key not in request.FILES
        },
        "files": {key: hashlib.sha256(each.read()).hexdigest() for key, each in request.FILES.items()},
    })


together = threading.Barrier(10)


@api_view(["GET"])
@permission_classes([AllowAny])
def meet(request):
    together.wait(60)
    return Response({"address": request.META["REMOTE_ADDR"], "url": request.build_absolute_uri()})


urlpatterns = [*project, path("test/", test), path("meet/", meet)]
"""
SETTINGS = """
from config.settings import *
ROOT_URLCONF = "batch_urls"
"""
# The document's examples, with the braces that it lost around each item, and the brackets at the end.
FIRST = r"""{"batch": [{
        "method": "get",
        "relative_url": "/test/",
        "name": "yolo"
    }, {
        "method": "post",
        "relative_url": "/test/?id={result=yolo:$.id}&ids={result=yolo:$.data.*.id}",
        "body": {"data": {"id": "{result=yolo:$.id}", "ids": "{result=yolo:$.data.*.id}"}, "test": "yolo"}
    }, {
        "method": "post",
        "relative_url": "/test/",
        "body": "{\"data\": 42}",
        "omit_response_on_success": true
    }, {
        "method": "options",
        "relative_url": "/test/"
    }]}"""
SECOND = r"""[{
        "method": "get",
        "relative_url": "/test/",
        "name": "yolo"
    }, {
        "method": "post",
        "relative_url": "/test/?id={result=yolo:$.id}&ids={result=yolo:$.data.*.id}",
        "body": {"data": "{result=yolo:$.data.*.id}", "test": "yolo"},
        "attached_files": {"file": "a.jpg"}
    }, {
        "method": "post",
        "relative_url": "/test/",
        "body": "{\"data\": 42}",
        "omit_response_on_success": true,
        "attached_files": ["a.jpg", "b.png"]
    }, {
        "method": "options",
        "relative_url": "/test/"
    }]"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A project with sample data and an endpoint /test/."""
    project = generate(tmp_path_factory.mktemp("batch"))
    (project / "batch_urls.py").write_text(URLS)
    (project / "batch_settings.py").write_text(SETTINGS)
    for command in ("migrate", "loadexample"):
        done = run(PYTHON, "manage.py", command, cwd=project)
        assert done.returncode == 0, done.stderr
    project.joinpath("login").write_text(re.search(r"demo / (\w+)", done.stdout)[1])
    return project


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def server(site, request):
    port = free_port()
    command = {
        "daphne": ("-m", "daphne", "--bind", "127.0.0.1", "--port", port, "config.asgi:application"),
        "uvicorn": ("-m", "uvicorn", "--host", "127.0.0.1", "--port", port, "config.asgi:application"),
    }[request.param]
    with Server(PYTHON, *command, cwd=site, port=port, DJANGO_SETTINGS_MODULE="batch_settings") as running:
        yield running.wait()
    assert "Traceback" not in running.output


@pytest.fixture
def files(tmp_path):
    """The two files of the document, with bytes that are no text."""
    picture, paper = tmp_path / "2476.png", tmp_path / "check_133.pdf"
    picture.write_bytes(b"\x89PNG\r\n--" + bytes(range(256)) * 20)
    paper.write_bytes(b"%PDF\x00\xff" + bytes(range(256)) * 20_000)
    return {"b.png": picture, "a.jpg": paper}


def curl(*arguments):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(TIMEOUT), *map(str, arguments)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def test_the_first_example_of_the_document(server):
    results = curl(
        *("-X", "POST", f"{server.url}/api/batch/"),
        *("-H", "cache-control: no-cache", "-H", "content-type: application/json", "-d", FIRST),
    )
    assert [each["code"] for each in results] == [200, 200, 200, 200]
    assert [each["name"] for each in results] == ["yolo", None, None, None]
    assert json.loads(results[1]["body"]) == {
        "query": {"id": "1", "ids": "2,3"},
        "data": {"data": {"id": 1, "ids": [2, 3]}, "test": "yolo"},
        "files": {},
    }
    assert results[2]["body"] is None
    assert json.loads(results[3]["body"])["name"] == "Test"


def test_the_second_example_of_the_document(server, files):
    results = curl(
        *("-X", "POST", f"{server.url}/api/batch/", "-H", "cache-control: no-cache", "-F", f"batch={SECOND}"),
        *(part for name, path in files.items() for part in ("-F", f"{name}=@{path}")),
    )
    assert [each["code"] for each in results] == [200, 200, 200, 200]
    assert json.loads(results[1]["body"]) == {
        "query": {"id": "1", "ids": "2,3"},
        "data": {"data": ["2", "3"], "test": ["yolo"]},
        "files": {"file": hashlib.sha256(files["a.jpg"].read_bytes()).hexdigest()},
    }
    assert results[2]["body"] is None


def test_both_files_arrive_under_their_own_names(server, files):
    batch = json.dumps([{"method": "post", "relative_url": "/test/", "attached_files": ["a.jpg", "b.png"]}])
    parts = {name: path.read_bytes() for name, path in files.items()}
    (result,) = httpx.post(f"{server.url}/api/batch/", data={"batch": batch}, files=parts, timeout=TIMEOUT).json()
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
    assert json.loads(result["body"])["files"] == digests


def test_reads_run_at_the_same_time_and_know_the_caller(server):
    """Each waits for all the others: one after another they would wait in vain."""
    batch = {"batch": [{"method": "get", "relative_url": f"/meet/?n={number}"} for number in range(10)]}
    response = httpx.post(f"{server.url}/api/batch/", json=batch, timeout=TIMEOUT)
    assert [each["code"] for each in response.json()] == [200] * 10
    bodies = [json.loads(each["body"]) for each in response.json()]
    assert [each["url"] for each in bodies] == [f"{server.url}/meet/?n={number}" for number in range(10)]
    assert {each["address"] for each in bodies} == {"127.0.0.1"}
    assert response.headers["server-timing"].count("dur=") == 10


def test_a_question_and_its_choices_are_made_in_one_go_or_not_at_all(server, site):
    login = {"username": "demo", "password": (site / "login").read_text()}
    token = httpx.post(f"{server.url}/api/token/", json=login, timeout=TIMEOUT).json()["token"]
    batch = [
        {"method": "POST", "relative_url": "/api/questions/", "name": "q", "body": {"question_text": "Batched?"}},
        {
            "method": "POST",
            "relative_url": "/api/questions/{result=q:$.id}/choices/",
            "body": {"choice_text": "Yes, {result=q:$.id}"},
        },
        {"method": "GET", "relative_url": "/api/questions/{result=q:$.id}/"},
        {"method": "DELETE", "relative_url": "/api/questions/{result=q:$.id}/"},
    ]

    def post(items):
        headers = {"Authorization": f"Token {token}"}
        batch = {"batch": items, "atomic": True}
        answer = httpx.post(f"{server.url}/api/batch/", json=batch, headers=headers, timeout=TIMEOUT)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def count():
        return httpx.get(f"{server.url}/api/questions/", timeout=TIMEOUT).json()["count"]

    before = count()
    results = post(batch)
    assert [each["code"] for each in results] == [201, 201, 200, 204]
    made = json.loads(results[2]["body"])
    assert [each["choice_text"] for each in made["choices"]] == [f"Yes, {made['id']}"]
    results = post([*batch[:3], {"method": "GET", "relative_url": "/api/questions/0/", "name": "culprit"}])
    assert [each["code"] for each in results] == [424, 424, 424, 404]
    assert json.loads(results[0]["body"])["failed"]["name"] == "culprit"
    assert count() == before


def test_with_the_toggle_off_the_route_is_gone(site):
    port = free_port()
    command = (PYTHON, "-m", "uvicorn", "--host", "127.0.0.1", "--port", port, "config.asgi:application")
    with Server(*command, cwd=site, port=port, CORE_BATCH_ENABLED="false") as server:
        server.wait()
        assert httpx.post(f"{server.url}/api/batch/", json={"batch": []}, timeout=TIMEOUT).status_code == 404
        assert "/api/batch/" not in httpx.get(f"{server.url}/api/schema/", timeout=TIMEOUT).text
