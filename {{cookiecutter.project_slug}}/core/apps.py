"""Puts the enabled features together when Django starts."""

from django.apps import AppConfig
from django.core import checks
from django.core.signals import setting_changed


class CoreConfig(AppConfig):
    """The application that holds every feature."""

    name = "core"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks, and begin to watch for changes if anything wants to know of them."""
        from core.checks import check_managers, check_observables, check_settings
        from core.conf import problems

        checks.register(check_settings)
        checks.register(check_observables, checks.Tags.urls)
        checks.register(check_managers, checks.Tags.urls)
        setting_changed.connect(_rewire, dispatch_uid="core.apps")
        if not problems(_core_setting()):  # else the system checks say so
            _wire_changes()
            _add_jobs()


def _core_setting() -> object:
    from django.conf import settings

    return getattr(settings, "CORE", {})


def _wire_changes() -> None:
    from django.contrib.auth import user_logged_out

    from core import versions
    from core.changes import capture, changes_committed, changes_heard
    from core.conf import core_settings, has_sockets
    from core.sockets.keeper import keeper

    for signal in (changes_committed, changes_heard):
        if core_settings.CACHING.ENABLED:
            signal.connect(versions.on_changes, dispatch_uid="core.versions")
        else:
            signal.disconnect(dispatch_uid="core.versions")
        if core_settings.BINDINGS.ENABLED:
            from core.bindings.dispatcher import dispatcher

            signal.connect(dispatcher.on_changes, dispatch_uid="core.bindings")
        else:
            signal.disconnect(dispatch_uid="core.bindings")
        if has_sockets():
            signal.connect(keeper.on_changes, dispatch_uid="core.sockets")
        else:
            signal.disconnect(dispatch_uid="core.sockets")
    if has_sockets():
        user_logged_out.connect(keeper.on_logout, dispatch_uid="core.sockets")
    else:
        user_logged_out.disconnect(dispatch_uid="core.sockets")
    capture.update()


def _rewire(*, setting: str, **_: object) -> None:
    """Follow ``override_settings``."""
    from core.conf import problems

    if setting == "CORE" and not problems(_core_setting()):
        _wire_changes()


def _add_jobs() -> None:
    from core import versions
    from core.changes import doorbell, log, reader
    from core.conf import core_settings, has_sockets
    from core.sockets.keeper import keeper
    from core.supervisor import supervisor

    if log.is_wanted():
        supervisor.add("core.changes.doorbell", doorbell.server_sender.run)
        supervisor.add("core.changes.reader", reader.run)
    if core_settings.CACHING.ENABLED:
        supervisor.add("core.versions", versions.keep_repairing)
    if has_sockets():
        supervisor.add("core.sockets", keeper.run)
    if core_settings.REACTIVE.ENABLED:
        _add_reactive_jobs()


def _add_reactive_jobs() -> None:
    from channels.layers import InMemoryChannelLayer, get_channel_layer

    from core.reactive import delivery, hosting
    from core.supervisor import supervisor

    supervisor.add("core.reactive.sockets", delivery.post.run)
    supervisor.add("core.reactive.worker", hosting.host.run)
    if not isinstance(get_channel_layer(), InMemoryChannelLayer):
        supervisor.add("core.reactive.tick", hosting.tick)
