"""Settings of ``core``: defaults, overrides, and every way to get them wrong."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from core import conf
from core.conf import core_settings, problems


def test_what_is_left_out_has_its_default(settings):
    settings.CORE = {}
    assert core_settings.BATCH.ENABLED is True
    assert core_settings.enabled() == {"BATCH", "ROUTERS", "CACHING", "ETAGS", "BULK", "REACTIVE", "BINDINGS"}


def test_a_missing_setting_means_the_defaults(settings):
    del settings.CORE
    assert core_settings.BULK.ENABLED is True


def test_an_override_is_seen_at_once_and_gone_with_its_end(settings):
    before = core_settings.ETAGS.ENABLED
    settings.CORE = {"ETAGS": {"ENABLED": not before}}
    assert core_settings.ETAGS.ENABLED is not before
    settings.CORE = {"ETAGS": {"ENABLED": before}}
    assert core_settings.ETAGS.ENABLED is before


def test_one_feature_switched_off_leaves_the_others_on(settings):
    settings.CORE = {"CACHING": {"ENABLED": False}}
    assert core_settings.enabled() == {"BATCH", "ROUTERS", "ETAGS", "BULK", "REACTIVE", "BINDINGS"}


def test_a_section_cannot_be_changed_behind_the_settings_back():
    with pytest.raises(AttributeError):
        core_settings.BATCH.ENABLED = False


def test_reading_an_invalid_section_raises_with_every_problem_of_it(settings):
    settings.CORE = {"BATCH": {"ENABELD": True, "ENABLED": 3}, "BULK": {"ENABLED": False}}
    with pytest.raises(ImproperlyConfigured) as raised:
        assert core_settings.BATCH.ENABLED
    assert "no key 'ENABELD'" in str(raised.value)
    assert "is 3, which is not True or False" in str(raised.value)
    assert core_settings.BULK.ENABLED is False


def test_reading_what_is_no_dictionary_raises(settings):
    settings.CORE = ["BATCH"]
    with pytest.raises(ImproperlyConfigured, match="not a dictionary"):
        assert core_settings.BULK.ENABLED


@pytest.mark.parametrize(
    ("raw", "id_", "named"),
    [
        ([], "core.E001", "CORE is []"),
        ({"BATCH": True}, "core.E001", 'CORE["BATCH"] is True'),
        ({"BATSH": {}}, "core.E002", "'BATSH'"),
        ({"BATCH": {"ENABLE": True}}, "core.E003", "'ENABLE'"),
        ({"BATCH": {"ENABLED": "yes"}}, "core.E004", "'yes', which is not True or False"),
        ({"BATCH": {"ENABLED": 1}}, "core.E004", "is 1, which is not True or False"),
        ({"BATCH": {"ENABLED": None}}, "core.E004", "is None"),
    ],
)
def test_each_mistake_has_an_id_and_names_the_item(raw, id_, named):
    (problem,) = problems(raw)
    assert problem.id == id_
    assert named in problem.message
    assert problem.hint


def test_a_long_value_is_cut_in_the_message():
    (problem,) = problems({"BATCH": {"ENABLED": "x" * 1000}})
    assert len(problem.message) < 200


@pytest.mark.parametrize(
    ("value", "hint", "fits"),
    [
        (True, bool, True),
        (1, bool, False),
        (1, int, True),
        (True, int, False),
        (1, float, True),
        (1.5, int, False),
        ("a", str, True),
        (None, int | None, True),
        ("a", int | None, False),
        (["a"], tuple[str, ...], True),
        (["a", 1], tuple[str, ...], False),
        ("abc", tuple[str, ...], False),
        ({"a": 1}, tuple[str, ...], False),
    ],
)
def test_a_value_fits_its_type_or_not(value, hint, fits):
    assert conf._fits(value, hint) is fits
