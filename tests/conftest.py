"""Fixtures that the template's tests share."""

import textwrap

import pytest
from harness import project_environment
from live_clients import SETTINGS, WORKER
from processes import PATIENCE, Site, grown_site

from scripts.generate import generate


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A project generated with default answers. Tests must leave its files as they are."""
    return generate(tmp_path_factory.mktemp("generated"))


@pytest.fixture
def bake(tmp_path):
    """Generates a project with answers of the test's choice: ``bake(license="MIT")``."""
    return lambda **answers: generate(tmp_path, overwrite=True, **answers)


@pytest.fixture
def environment():
    """The environment of a user's shell: nothing of the test run's own settings."""
    return project_environment()


@pytest.fixture
def embedded(tmp_path):
    """A site on SQLite and in local memory."""
    site = Site(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path / 'db.sqlite3'}")
    assert site.manage("migrate", "--verbosity", "0").wait(PATIENCE) == 0
    yield site
    site.end()


@pytest.fixture
def grown(tmp_path):
    """A site of the test's own on PostgreSQL and Redis."""
    with grown_site(tmp_path) as site:
        yield site


@pytest.fixture
def live_site(grown):
    """The same, with workers of live queries, a short repair interval and no throttles."""
    (grown.folder / "toy_settings.py").write_text(textwrap.dedent(SETTINGS))
    (grown.folder / "toy_worker.py").write_text(textwrap.dedent(WORKER))
    grown.environment["DJANGO_SETTINGS_MODULE"] = "toy_settings"
    return grown
