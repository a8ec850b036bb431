"""The page of the socket's debugger, at ``/debugger/``: only while ``DEBUG`` is on, and the feature."""

from django.conf import settings
from django.urls import URLPattern, path

from core.bindings.debugger import DebuggerView
from core.conf import core_settings


def debugger_urls() -> list[URLPattern]:
    """Return the route of the debugger, if there is to be one."""
    if not (settings.DEBUG and core_settings.BINDINGS.ENABLED):
        return []
    return [path("debugger/", DebuggerView.as_view(), name="debugger")]


urlpatterns = debugger_urls()
