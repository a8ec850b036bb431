"""What is generated: which files, which text, and that it holds what the answers say."""

import configparser
import itertools
import json
import os
import re
import stat
import subprocess
import sys
import tomllib

import pytest
from harness import PYTHON, ROOT, TEMPLATE, interpreter, run, search_path

from scripts.generate import copy_template, generate

# The only files that are rendered; everything else is copied as it stands.
RENDERED = {".env.example", "LICENSE", "README.md", "docker-compose.yml", "pyproject.toml"}
FEATURES = ("batch", "routers", "caching", "etags", "bulk", "reactive", "bindings")
PROMPTS = {
    "project_name", "project_slug", "description", "author_name", "author_email", "domain_name", "time_zone",
    "license", "django_version", *FEATURES,
}  # fmt: skip
JINJA = re.compile(r"\{\{-?\s*cookiecutter|\{%-?\s*(if|elif|else|endif|for|now)\b.*cookiecutter|\{% now ")


def files(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def tracked():
    """Return the files of the template's project folder, as far as they belong to it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", TEMPLATE.name],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return {name.removeprefix(f"{TEMPLATE.name}/") for name in listed.split("\0") if name and (ROOT / name).exists()}


def pages():
    """Return the pages that the project gets a copy of: all but the one on the template's own decisions."""
    return {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} - {"docs/decisions.md"}


def env(project):
    lines = (project / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def unusual(tmp_path_factory):
    """A project whose every text answer is another than the default, and awkward."""
    return generate(
        tmp_path_factory.mktemp("unusual"),
        project_name='Ada\'s "Café" & <Polls> \\ 100%',
        description='It\'s "live": {ünïcode}, \\backslash and a # sign.',
        author_name='Zoë "Z" O\'Brien',
        author_email="zoe+test@sub.example.org",
        domain_name="polls.example.org",
        time_zone="Europe/Ljubljana",
        license="Apache-2.0",
        django_version="6.1",
        **dict.fromkeys(FEATURES, False),
    )


def test_the_prompts_are_these_and_each_is_readable():
    answers = json.loads((ROOT / "cookiecutter.json").read_text())
    assert {name for name in answers if not name.startswith("_")} == PROMPTS
    assert set(answers["__prompts__"]) == PROMPTS
    for name in FEATURES:
        assert answers[name] is True
    for name in ("license", "django_version"):
        assert set(answers["__prompts__"][name]) == {"__prompt__", *answers[name]}
    assert "3.12" in answers["__prompts__"]["django_version"]["6.1"]


def test_the_files_are_those_of_the_template_and_the_environment(project):
    if not (ROOT / ".git").exists():
        pytest.skip("the list of files is git's")
    assert files(project) == tracked() | {".env"} | pages()


def test_the_pages_of_the_features_come_along_and_lead_nowhere_else(project):
    for name in pages():
        text = (project / name).read_text()
        for target in re.findall(r"\]\(<?([^)>#]+)[^)]*\)", text):
            if not target.startswith("http"):
                assert (project / "docs" / target).exists(), (name, target)


@pytest.mark.parametrize("where", [(), ("--output-dir", "elsewhere")])
def test_the_pages_come_along_from_a_relative_path_too(tmp_path, where):
    """As people type it. Cookiecutter tells the hooks no more than that path, and runs them in another folder."""
    copy_template(tmp_path / "template")
    here = tmp_path / "here"
    here.mkdir()
    command = (PYTHON, "-m", "cookiecutter", "--no-input", "../template", *where)
    done = run(*command, cwd=here, PWD=str(here), HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert {f"docs/{page.name}" for page in (here / (where or ".")[-1]).glob("live_polls/docs/*")} == pages()


def test_a_template_whose_pages_are_not_found_is_refused_with_a_sentence(tmp_path):
    copy_template(tmp_path / "template")
    command = (PYTHON, "-m", "cookiecutter", "--no-input", "template", "--output-dir", "elsewhere")
    done = run(*command, cwd=tmp_path, PWD="/", HOME=str(tmp_path))
    assert done.returncode != 0
    assert "The template's docs were not found from 'template'. Give cookiecutter its full path." in done.stderr
    assert not (tmp_path / "elsewhere/live_polls").exists()


def test_no_tag_is_left_over(project, unusual):
    for folder in (project, unusual):
        for name in files(folder):
            text = (folder / name).read_bytes().decode("utf-8", "replace")
            assert not JINJA.search(text), name


def test_no_python_file_of_the_template_holds_a_tag():
    for path in TEMPLATE.rglob("*.py"):
        assert not JINJA.search(path.read_text()), path


def test_only_a_short_list_of_files_is_rendered(unusual):
    for name in files(unusual) - {".env"} - pages():
        same = (unusual / name).read_bytes() == (TEMPLATE / name).read_bytes()
        assert same == (name not in RENDERED), name


def test_files_that_are_run_can_be_run(project):
    assert os.access(project / "manage.py", os.X_OK)


def test_the_slug_follows_from_the_name(bake):
    assert bake(project_name="Über Polls 2").name == "uber_polls_2"


def test_the_environment_has_secrets_of_its_own(project, unusual):
    first, second = env(project), env(unusual)
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD"):
        assert len(first[name]) >= 50
        assert first[name] != second[name]
    assert first["SECRET_KEY"] != first["POSTGRES_PASSWORD"]
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_that_is_declined_is_off_in_the_environment(bake, feature):
    found = env(bake(**{feature: False}))
    toggles = {name: found[f"CORE_{name.upper()}_ENABLED"] for name in FEATURES}
    assert toggles == {name: "false" if name == feature else "true" for name in FEATURES}


def test_the_answers_stand_where_they_belong(unusual):
    found = env(unusual)
    assert found["TIME_ZONE"] == "Europe/Ljubljana"
    assert found["ALLOWED_HOSTS"] == "localhost,127.0.0.1,[::1],polls.example.org"
    assert found["CSRF_TRUSTED_ORIGINS"] == "https://polls.example.org"
    pyproject = tomllib.loads((unusual / "pyproject.toml").read_text())
    assert pyproject["project"]["name"] == "ada_s_cafe_polls_100"
    assert pyproject["project"]["description"] == 'It\'s "live": {ünïcode}, \\backslash and a # sign.'
    assert pyproject["project"]["authors"] == [{"name": 'Zoë "Z" O\'Brien', "email": "zoe+test@sub.example.org"}]
    assert pyproject["tool"]["site"]["title"] == 'Ada\'s "Café" & <Polls> \\ 100%'
    assert "Zoë" in (unusual / "README.md").read_text() or "Café" in (unusual / "README.md").read_text()


def test_settings_read_awkward_answers_as_they_were_given(unusual):
    code = "from config import settings; print(settings.SITE_TITLE, settings.TIME_ZONE, settings.CORE)"
    done = run(PYTHON, "-c", code, cwd=unusual)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('Ada\'s "Café" & <Polls> \\ 100% Europe/Ljubljana')
    assert "True" not in done.stdout


@pytest.mark.parametrize(
    ("license_", "words"),
    [
        ("MIT", "Permission is hereby granted, free of charge"),
        ("BSD-3-Clause", "Redistributions in binary form must reproduce"),
        ("Apache-2.0", "Version 2.0, January 2004"),
        ("Proprietary", "All rights reserved"),
    ],
)
def test_the_licence_is_the_one_chosen(bake, license_, words):
    text = (bake(license=license_, author_name="Grace Hopper") / "LICENSE").read_text()
    assert words in text
    assert ("Grace Hopper" in text) == (license_ != "Apache-2.0")
    assert text == text.strip() + "\n" or license_ == "Apache-2.0"


@pytest.mark.parametrize(("version", "python"), [("5.2", "3.11"), ("6.1", "3.12")])
def test_the_version_of_django_decides_which_python_is_needed(bake, version, python):
    project = tomllib.loads((bake(django_version=version) / "pyproject.toml").read_text())["project"]
    assert f"Django~={version}.0" in project["dependencies"]
    assert project["requires-python"] == f">={python}"


def test_the_next_commands_are_printed(bake, capfd):
    bake(project_slug="shop")
    out = capfd.readouterr().out
    assert "cd shop\n" in out
    assert "    make run " in out
    assert "    docker-compose up " in out


def test_the_files_keep_to_their_own_editor_configuration(project):
    config = configparser.ConfigParser()
    config.read_string("[top]\n" + (project / ".editorconfig").read_text())
    assert config["*"]["insert_final_newline"] == "true"
    for name in sorted(files(project)):
        text = (project / name).read_text()
        assert text == "" or text.endswith("\n"), name
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), name
        assert name == "Makefile" or "\t" not in text, name


# --- The generated project's own commands -----------------------------------------------------------------------


def make(project, *arguments, **extra):
    return run("make", "--no-print-directory", *arguments, cwd=project, timeout=3600, **extra)


def test_the_project_passes_its_own_tests_and_checks_and_installs_once(bake):
    project = bake()
    first = make(project, "check")
    assert first.returncode == 0, first.stdout + first.stderr
    for step in ("Making .venv", "Format", "Types", "Import contracts", "Migrations", "Deployment", "API schema"):
        assert step in first.stdout
    # All of them are run in a project with an application of its own, and once more on the newest Django.
    second = make(project, "test", "JOBS=2", "ARGS=tests/polls tests/config")
    assert second.returncode == 0, second.stdout + second.stderr
    assert " passed" in second.stdout
    assert "Making .venv" not in second.stdout


def test_check_fails_where_something_is_wrong(bake):
    """The checks of the project can fail: each step is shown a mistake of its kind."""
    project = bake()
    (project / ".installed").touch()
    shared = [f"VENV={sys.prefix}", "INSTALLED=.installed"]
    mistakes = {
        "polls/apps.py": ("x  =  1\n", "would be reformatted"),
        "polls/urls.py": ("import os\n", "F401|unused-import"),
        "polls/filters.py": ('\n\nnumber: int = "text"\n', "Incompatible types"),
        "core/tokens.py": ("\n\nimport polls.models  # noqa: E402, F401\n", "BROKEN"),
        "polls/models.py": (
            '\n\nQuestion.add_to_class("extra", models.TextField(null=True))\n',
            "Alter|Add field|extra",
        ),
    }
    for name, (addition, said) in mistakes.items():
        path = project / name
        before = path.read_text()
        path.write_text(before + addition)
        done = make(project, "check", *shared)
        path.write_text(before)
        assert done.returncode != 0, name
        assert re.search(said, done.stdout + done.stderr), (name, done.stdout, done.stderr)
    assert make(project, "check", *shared).returncode == 0


def test_an_old_python_is_refused_with_a_sentence(bake):
    project = bake(django_version="6.1")
    old = interpreter("3.11")
    if old is None:
        pytest.skip("there is no Python 3.11 on this machine")
    done = make(project, "run", f"PYTHON={old}")
    assert done.returncode != 0
    assert "needs Python 3.12 or newer" in done.stderr
    assert not (project / ".venv").exists()


@pytest.mark.newest
def test_the_newest_django_passes_on_a_newer_python_set_up_with_pip(bake):
    python = interpreter("3.13") or interpreter("3.12")
    if python is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no Python 3.12 or newer on this machine")
        pytest.skip("there is no Python 3.12 or newer on this machine")
    project = bake(django_version="6.1")
    for target in ("setup", "test", "check"):
        done = make(project, target, f"PYTHON={python}", "JOBS=2", PATH=search_path(uv=False))
        assert done.returncode == 0, done.stdout + done.stderr[-5000:]
        assert ("with pip" in done.stdout) == (target == "setup")
    version = run(project / ".venv/bin/python", "-m", "django", "--version", cwd=project).stdout
    assert version.startswith("6.1")


# --- Every combination of toggles -------------------------------------------------------------------------------

COMBINATIONS = list(itertools.product((True, False), repeat=len(FEATURES)))
FORKS = """
import os, sys

# What takes time to import and asks for no settings is imported once.
import channels.db, daphne.server, django.contrib.postgres.fields, django.core.management, django.db.models
import django.test, inflection, jsonschema, psycopg, redis, requests, uritemplate, yaml

for combination in sys.stdin.read().split():
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if status:
            sys.exit(f"{combination} failed")
        continue
    for pair in combination.split(","):
        name, value = pair.split("=")
        os.environ[f"CORE_{name}_ENABLED"] = value
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django
    django.setup()
    from django.core.management import call_command
    from core.conf import core_settings
    call_command("check", fail_level="WARNING")
    expected = {pair.split("=")[0] for pair in combination.split(",") if pair.endswith("=true")}
    assert core_settings.enabled() == expected, core_settings.enabled()
    import config.asgi  # noqa
    sys.stdout.flush()
    os._exit(0)
"""


@pytest.mark.parametrize("part", range(4))
def test_all_combinations_of_toggles_pass_the_checks(project, part):
    assert len(COMBINATIONS) == 128
    mine = COMBINATIONS[part::4]
    lines = [
        ",".join(f"{name.upper()}={str(on).lower()}" for name, on in zip(FEATURES, combination, strict=True))
        for combination in mine
    ]
    done = subprocess.run(
        [PYTHON, "-c", FORKS],
        cwd=project,
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("no issues") == len(mine)
