"""Fixtures of the tests of the browser side."""

import pytest
from stage import SWITCHES, Windows, served

from scripts.browser import browser as find_browser
from scripts.generate import generate


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as play:
        launched = play.chromium.launch(executable_path=find_browser(), args=list(SWITCHES))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site that most tests share; its questions change under them."""
    with served(generate(tmp_path_factory.mktemp("browser"))) as site:
        yield site


@pytest.fixture
def windows(chromium):
    """Windows of a test, at whose end no console may have shown an error."""
    opened = Windows(chromium)
    yield opened
    opened.close()
    assert opened.mistakes == []
