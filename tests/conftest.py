"""Fixtures that the template's tests share."""

import pytest
from harness import project_environment

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
