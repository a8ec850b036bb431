import pytest


@pytest.mark.django_db
def test_page(api, question):
    for url in ("/", "/api/", "/api/questions/", "/api/choices/", "/api/docs/", "/api/schema/", "/healthz", "/readyz"):
        r = api.get(url)
        assert r.status_code == 200, (url, r.content)
