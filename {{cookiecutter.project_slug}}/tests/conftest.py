"""Fixtures that tests of every part share.

Those of the example import it when they are asked for: a project without it runs its own tests all the same.
"""

import types
import uuid

import hypothesis
import pytest
from asgiref.sync import SyncToAsync
from channels.layers import channel_layers
from django.contrib.auth.models import Permission, User
from django.db import connection
from rest_framework.test import APIClient

from core.bindings.demultiplexer import workers
from core.bindings.dispatcher import dispatcher
from core.changes import doorbell
from core.outage import guard
from tests.threads import close_caches

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")


@pytest.fixture(autouse=True)
def _own_cache(settings):
    """Throttles count in the cache: no test starts with the count of another.

    A prefix, because emptying a cache on Redis would empty it for all who share that Redis.
    """
    own = uuid.uuid4().hex
    settings.CACHES = {
        alias: {**options, "KEY_PREFIX": f"{options.get('KEY_PREFIX', '')}-{own}"}
        for alias, options in settings.CACHES.items()
    }
    yield
    guard.recovered()  # of what the test had fail
    close_caches()
    SyncToAsync.single_thread_executor.submit(close_caches).result()  # where asynchronous tests use the ORM


@pytest.fixture(scope="session", autouse=True)
def _caches_of_threads():
    """The threads that serve sockets close their connections to Redis with those to the database."""
    for threads in (workers, dispatcher.threads):
        threads.when_idle.append(close_caches)


@pytest.fixture(autouse=True)
def _no_thread_for_doorbells(request, monkeypatch):
    """Writes in tests start no thread that sends doorbells to Redis, unless the test is about that."""
    if "own_sender" not in request.fixturenames:
        monkeypatch.setattr(doorbell, "_own_sender", doorbell.Sender)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Ends sessions that threads of tests left open: PostgreSQL drops no database that somebody uses."""
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def api():
    """A client nobody has logged in with."""
    return APIClient()


def _user(name, **attributes):
    return User.objects.create_user(name, password=f"{name}-password", **attributes)


@pytest.fixture
def stranger(db):
    """A user without any permission."""
    return _user("stranger")


@pytest.fixture
def author(db):
    """A user who may add, change and delete questions and choices."""
    user = _user("author")
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="polls"))
    return user


@pytest.fixture
def staff(db):
    """A user who sees everything and may write everything."""
    user = _user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="polls"))
    return user


@pytest.fixture
def question(author):
    """A published question of ``author`` with two choices."""
    from polls.models import Choice, Question

    question = Question.objects.create(question_text="Tea or coffee?", owner=author)
    for text in ("Tea", "Coffee"):
        Choice.objects.create(question=question, choice_text=text)
    return question


@pytest.fixture
def hidden_question(author):
    """A question of ``author`` that is not published, with one choice."""
    from polls.models import Choice, Question

    question = Question.objects.create(question_text="Surprise?", owner=author, published=False)
    Choice.objects.create(question=question, choice_text="Yes")
    return question


@pytest.fixture(params=["memory", "redis"])
def channel_layer(request, settings):
    """Runs a test on both channel layers; the one on Redis needs ``REDIS_URL``."""
    if request.param == "memory":
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    elif not settings.REDIS_URL:
        pytest.skip("REDIS_URL is not set")
    channel_layers.backends.clear()
    yield request.param
    channel_layers.backends.clear()


@pytest.fixture
def serve(settings):
    """Returns a function that makes the URL patterns it is given those of the site."""

    def use(*groups):
        module = types.ModuleType("tests.served_urls")
        module.urlpatterns = [pattern for group in groups for pattern in group]
        settings.ROOT_URLCONF = module

    return use
