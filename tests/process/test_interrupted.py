"""
Let a signal handler, a thread or a trace function of the action raise in the server's own code.

The server never takes that for something that a client did, and loses no request.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.prove.interrupted import EXCEPTIONS, alarmed_source
from tests.support.client import Connection, run_once
from tests.support.server import Server
from tests.support.wire import init_request, run_request

from . import actions
from .control import pids, status

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[Server]:
    with Server("--crash-count", "100000") as started:
        yield started
        started.terminate()
        assert started.wait(10.0) == 0, started.stderr()
        assert not started.left()


@pytest.mark.parametrize("name", EXCEPTIONS)
@pytest.mark.parametrize("prefix", ["", "async "])
def test_exception_of_a_signal_handler_is_no_statement_about_a_client(
    server: Server, name: str, prefix: str
) -> None:
    server.post(alarmed_source(1).replace("def main(", f"{prefix}def main("))
    with Connection(server.address) as kept:
        kept.run({"raise": name, "every": 0.0003})
        for number in range(300):
            response = kept.run({"token": number})
            assert response.json().get("token") == number or name in str(response.error), response
            response = run_once(server.address, {"token": number})
            assert response.json().get("token") == number or name in str(response.error), response
        kept.run({"raise": "", "every": 0})


def test_exception_of_a_signal_handler_between_runs_is_in_the_log(server: Server) -> None:
    server.post(actions.interrupting(1))
    with Connection(server.address) as kept:
        pid = int(kept.run({"signal": "USR1"}).value("pid"))
        os.kill(pid, signal.SIGUSR1)
        assert kept.run({}).value("pid") == pid
    assert f"ValueError: {actions.RAISED}" in server.stderr()
    assert "the action's handler for signal 10 raised ValueError between two" in server.stderr()


def test_signal_handler_that_raises_in_the_action_ends_the_run(server: Server) -> None:
    server.post(actions.interrupting(1))
    with Connection(server.address) as kept:
        response = kept.run({"signal": "ALRM", "within": 0.05})
        assert response.status == 200
        assert actions.RAISED in str(response.error)
        assert kept.run({}).error is None


@pytest.mark.parametrize("shape", ["one", "pipelined", "parts", "large"])
def test_exception_at_any_step_of_our_own_loses_no_request(server: Server, shape: str) -> None:
    server.post(actions.raising(1))
    step, reached = -2, True
    while reached and step < 400:
        step += 3
        armed, rest = run_request({"raise": step, "token": "a"}), ["b", "c"]
        text = "x" * 100_000 if shape == "large" else ""
        others = [run_request({"token": token, "text": text}) for token in rest]
        with Connection(server.address) as kept, Connection(server.address) as other:
            other.run({})
            if shape == "pipelined":
                kept.send(b"".join([armed, *others]))
            elif shape == "parts":
                whole = b"".join([armed, *others])
                kept.send(whole[:-20])
                other.run({})
                kept.send(whole[-20:])
            tokens = ["a", *rest]
            for token, request in zip(tokens, [armed, *others], strict=True):
                if shape in ("one", "large"):
                    kept.send(request)
                response = kept.read_response()
                ours = response.json().get("token") == token
                assert ours or actions.RAISED in str(response.error), (step, token, response)
                assert not response.closes, (step, token, response)
            reached = bool(other.run({"reached": True}).json().get("reached"))
    assert step > 30
    deaths = len(status(server)["deaths"])
    assert deaths <= step // 10, server.stderr()


def test_exceptions_from_a_thread_lose_no_request(server: Server) -> None:
    server.post(actions.thrown_by_thread(1))
    with Connection(server.address) as kept:
        kept.run({"every": 0.003})
        for number in range(1500):
            response = kept.run({"token": number})
            assert response.json().get("token") == number or response.error, response
            if response.closes:
                pytest.fail(str(response))
    assert pids(server, "serving")


def test_exceptions_from_a_thread_lose_no_init(server: Server) -> None:
    server.post(actions.thrown_by_thread(1))
    with Connection(server.address) as kept:
        kept.run({"every": 0.003})
        kept.send(init_request(actions.plain(2)))
        assert kept.read_response().status == 200
        assert kept.run({"token": "a"}).value("version") == 2
