"""The settings of the change stream, and what the system checks say of them."""

import pytest
from django.apps import apps
from django.test import override_settings

from core.changes import capture, log
from core.checks import check_settings
from core.conf import core_settings
from core.supervisor import supervisor
from polls.models import Choice, Question


@pytest.mark.parametrize(
    ("section", "ids"),
    [
        ({}, []),
        ({"LOG": False, "EXCLUDE": ["polls", "polls.Choice", "sessions"]}, []),
        ({"EXCLUDE": ["pols.choice"]}, ["core.W003"]),
        ({"EXCLUDE": "polls"}, ["core.E004"]),
        ({"LOG": "yes"}, ["core.E004"]),
        ({"MAX_PKS": 0}, ["core.E004"]),
        ({"POLL_INTERVAL": 0}, ["core.E004"]),
        ({"PRUNE_AGE": -1}, ["core.E004"]),
        ({"ENABLED": True}, ["core.E003"]),
    ],
)
def test_mistakes_are_named(section, ids):
    """Every mistake has its check."""
    with override_settings(CORE={"CHANGES": section}):
        assert [each.id for each in check_settings() if each.id.startswith(("core.E", "core.W003"))] == ids


def test_settings_are_read_when_used():
    """What is excluded is followed at once."""
    assert {Question, Choice} <= capture.watched.keys()
    with override_settings(CORE={"CHANGES": {"EXCLUDE": ["polls.choice"]}}):
        assert core_settings.CHANGES.EXCLUDE == ["polls.choice"]
        assert Question in capture.watched
        assert Choice not in capture.watched


def test_what_only_serves_the_site_itself_is_not_watched_by_default():
    """Sessions, the admin's log, content types and the tables of ``core``; all else is, users and tokens included."""
    with override_settings(CORE={}):
        labels = {model._meta.label_lower for model in capture.watched}
    own = {model._meta.label_lower for model in apps.get_app_config("core").get_models()}
    assert len(own) > 3
    assert not labels & {"sessions.session", "admin.logentry", "contenttypes.contenttype", *own}
    assert labels >= {"polls.question", "polls.choice", "auth.user", "auth.group", "authtoken.token"}


@pytest.mark.parametrize("feature", ["CACHING", "REACTIVE", "BINDINGS"])
def test_any_reader_of_changes_turns_the_log_on(feature):
    """The log is idle while no feature that reads it is on."""
    core = {name: {"ENABLED": name == feature} for name in ("CACHING", "REACTIVE", "BINDINGS")}
    with override_settings(CORE=core):
        assert log.is_on()
    with override_settings(CORE={**core, feature: {"ENABLED": False}}):
        assert not log.is_on()


def test_the_server_runs_the_jobs():
    """Reader, sender and the repair of versions start with the server."""
    assert {"core.changes.doorbell", "core.changes.reader", "core.versions"} <= supervisor._jobs.keys()
