"""Sockets of a consumer that echoes, behind the real gates."""

from contextlib import asynccontextmanager

import pytest
from django.test import Client
from django.urls import path

from core.sockets import SocketConsumer, websocket_application
from core.testing import PatientCommunicator


class Echo(SocketConsumer):
    """Says again what it hears, and keeps count of its own end."""

    ended = 0

    def received(self, text):
        if text == "fail":
            raise RuntimeError("as asked")
        self.offer(text)

    async def left(self):
        type(self).ended += 1


@pytest.fixture
def open_socket():
    """Returns a context manager that opens a socket: ``async with open_socket(cookie=...) as ws``."""
    application = websocket_application([path("ws/", Echo.as_asgi())])

    @asynccontextmanager
    async def opened(**headers):
        headers = {"host": "testserver", "origin": "http://testserver", **headers}
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        ws = PatientCommunicator(application, "/ws/", headers=pairs)
        accepted, _ = await ws.connect()
        assert accepted
        try:
            yield ws
        finally:
            await ws.disconnect()

    return opened


@pytest.fixture
def cookie():
    """Returns a function that logs a user in and gives the header that a browser would send."""

    def log_in(user):
        client = Client()
        client.force_login(user)
        return f"sessionid={client.cookies['sessionid'].value}"

    return log_in
