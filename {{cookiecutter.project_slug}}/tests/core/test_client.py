"""``client.js`` and the server use the same words."""

import re
from pathlib import Path

import core
from core.bindings.actions import SUBSCRIBE, UNSUBSCRIBE
from core.bindings.resource import BUILT_IN
from core.reactive.protocol import MESSAGE_TYPES
from core.sockets import CloseCode

SOURCE = (Path(core.__file__).parent / "static/core/client.js").read_text()


def constants(name):
    """Return the members of a frozen object that the module exports."""
    body = re.search(rf"export const {name} = Object\.freeze\(\{{(.*?)\}}\)", SOURCE, re.DOTALL)[1]
    found = re.findall(r'^  (\w+): (?:"(\w+)"|(\d+)),$', body, re.MULTILINE)
    assert len(found) == len(body.strip().splitlines())
    return {key: text or int(number) for key, text, number in found}


def test_codes_of_closed_sockets_are_those_of_the_server():
    assert constants("CloseCode") == {code.name: int(code) for code in CloseCode}


def test_actions_are_those_of_the_resource_socket():
    assert set(constants("Action").values()) == BUILT_IN | {SUBSCRIBE, UNSUBSCRIBE}


def test_messages_are_those_of_the_observer_socket():
    assert set(constants("Message").values()) == set(MESSAGE_TYPES)


def test_nothing_comes_from_another_host():
    assert not re.search(r"https?://(?!site)", SOURCE)
