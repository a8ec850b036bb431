"""The project's routes and the description of its API."""

from io import StringIO

import pytest
from django.core.management import call_command


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/",
        "/api/questions/",
        "/api/choices/",
        "/api/schema/",
        "/api/docs/",
        "/api/auth/login/",
        "/admin/login/",
    ],
)
def test_it_is_there(client, db, path):
    assert client.get(path).status_code == 200


def test_what_is_not_there_is_404(client, db):
    assert client.get("/api/nothing/").status_code == 404


def test_the_description_has_no_warnings(recwarn, capsys):
    out = StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=out)
    assert "/api/choices/{id}/vote/" in out.getvalue()
    assert "/api/token/" in out.getvalue()
    assert capsys.readouterr().err == ""


def test_its_page_takes_its_assets_from_this_site(client):
    text = client.get("/api/docs/").content.decode()
    assert "/static/drf_spectacular_sidecar/swagger-ui-dist/" in text
    assert "//cdn" not in text
