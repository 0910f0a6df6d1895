"""How ``hotwhisk up`` stops, and what it tells systemd."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Answer, GatewayProcess
from tests.support.rendezvous import Rendezvous

pytestmark = pytest.mark.slow

HOLD = """\
import os
import socket

def main(args):
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(args["at"])
        end.sendall(str(os.getpid()).encode())
        end.recv(1)
    return {"held": True}
"""


class Call:
    """A call of an action that runs until it is released."""

    def __init__(self, gateway: GatewayProcess, place: Rendezvous) -> None:
        gateway.create("hold", HOLD)
        self._answers: list[Answer] = []
        self._thread = threading.Thread(target=self._call, args=(gateway, place), daemon=True)
        self._thread.start()
        self.held = place.wait_arrival()

    def _call(self, gateway: GatewayProcess, place: Rendezvous) -> None:
        argument = {"at": place.path}
        self._answers.append(gateway.api("POST", "actions/hold?blocking=true", argument))

    def answer(self) -> Answer:
        """Wait for the answer."""
        self._thread.join()
        return self._answers[0]


@pytest.fixture
def place() -> Iterator[Rendezvous]:
    with Rendezvous() as made:
        yield made


def wait_closed(gateway: GatewayProcess) -> None:
    """Wait until the port is closed."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", gateway.port)).close()
        except ConnectionError:
            return


def records(gateway: GatewayProcess) -> list[dict[str, object]]:
    """Return the activations that a gateway with the same data has."""
    with GatewayProcess(data=gateway.folder) as again:
        found: list[dict[str, object]] = again.api("GET", "activations?docs=true").json
        return found


def test_a_stop_answers_what_runs(tmp_path: Path, place: Rendezvous) -> None:
    with GatewayProcess(data=tmp_path) as gateway:
        call = Call(gateway, place)
        gateway.process.send_signal(signal.SIGTERM)
        gateway.wait_line(
            r"stopping; calls to finish first: 1 \(a second Ctrl-C stops at once\)", 10
        )
        wait_closed(gateway)
        call.held.release()
        answer = call.answer()
        assert answer.status == 200, answer
        assert answer.json["response"]["result"] == {"held": True}
        assert gateway.process.wait(10) == 0
    assert [each["activationId"] for each in records(gateway)] == [answer.json["activationId"]]


@pytest.mark.parametrize("patience", ["a second signal", "the drain timeout"])
def test_a_stop_does_not_wait_for_ever(tmp_path: Path, place: Rendezvous, patience: str) -> None:
    by_signal = patience == "a second signal"
    with GatewayProcess("--drain-timeout", "600" if by_signal else "0.5", data=tmp_path) as gateway:
        call = Call(gateway, place)
        gateway.process.send_signal(signal.SIGTERM)
        if by_signal:
            wait_closed(gateway)
            gateway.process.send_signal(signal.SIGTERM)
        gateway.wait_line("activations that still run are ended", 10)
        assert gateway.process.wait(10) == 0
        assert call.answer().status == 502
        assert call.held.wait_gone(10)
    (record,) = records(gateway)
    assert record["activationId"] == call.answer().json["activationId"]
    assert "Uvicorn" not in gateway.stderr()
    assert "Traceback" not in gateway.stderr()


def test_systemd_is_told_when_it_serves_and_stops(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with GatewayProcess(data=tmp_path, env=env) as gateway:
            message = manager.recv(4096).decode()
            assert message == f"READY=1\nSTATUS=serving on {gateway.url}"
        assert manager.recv(4096) == b"STOPPING=1"
