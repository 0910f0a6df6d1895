"""The code of an action that runs while its imports are measured ends with the gateway."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from http.client import HTTPException
from urllib.parse import urlencode

import pytest

from tests.support.gateway import Answer, GatewayProcess
from tests.support.rendezvous import Held, Rendezvous

pytestmark = pytest.mark.slow

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HOLDS = """
import os, socket
end = socket.socket(socket.AF_UNIX)
end.connect(%r)
end.sendall(str(os.getpid()).encode())
end.recv(1)
def main(args):
    return {}
"""


@pytest.fixture
def place() -> Iterator[Rendezvous]:
    with Rendezvous() as made:
        yield made


class Measuring:
    """A request to measure an action whose import does not end."""

    def __init__(self, gateway: GatewayProcess, place: Rendezvous) -> None:
        gateway.create("holds", HOLDS % place.path)
        key = urlencode({"key": gateway.auth}).encode()
        login = gateway.request("POST", "/login", key, auth="", headers=FORM)
        self._headers = {**FORM, "Cookie": login.headers["set-cookie"].partition(";")[0]}
        self.answers: list[Answer] = []
        self._thread = threading.Thread(target=self._ask, args=(gateway,))
        self._thread.start()
        self.held: Held = place.wait_arrival()

    def _ask(self, gateway: GatewayProcess) -> None:
        try:
            answer = gateway.request("POST", "/measure/holds", b"", auth="", headers=self._headers)
            self.answers.append(answer)
        except (OSError, HTTPException):
            pass  # the gateway was killed

    def wait(self) -> None:
        self._thread.join()


def test_a_killed_gateway_leaves_no_measurement(gateway: GatewayProcess, place: Rendezvous) -> None:
    measuring = Measuring(gateway, place)
    gateway.process.kill()
    assert measuring.held.wait_gone(10)
    measuring.wait()


def test_a_stop_ends_a_measurement(gateway: GatewayProcess, place: Rendezvous) -> None:
    measuring = Measuring(gateway, place)
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(10) == 0
    assert measuring.held.wait_gone(1)
    measuring.wait()
    (answer,) = measuring.answers
    assert answer.status == 503
    assert b"The server is shutting down" in answer.content
    assert "Traceback" not in gateway.stderr()
