"""Which streams a socket has, and what they are described by."""

import types

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from core.bindings import ReadOnlyResourceBinding, ResourceBinding, WebsocketDemultiplexer
from core.bindings.streams import declared, demultiplexer, described
from core.routing import websocket_urlpatterns
from polls.bindings import ChoiceBinding, QuestionBinding
from polls.serializers import ChoiceSerializer, QuestionSerializer


class Explicit(WebsocketDemultiplexer):
    mapping = {"q": QuestionBinding}


def test_streams_are_those_that_applications_declare():
    assert declared().items() >= {"questions": QuestionBinding, "choices": ChoiceBinding}.items()
    assert WebsocketDemultiplexer.streams() == declared()


def test_a_mapping_says_which_streams_there_are(bindings_settings):
    bindings_settings(DEMULTIPLEXER="tests.core.bindings.test_streams.Explicit")
    assert demultiplexer().__name__ == "Explicit"
    assert demultiplexer().streams() == {"q": QuestionBinding}


def test_two_bindings_of_one_name_are_refused(monkeypatch):
    class First(ResourceBinding):
        stream = "same"

    class Second(First):
        stream = "same"

    class Inherited(First):
        """Names nothing itself, but is a binding of this module all the same."""

        stream = None

    module = types.SimpleNamespace(__name__=First.__module__, a=First, b=Second, c=Inherited)
    monkeypatch.setattr("core.bindings.streams.import_module", lambda name: module)
    monkeypatch.setattr("core.bindings.streams.apps", types.SimpleNamespace(get_app_configs=lambda: [polls]))
    polls = apps.get_app_config("polls")
    declared.cache_clear()
    try:
        with pytest.raises(ImproperlyConfigured, match="First and Second both name the stream 'same': rename one"):
            declared()
    finally:
        declared.cache_clear()


def test_with_the_toggle_off_there_is_no_socket(bindings_settings):
    paths = [str(each.pattern) for each in websocket_urlpatterns()]
    bindings_settings(ENABLED=False)
    assert "ws/" in paths
    assert "ws/" not in [str(each.pattern) for each in websocket_urlpatterns()]


def test_streams_can_be_described():
    streams = {stream.name: stream for stream in described()}
    assert list(streams) == sorted(declared())
    choices, questions = streams["choices"], streams["questions"]
    assert (choices.name, choices.model, choices.lookup_field) == ("choices", "polls.choice", "pk")
    assert [action.name for action in questions.actions] == ["create", "delete", "list", "patch", "retrieve", "update"]
    vote = next(action for action in choices.actions if action.name == "vote")
    assert (vote.detail, vote.writes, vote.is_built_in) == (True, True, False)
    assert choices.serializer_class(vote) is ChoiceSerializer
    assert questions.serializer_class(questions.actions[0]) is QuestionSerializer
    assert questions.subscriptions == ("create", "update", "delete")
    assert questions.subscriptions_to_one == ("update", "delete")


def test_what_a_stream_does_not_have_is_not_described():
    class Binding(ReadOnlyResourceBinding):
        viewset_class = QuestionBinding.viewset_class

    (stream,) = described({"q": Binding})
    assert [action.name for action in stream.actions] == ["list", "retrieve"]

    class Empty(ResourceBinding):
        pass

    (stream,) = described({"e": Empty})
    assert (stream.actions, stream.subscriptions, stream.subscriptions_to_one) == ((), (), ())


def test_a_binding_without_a_model_says_what_it_needs():
    class Empty(ResourceBinding):
        pass

    with pytest.raises(ImproperlyConfigured, match="Empty needs a model, a queryset, or a viewset that has one"):
        Empty.get_model()
