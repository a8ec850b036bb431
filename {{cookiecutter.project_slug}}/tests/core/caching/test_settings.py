"""Settings of caching and tags: by section, by name alone, and their mistakes."""

import pytest

from core.checks import check_settings
from core.conf import core_settings, extensions_api_settings


def test_every_setting_of_the_document_has_its_default():
    assert extensions_api_settings.DEFAULT_CACHE_RESPONSE_TIMEOUT == 3600
    assert extensions_api_settings.DEFAULT_USE_CACHE == "default"
    assert extensions_api_settings.DEFAULT_CACHE_ERRORS is False
    assert extensions_api_settings.DEFAULT_KEY_CONSTRUCTOR_MEMOIZE_FOR_REQUEST is False
    for name in ("CACHE_KEY", "OBJECT_CACHE_KEY", "LIST_CACHE_KEY", "ETAG", "OBJECT_ETAG", "LIST_ETAG"):
        assert getattr(extensions_api_settings, f"DEFAULT_{name}_FUNC").startswith("core.keys.default_")
    assert extensions_api_settings.DEFAULT_API_OBJECT_ETAG_FUNC == "core.keys.default_api_object_etag_func"
    assert extensions_api_settings.DEFAULT_API_LIST_ETAG_FUNC == "core.keys.default_api_list_etag_func"


def test_the_reader_follows_the_settings(settings):
    settings.CORE = {"CACHING": {"DEFAULT_CACHE_RESPONSE_TIMEOUT": 60 * 15}}
    assert extensions_api_settings.DEFAULT_CACHE_RESPONSE_TIMEOUT == 900
    assert core_settings.CACHING.DEFAULT_CACHE_RESPONSE_TIMEOUT == 900


@pytest.mark.parametrize("name", ["NOWHERE", "ENABLED"])
def test_the_reader_has_no_other_names(name):
    with pytest.raises(AttributeError, match=name):
        getattr(extensions_api_settings, name)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"CACHING": {"DEFAULT_CACHE_KEY_FUNC": "nowhere.func"}}, "DEFAULT_CACHE_KEY_FUNC"),
        ({"ETAGS": {"DEFAULT_API_LIST_ETAG_FUNC": "core.keys.nothing"}}, "DEFAULT_API_LIST_ETAG_FUNC"),
        ({"CACHING": {"DEFAULT_USE_CACHE": "nowhere"}}, "'nowhere', which is no cache"),
    ],
)
def test_what_cannot_be_found_is_refused_at_start(settings, section, words):
    settings.CORE = section
    (error,) = [message for message in check_settings() if message.id == "core.E006"]
    assert words in error.msg
