"""What tests of the resource socket share."""

import pytest

from core.bindings.demultiplexer import WebsocketDemultiplexer


@pytest.fixture
def serve_streams():
    """Returns a function that makes a demultiplexer of bindings by the names of their streams."""

    def demultiplexer(**mapping):
        return type("Streams", (WebsocketDemultiplexer,), {"mapping": mapping})

    return demultiplexer


@pytest.fixture
def bindings_settings(settings):
    """Returns a function that sets values of ``CORE["BINDINGS"]``."""

    def set_values(**values):
        settings.CORE = {**settings.CORE, "BINDINGS": {**settings.CORE["BINDINGS"], **values}}

    return set_values
