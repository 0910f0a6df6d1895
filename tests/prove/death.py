"""Let a worker die with requests waiting, or with half an answer sent."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

from tests.support.actions import puppet_source
from tests.support.client import Connection
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.waiting import wait_gone
from tests.support.wire import run_request

from .outcome import Outcome, ask, connect, run_after


def die_with_waiting(server: Server, waiting: int = 63, rounds: int = 20) -> Outcome:
    """
    Kill a worker with a running handler, while ``waiting`` kept connections have sent a
    request.
    """
    outcome = Outcome(f"kill -9 with 1 running and {waiting} waiting, {rounds} times")
    server.post(puppet_source(1))
    answered = 0
    for turn in range(rounds):
        with ExitStack() as stack, Rendezvous() as meet:
            runner, *others = [stack.enter_context(connect(server)) for _ in range(waiting + 1)]
            for connection in (runner, *others):
                connection.run({})
            runner.send_run({"do": "hold", "at": meet.path})
            pid = meet.wait_arrival().pid
            for number, connection in enumerate(others):
                connection.send_run({"token": number})
            os.kill(pid, signal.SIGKILL)
            with outcome.trying(f"turn {turn}, the running one"):
                response = runner.read_response()
                outcome.expect_error("the running one", response)
                answered += 1
                after = run_after(server, runner, response, "next")
                outcome.expect_version("the running one's next", after, 1)
            for number, connection in enumerate(others):
                with outcome.trying(f"turn {turn}, waiting {number}"):
                    response = connection.read_response()
                    outcome.expect_version(f"waiting {number}", response, 1)
                    outcome.expect(response.json().get("token") == number, f"{number}: crossed")
                    answered += 1
    outcome.result = f"{answered} of {rounds * (waiting + 1)} answered"
    return outcome


def die_half_sent(server: Server, size: int = 1 << 20, rounds: int = 20) -> Outcome:
    """
    Kill a worker when a slow reader has had part of a big answer: closed, and never a second
    answer.

    Another request is behind it on the same connection. It must not be answered either: its answer
    would be read as the rest of the first.
    """
    outcome = Outcome(f"kill -9 while {size} bytes are half sent, {rounds} times")
    server.post(puppet_source(1))
    half = 0
    for turn in range(rounds):
        with Connection(server.address, segment=1000, receive_buffer=4096) as reader:
            with outcome.trying(f"turn {turn}"):
                pid = int(reader.run({}).value("pid"))
                behind = run_request({}) if turn % 2 else b""
                reader.send(run_request({"size": size}) + behind)
                begun = reader.socket.recv(1000)
                os.kill(pid, signal.SIGKILL)
                outcome.expect(wait_gone(pid, 10.0), f"turn {turn}: {pid} outlived kill -9")
                stream = begun + reader.read_to_end()
                outcome.expect(
                    stream.count(b"HTTP/1.1 ") == 1,
                    f"turn {turn}: {stream.count(b'HTTP/1.1 ')} answers in one stream",
                )
                half += len(stream) < size
            with outcome.trying(f"turn {turn}, the next request"):
                outcome.expect_version("the next request", ask(server), 1)
    outcome.expect(half, "no answer was half sent: nothing was tried")
    outcome.result = f"{half} of {rounds} cut in half, none answered twice"
    return outcome
