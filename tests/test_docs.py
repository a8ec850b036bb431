"""The pages say what the code does: settings stand on their features' pages, new names of old ones are there."""

import json
import re

import pytest
from harness import PYTHON, ROOT, TEMPLATE, run

PAGES = {
    "BATCH": "batch",
    "ROUTERS": "routers",
    "CACHING": "caching",
    "ETAGS": "etags",
    "BULK": "bulk",
    "REACTIVE": "reactive",
    "BINDINGS": "bindings",
    "CHANGES": "changes",
    "SOCKETS": "bindings",
}
"""Where the settings of each section are described."""
DEFAULTS = """
import json
from core.sections import SECTIONS
print(json.dumps({name: {key: getattr(kind(), key) for key in kind.__slots__} for name, kind in SECTIONS.items()}))
"""
IMPORTS = """
import json, sys, django
from importlib import import_module
from importlib.util import find_spec
django.setup()

def is_there(path):
    module, _, name = path.rpartition(".")
    return find_spec(path) is not None if module == "core" else hasattr(import_module(module), name)

print(json.dumps([path for path in sys.argv[1:] if not is_there(path)]))
"""


def page(name):
    return (ROOT / f"docs/{name}.md").read_text()


def python(code, *arguments):
    """Run code in the template's folder; return what it prints as JSON."""
    settings = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONDONTWRITEBYTECODE": "1"}
    done = run(PYTHON, "-c", code, *arguments, cwd=TEMPLATE, **settings)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def defaults():
    """The settings of each section with their defaults, without the toggles."""
    return {
        section: {key: value for key, value in keys.items() if key != "ENABLED"}
        for section, keys in python(DEFAULTS).items()
    }


def cells(text):
    """Return the first two cells of the rows of all tables in ``text``."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", text, re.MULTILINE)
    return [(re.findall(r"`([A-Z][A-Z_]+)`", keys), said) for keys, said in rows]


def described(section):
    """Return the settings that the page of ``section`` tells of, with what it says of their defaults."""
    text = page(PAGES[section]).partition("\n## Settings\n")[2]
    texts = re.split(r"`CORE\[\"(\w+)\"\]`[^\n]*\n\n", text)
    found = {}
    for keys, said in cells(texts[texts.index(section) + 1]):
        parts = said.split(", ")
        found |= dict(zip(keys, parts if len(parts) == len(keys) else [said] * len(keys), strict=True))
    return {key: said for key, said in found.items() if key != "ENABLED"}


def is_said(value, said):
    """Tell whether the words ``said`` stand for the default ``value``."""
    plain = said.replace("`", "").replace('"', "")
    if isinstance(value, bool) or value is None:
        return plain.lower() == str(value).lower()
    if isinstance(value, str):
        return plain == value or (plain.endswith("…") and value.startswith(plain.removesuffix("…")))
    if isinstance(value, list):
        return plain.split(", ") == value if value else plain == "none"
    number, _, unit = plain.replace(",", "").replace("_", "").partition(" ")
    return float(number) * {"MiB": 2**20}.get(unit, 1) == value


@pytest.mark.parametrize("section", sorted(set(PAGES) - {"ETAGS"}))
def test_every_setting_stands_on_its_page_with_its_default(defaults, section):
    said = described(section)
    assert said.keys() == defaults[section].keys()
    assert {key: said[key] for key, value in defaults[section].items() if not is_said(value, said[key])} == {}


def test_the_settings_of_tags_stand_on_their_page(defaults):
    """In a sentence: all of them are functions of one module."""
    text = page("etags").partition("\n## Settings\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(DEFAULT_\w+)`", text)) == defaults["ETAGS"].keys()


@pytest.mark.parametrize("section", sorted(set(PAGES) - {"CHANGES", "SOCKETS"}))
def test_the_toggle_of_a_feature_stands_on_its_page(section):
    assert f"`CORE_{section}_ENABLED`" in page(PAGES[section])


def renamed():
    """Return the rows of the tables that map old names to new ones."""
    tables = re.findall(r"^\| was .*\n\|[-|]+\n((?:\|.*\n)+)", page("migrating"), re.MULTILINE)
    return [row.strip("| ").split(" | ") for table in tables for row in table.splitlines()]


CHANNELS = {"core.reactive.worker", "core.reactive.poll_observer"}
"""Look like modules, and are names of channels."""


def test_every_new_name_of_an_old_one_is_there(defaults):
    """Classes, functions and modules can be imported; settings have their section."""
    paths, settings = set(), set()
    for was, is_ in renamed():
        found = re.findall(r"`(core(?:\.\w+)+)`", is_)
        if "same names" in is_:
            old = [name.rpartition(".")[2] for name in re.findall(r"`([\w.]+)`", was)]
            found += [f"{found[0]}.{name}" for name in old]
        paths |= set(found)
        settings |= set(re.findall(r'CORE\["(\w+)"\]\["(\w+)"\]', is_))
    assert len(paths) > 40
    assert {path.rpartition(".")[2] for path in paths} >= {"cache_response", "api_etag", "detail_action"}
    assert {name for section, name in settings if name not in defaults[section]} == set()
    assert python(IMPORTS, *sorted(paths - CHANNELS)) == []
