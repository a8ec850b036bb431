"""System checks, by their ids."""

from importlib import import_module

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from rest_framework.viewsets import ReadOnlyModelViewSet

from core.bindings import ResourceBinding
from core.bindings.streams import demultiplexer
from core.caching import CacheResponseMixin
from core.checks import check_managers, check_settings, require_valid_settings
from core.etags.mixins import ListETAGMixin
from core.reactive import observable
from core.routers import ExtendedSimpleRouter
from tests.testapp.models import Label, Quiet, Tag

MEMORY = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
LOCAL = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


def ids():
    return [message.id for message in check_settings()]


def test_the_project_as_generated_has_nothing_to_report(settings):
    settings.DEBUG = True
    assert ids() == []


def test_check_fails_on_an_unknown_key_and_names_it(settings):
    import_module(settings.ROOT_URLCONF)  # which asks for settings, too, if nobody has imported it before
    settings.CORE = {"BULK": {"MAX_ROW": 1}}
    with pytest.raises(CommandError, match="MAX_ROW"):
        call_command("check")


@pytest.mark.parametrize("feature", ["REACTIVE", "BINDINGS"])
def test_a_socket_feature_without_channel_layer_is_an_error(settings, feature):
    settings.DEBUG = True
    settings.CORE = {"REACTIVE": {"ENABLED": False}, "BINDINGS": {"ENABLED": False}} | {feature: {"ENABLED": True}}
    settings.CHANNEL_LAYERS = {}
    (message,) = check_settings()
    assert message.id == "core.E005"
    assert feature in message.msg
    assert f"CORE_{feature}_ENABLED=false" in message.hint


def test_socket_features_without_asgi_application_are_errors(settings):
    settings.DEBUG = True
    settings.ASGI_APPLICATION = None
    assert ids() == ["core.E005", "core.E005"]


def test_a_feature_whose_application_is_missing_is_an_error(settings, monkeypatch):
    settings.DEBUG = True
    settings.CORE = {"REACTIVE": {"ENABLED": False}}
    monkeypatch.setattr("django.apps.apps.is_installed", lambda app: app != "channels")
    (message,) = check_settings()
    assert message.id == "core.E005"
    assert "'channels'" in message.msg


def test_caching_in_a_cache_that_keeps_nothing_is_an_error(settings):
    settings.DEBUG = True
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert ids() == ["core.E005"]


def test_what_a_disabled_feature_would_need_is_not_asked_for(settings):
    settings.DEBUG = True
    settings.CHANNEL_LAYERS = {}
    settings.ASGI_APPLICATION = None
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    settings.CORE = {name: {"ENABLED": False} for name in ("REACTIVE", "BINDINGS", "CACHING")}
    assert ids() == []


def test_private_memory_without_debug_is_a_warning(settings):
    settings.DEBUG = False
    settings.CHANNEL_LAYERS, settings.CACHES = MEMORY, LOCAL
    assert ids() == ["core.W001", "core.W002"]


def test_private_memory_without_debug_is_nobodys_business_when_nothing_uses_it(settings):
    settings.DEBUG = False
    settings.CHANNEL_LAYERS, settings.CACHES = MEMORY, LOCAL
    settings.CORE = {name: {"ENABLED": False} for name in ("REACTIVE", "BINDINGS", "CACHING")}
    assert ids() == []


def test_a_server_does_not_start_on_invalid_settings(settings):
    settings.CORE = {"BATCH": {"ENABLED": "perhaps"}}
    with pytest.raises(ImproperlyConfigured, match=r"'perhaps'.*core\.E004"):
        require_valid_settings()


def test_a_server_that_starts_on_private_memory_logs_the_warning(settings, caplog):
    settings.DEBUG = False
    settings.CHANNEL_LAYERS, settings.CACHES = MEMORY, LOCAL
    require_valid_settings()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "core.W001" in caplog.text


def test_a_demultiplexer_that_cannot_be_imported_is_an_error(settings):
    settings.DEBUG = True
    settings.CORE = {"BINDINGS": {"DEMULTIPLEXER": "polls.routing.Nothing"}}
    (message,) = check_settings()
    assert message.id == "core.E006"
    assert "polls.routing" in message.msg


# --- Managers whose bulk writes nobody sees ---


class LabelViewSet(ReadOnlyModelViewSet):
    """Of a model of the project with Django's own manager."""

    queryset = Label.objects.order_by("pk")


class LabelBinding(ResourceBinding):
    viewset_class = LabelViewSet


def routed(serve, view):
    router = ExtendedSimpleRouter()
    router.register("things", view, basename="thing")
    serve(router.urls)


@pytest.mark.parametrize(
    ("told", "feature", "toggle"),
    [
        (lambda: observable(type("View", (LabelViewSet,), {})), "live queries", "REACTIVE"),
        (lambda: type("View", (CacheResponseMixin, LabelViewSet), {}), "caches", "CACHING"),
        (lambda: type("View", (ListETAGMixin, LabelViewSet), {}), "ETags", "ETAGS"),
    ],
)
def test_a_view_whose_model_has_djangos_own_manager_is_warned_of(serve, settings, told, feature, toggle):
    routed(serve, told())
    (message,) = check_managers()
    assert message.id == "core.W005"
    assert f"testapp.Label stands behind {feature}, " in message.msg
    assert "bulk_create()" in message.msg
    assert "`objects = TrackedManager()`" in message.hint
    settings.CORE = {toggle: {"ENABLED": False}}
    assert check_managers() == []


def test_a_binding_whose_model_has_djangos_own_manager_is_warned_of(monkeypatch):
    monkeypatch.setattr(demultiplexer(), "mapping", {"labels": LabelBinding})
    (message,) = check_managers()
    assert "testapp.Label stands behind bindings, " in message.msg


@pytest.mark.parametrize("model", [Tag, Quiet, User])
def test_a_tracked_an_excluded_or_a_foreign_model_is_not_warned_of(serve, model):
    view = type("View", (LabelViewSet,), {"queryset": model.objects.order_by("pk")})
    routed(serve, observable(view))
    assert check_managers() == []


def test_a_model_that_serves_nothing_but_plain_views_is_not_warned_of(serve):
    routed(serve, LabelViewSet)
    assert check_managers() == []


def test_the_managers_of_the_project_as_generated_are_all_tracked():
    assert check_managers() == []
