"""Answers that the template refuses."""

import re
import tomllib

import pytest
from cookiecutter.exceptions import FailedHookException
from harness import ROOT, TEMPLATE, run

BAD = {
    "project_slug": [
        "my-project",
        "my project",
        "2fast",
        "_private",
        "trailing_",
        "café",
        "a.b",
        "",
        "class",
        "match",
        "None",
        "json",
        "asyncio",
        "Email",
        "django",
        "channels",
        "rest_framework",
        "redis",
        "jsonpath_ng",
        "config",
        "core",
        "polls",
        "tests",
        "scripts",
    ],
    "time_zone": ["Mars/Olympus", "Europe", "", "utc+1", "Europe/ljubljana"],
    "author_email": ["ada", "", "@", "ada@", "@example.com", "a b@example.com", 'a"@example.com'],
    "domain_name": ["https://example.com", "example.com/path", "exa mple.com", "", "*.example.com"],
}


@pytest.mark.parametrize(("prompt", "answer"), [(prompt, answer) for prompt in BAD for answer in BAD[prompt]])
def test_a_bad_answer_is_refused_and_no_folder_stays(bake, tmp_path, capfd, prompt, answer):
    with pytest.raises(FailedHookException):
        bake(**{prompt: answer})
    said = capfd.readouterr().err
    assert f"type a{'nother' if prompt == 'project_slug' else ''}" in re.sub(r"type an ", "type a ", said)
    assert prompt in said
    assert repr(answer) in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("slug", ["my/project", "a/b/c"])
def test_a_slug_with_slashes_is_refused_and_no_folder_stays(bake, tmp_path, capfd, slug):
    # The folders are gone before cookiecutter comes to remove the last of them, which it takes badly.
    with pytest.raises((FailedHookException, FileNotFoundError)):
        bake(project_slug=slug)
    assert f"{slug!r} is not a name for a project" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("slug", ["live_polls", "a", "Shop2", "api_v2", "typing_test"])
def test_a_good_slug_is_accepted(bake, slug):
    assert bake(project_slug=slug).name == slug


def test_all_that_is_wrong_is_said_at_once(bake, capfd):
    with pytest.raises(FailedHookException):
        bake(project_slug="core", author_email="ada", time_zone="Mars")
    said = capfd.readouterr().err
    for prompt in ("project_slug", "author_email", "time_zone"):
        assert prompt in said


def test_a_folder_that_was_there_before_survives_a_refusal(tmp_path, bake):
    project = bake(project_slug="shop")
    (project / "notes.txt").write_text("mine")
    with pytest.raises(FailedHookException):
        bake(project_slug="shop", time_zone="Mars")
    assert (project / "notes.txt").read_text() == "mine"


def test_every_package_the_project_depends_on_is_refused_as_a_slug():
    hook = (ROOT / "hooks/pre_gen_project.py").read_text()
    refused = set(re.findall(r"[a-z_]+", hook.split("PACKAGES", 1)[1].split(".split()")[0]))
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text())["project"]
    requirements = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.match(r"[A-Za-z-]+", line)[0].lower().replace("-", "_") for line in requirements}
    assert names <= refused


def test_every_generated_folder_is_refused_as_a_slug():
    hook = (ROOT / "hooks/pre_gen_project.py").read_text()
    folders = {path.name for path in TEMPLATE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert folders == {"config", "core", "polls", "tests"}
    assert all(f'"{folder}"' in hook for folder in folders)


def test_the_hooks_need_no_network(project, tmp_path):
    """The second hook is the project's own script; a process without a network runs it as well."""
    done = run("python3", "-S", "-E", "scripts/make_env.py", cwd=project)
    assert done.returncode == 0
    imports = set(re.findall(r"^(?:import|from) (\w+)", "\n".join(
        path.read_text() for path in [*(ROOT / "hooks").glob("*.py"), project / "scripts/make_env.py"]
    ), re.MULTILINE))  # fmt: skip
    assert imports == {"contextlib", "keyword", "os", "pathlib", "re", "runpy", "secrets", "sys", "zoneinfo"}
