"""A name for the code that a process runs."""

import os
import subprocess
import sys
import types

from django.conf import settings

from core import release


def test_a_release_is_what_the_files_of_the_site_say(tmp_path, monkeypatch):
    def said():
        return release.release.__wrapped__()

    monkeypatch.setattr(release, "_folders", lambda: {tmp_path})
    (tmp_path / "views.py").write_text("page_size = 1")
    first = said()
    assert said() == first
    (tmp_path / "notes.txt").write_text("no code")
    installed = tmp_path / "lib/site-packages"
    installed.mkdir(parents=True)
    (installed / "library.py").write_text("")
    assert said() == first
    (tmp_path / "views.py").write_text("page_size = 2")
    second = said()
    assert second != first
    (tmp_path / "views.py").rename(tmp_path / "pages.py")
    third = said()
    assert third not in {first, second}
    (tmp_path / "page.html").write_text("")
    assert said() not in {first, second, third}


def test_the_code_of_the_site_is_that_of_its_applications_and_what_is_beside_its_urls():
    assert {"core", "polls", "config"} <= {folder.name for folder in release._folders()}


def test_urls_may_be_given_as_a_module_that_lies_somewhere_or_nowhere(settings, tmp_path):
    """As tests put them together; else the first of a process to serve views of its own could not be answered."""
    settings.ROOT_URLCONF = types.ModuleType("made_up")
    assert {"core", "polls"} <= {folder.name for folder in release._folders()}
    settings.ROOT_URLCONF.__file__ = str(tmp_path / "urls.py")
    assert tmp_path in release._folders()


def test_what_cannot_be_read_does_not_count(tmp_path, monkeypatch):
    """An editor's lock, a link to nowhere and a folder with the name of a file."""
    monkeypatch.setattr(release, "_folders", lambda: {tmp_path})
    (tmp_path / "views.py").write_text("")
    before = release.release.__wrapped__()
    (tmp_path / ".#views.py").symlink_to("user@host.1234")
    (tmp_path / "gone.py").symlink_to("nowhere.py")
    (tmp_path / "folder.py").mkdir()
    assert release.release.__wrapped__() == before


def test_a_server_has_asked_before_it_serves():
    done = subprocess.run(
        [sys.executable, "-c", "import config.asgi; from core.release import release; print(release.cache_info())"],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "hits=0, misses=1" in done.stdout
