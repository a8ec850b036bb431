"""Answers that the template refuses, and whom its hooks work for."""

import re
import subprocess
import tomllib

import pytest
from cookiecutter.exceptions import FailedHookException
from cookiecutter.generate import generate_context, generate_files
from cookiecutter.prompt import prompt_for_config
from harness import PYTHON, ROOT, TEMPLATE, run

from scripts.generate import copy_template

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
    """The second hook is the project's own script; a process without a network runs it as well.

    Other programs are started for cruft only, which has just used the network itself: none is found here, nor needed.
    """
    done = run("python3", "-S", "-E", "scripts/make_env.py", cwd=project)
    assert done.returncode == 0
    imports = set(re.findall(r"^(?:import|from) (\w+)", "\n".join(
        path.read_text() for path in [*(ROOT / "hooks").glob("*.py"), project / "scripts/make_env.py"]
    ), re.MULTILINE))  # fmt: skip
    usual = {"contextlib", "keyword", "os", "pathlib", "re", "runpy", "secrets", "sys", "zoneinfo"}
    assert imports == {*usual, "subprocess", "tempfile"}
    done = run(PYTHON, ROOT / "scripts/generate.py", tmp_path, cwd=ROOT, PATH="")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "live_polls/docs/caching.md").exists()


class Repository:
    """The template in a repository of its own, for cruft, which brings later versions of it into projects."""

    def __init__(self, folder):
        self.folder = folder
        copy_template(folder)
        self.git("init", "--quiet", ".")

    def git(self, *arguments):
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
        command = ("git", *who, *arguments)
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self):
        """Return the name of a commit of all that is there."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a version")
        return self.git("rev-parse", "HEAD")

    def generated(self, commit, folder, template=None):
        """Generate a project as cruft does: the hooks are told a repository and a commit, and no folder."""
        context = generate_context(str(self.folder / "cookiecutter.json"))
        context["cookiecutter"] = prompt_for_config(context, no_input=True)
        context["cookiecutter"] |= {"_template": template or str(self.folder), "_commit": commit}
        generate_files(repo_dir=str(self.folder), context=context, output_dir=str(folder))
        return folder / "live_polls"


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "template")


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_under_cruft_the_same_files_are_generated(repository, project, tmp_path):
    """But for the secrets, which ``cruft update`` leaves alone in a project."""
    made, usual = contents(repository.generated(repository.commit(), tmp_path / "made")), contents(project)
    usual = {path: content for path, content in usual.items() if "__pycache__" not in path.parts}
    skipped = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["cruft"]["skip"]
    assert made.keys() == usual.keys()
    assert [path.as_posix() for path in made if made[path] != usual[path]] == skipped


def test_under_cruft_the_pages_are_those_of_the_version_that_is_asked_for(repository, tmp_path):
    """To tell what has changed, it generates the version that a project has and the one that it is to have."""
    page = repository.folder / "docs/caching.md"
    before, text = repository.commit(), page.read_text()
    page.write_text(f"{text}\nLater.\n")
    after = repository.commit()
    assert (repository.generated(before, tmp_path / "before") / "docs/caching.md").read_text() == text
    assert (repository.generated(after, tmp_path / "after") / "docs/caching.md").read_text().endswith("\nLater.\n")


def test_pages_that_cannot_be_cloned_are_missed_in_a_sentence(repository, tmp_path, capfd):
    commit, nowhere = repository.commit(), str(tmp_path / "nowhere")
    with pytest.raises(FailedHookException):
        repository.generated(commit, tmp_path / "made", nowhere)
    assert f"The template's docs could not be cloned from {nowhere!r}." in capfd.readouterr().err
    assert not (tmp_path / "made/live_polls").exists()
