"""Check that a crash loop is rolled back, that a poisonous request is not, and never to nothing."""

from __future__ import annotations

import time
from typing import Self

from tests.support.actions import puppet_source
from tests.support.client import init_once
from tests.support.server import Server
from tests.support.wire import Response

from .outcome import Outcome, ask, connect

NOTHING = "locate a binary"
# It dies outside of any handler, a while after it became ready.
LOOPING = """\
import os
import threading

def main(event):
    return {"version": %d, "pid": os.getpid()}

threading.Timer(0.2, os._exit, (9,)).start()
"""


class Caller:
    """Sends requests on one connection; on a new one if an answer closed the old one."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = connect(server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def run(self) -> Response:
        """Send one request and return its answer."""
        response = self._connection.run({})
        if response.headers.get("connection") == "close":
            self._connection.close()
            self._connection = connect(self._server)
        return response


def roll_back_loop(server: Server, rounds: int = 5, patience: float = 20.0) -> Outcome:
    """Let a version die again and again after it became current: the previous one answers again."""
    outcome = Outcome(f"{rounds} versions that crash in a loop")
    server.post(puppet_source(1))
    asked = 0
    for turn in range(rounds):
        init_once(server.address, LOOPING % 2)
        end = time.monotonic() + patience
        version = None
        with outcome.trying(f"turn {turn}"), Caller(server) as caller:
            while version != 1 and time.monotonic() < end:
                response = caller.run()
                asked += 1
                version = response.json().get("version")
                outcome.expect(NOTHING not in str(response.error), "rolled back to nothing")
            outcome.expect(version == 1, f"turn {turn}: not rolled back within {patience} s")
            for _ in range(20):
                outcome.expect_version("after the roll-back", caller.run(), 1)
    outcome.result = f"rolled back each time; {asked} requests meanwhile, all answered"
    return outcome


def keep_poisoned(server: Server, deaths: int = 20) -> Outcome:
    """Send an input that kills the worker every time: nothing is rolled back."""
    outcome = Outcome(f"one poisonous input, {deaths} times")
    server.post(puppet_source(1))
    server.post(puppet_source(2))
    outcome.expect_version("the new version", ask(server), 2)
    for turn in range(deaths):
        with outcome.trying(f"turn {turn}"):
            outcome.expect_error("the poisonous request", ask(server, do="kill"))
            outcome.expect_version("the next request", ask(server), 2)
    outcome.result = f"still version 2 after {deaths} deaths"
    return outcome


def keep_first(server: Server, deaths: int = 6, patience: float = 30.0) -> Outcome:
    """Let generation 1 crash in a loop: there is no previous version, so it is started again."""
    outcome = Outcome(f"generation 1 crashes {deaths} times")
    response = init_once(server.address, LOOPING % 1)
    outcome.expect(response.status == 200, f"/init: {response.body[:120]!r}")
    seen: set[int] = set()
    end = time.monotonic() + patience
    asked = 0
    with outcome.trying("asking"):
        while len(seen) <= deaths and time.monotonic() < end:
            asked += 1
            response = ask(server)
            outcome.expect(NOTHING not in str(response.error), "rolled back to nothing")
            if response.status == 200:
                seen.add(response.value("pid"))
    outcome.expect(len(seen) > deaths, f"only {len(seen)} processes seen in {patience} s")
    outcome.result = f"{len(seen)} processes, {asked} requests, all answered"
    return outcome
