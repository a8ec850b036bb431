"""A project as it grows: an application of its own by the README's recipe, and the example out of the site."""

import os
import sys

import pytest
from harness import PYTHON, run
from recipe import add_books, edit, make, passed


@pytest.fixture
def with_books(bake):
    """A project with the application of the README's recipe."""
    return add_books(bake())


def test_an_application_by_the_recipe_passes_all_checks_and_the_tests_of_core_as_well(with_books):
    passed(make(with_books, "check"))
    assert "books" in passed(run(PYTHON, "manage.py", "spectacular", cwd=with_books))
    # Those that take long are run on the template folder.
    passed(make(with_books, "test", f"JOBS={os.environ.get('JOBS', '2')}", "ARGS=-m 'not slow'"))


def test_tools_find_the_application_by_themselves(with_books):
    """Its mistakes are found by the linter, the type checker and the import contracts, and its tests are run."""
    (with_books / "books/tests.py").write_text("def test_it_is_collected() -> None:\n    assert True\n")
    listed = passed(run(PYTHON, "-m", "pytest", "--collect-only", "-q", "-k", "it_is_collected", cwd=with_books))
    assert "books/tests.py::test_it_is_collected" in listed
    edit(with_books / "books/bindings.py", '"books"', "1")
    edit(with_books / "core/tokens.py", "\n\nclass ", "\nimport books.models\n\n\nclass ")
    assert "books/bindings.py" in run(f"{sys.prefix}/bin/mypy", cwd=with_books).stdout
    contracts = run(
        f"{sys.prefix}/bin/lint-imports", "--no-logo", cwd=with_books, DJANGO_SETTINGS_MODULE="tests.settings"
    )
    assert "core.tokens -> books.models" in contracts.stdout


def test_the_example_leaves_the_site_and_stays_with_the_tests(bake):
    project = bake()
    edit(project / "config/settings.py", '    "polls",\n', "")
    edit(project / "config/urls.py", '    path("", include("polls.urls")),\n', "")
    passed(make(project, "check"))
    code = (
        "import django; django.setup()\n"
        "from django.test import Client\n"
        "client = Client(SERVER_NAME='localhost')\n"
        "print([client.get(url).status_code for url in ('/', '/api/', '/api/questions/', '/api/docs/')])"
    )
    site = {"DJANGO_SETTINGS_MODULE": "config.settings"}
    assert "[404, 200, 404, 200]" in passed(run(PYTHON, "-c", code, cwd=project, **site))
    tests = (
        *("tests/polls/test_nested.py", "tests/polls/test_page.py", "tests/config/test_urls.py"),
        *("tests/core/bindings/test_streams.py", "tests/core/schema"),
    )
    passed(run(PYTHON, "-m", "pytest", "-q", "-n", os.environ.get("JOBS", "2"), *tests, cwd=project))


def test_without_sample_data_run_says_so(bake):
    project = bake()
    edit(project / "config/settings.py", '    "polls",\n', "")
    edit(project / "config/urls.py", '    path("", include("polls.urls")),\n', "")
    edit(project / "Makefile", "exec $(BIN)/python manage.py runserver", "exec true")
    assert "no application has a command loadexample" in passed(make(project, "run"))


def test_what_cannot_be_mended_does_not_keep_the_formatter_from_its_work(bake):
    project = bake()
    path = project / "polls/apps.py"
    path.write_text(path.read_text() + "x  =  undefined\n")
    done = make(project, "format")
    assert done.returncode != 0
    assert "F821" in done.stdout or "undefined-name" in done.stdout
    assert path.read_text().endswith("x = undefined\n")


def test_what_the_formatter_mends_is_no_failure(bake):
    project = bake()
    path = project / "polls/apps.py"
    path.write_text(path.read_text() + "name = (" + '"a long line", ' * 12 + ")\n")
    passed(make(project, "format"))
    assert path.read_text().endswith('    "a long line",\n)\n')
