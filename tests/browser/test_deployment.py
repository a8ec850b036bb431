"""The page as it is deployed: without DEBUG, with collected static files."""

import re

import pytest
from harness import PYTHON, run
from stage import choice, is_live, served, until, votes

from scripts.generate import generate

DEPLOYED = {"DEBUG": "false", "ALLOWED_HOSTS": "127.0.0.1"}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    folder = generate(tmp_path_factory.mktemp("deployed"))
    done = run(PYTHON, "manage.py", "collectstatic", "--noinput", cwd=folder, **DEPLOYED)
    assert done.returncode == 0, done.stderr
    with served(folder, **DEPLOYED) as site:
        yield site


def test_the_page_lives_on_collected_files(deployed, windows):
    page = windows.open(None)
    kept = {}
    page.on("response", lambda answer: kept.update({answer.url: answer.headers.get("cache-control", "")}))
    page.goto(f"{deployed.url}/")
    is_live(page)
    for name in ("page.js", "page.css"):
        stem, _, suffix = name.partition(".")
        (control,) = (found for url, found in kept.items() if re.search(rf"/{stem}\.\w{{12}}\.{suffix}$", url))
        assert "immutable" in control
    # The module is imported by its plain name, which may not be kept for long.
    assert "immutable" not in kept[f"{deployed.url}/static/core/client.js"]
    before = votes(page, "Tea")
    choice(page, "Tea").click()
    until(lambda: votes(page, "Tea") == before + 1)
    assert page.get_by_role("link", name="Debugger").count() == 0
