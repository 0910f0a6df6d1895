"""
Let worse versions become current under load: each is rolled back by its probation.

Meanwhile all clients call. Each call must be answered, and by no version that was replaced before
it was sent. In every second round the kept workers are killed, so that the version before has to be
loaded. At the end the operator rolls back, and the time of that is measured.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

from tests.process import control
from tests.support.client import init_once
from tests.support.server import Server
from tests.support.wire import ClientError

from .outcome import Outcome, connect

GOOD = """\
import os, random, time


def main(event):
    fault()
    return {}


def fault():
    pass
"""

FAULTS = {
    "fails": ("    if random.random() < 0.3: raise ValueError('no database')\n", "failed"),
    "is slow": ("    time.sleep(0.03)\n", "took up to"),
    "dies": ("    if random.random() < 0.05: os._exit(3)\n", ""),
}
"""What is wrong with a version: what it does in `fault`, and words of what is found."""

ENOUGH = 500
"""Requests that the version before has answered when a worse one comes."""


class Callers:
    """Clients that call until they are told to stop; every second one keeps its connection."""

    def __init__(self, server: Server, clients: int) -> None:
        self._server = server
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._call, args=(bool(each % 2),)) for each in range(clients)
        ]
        self.current = 0
        """The generation that is known to be current: an older one must answer no further call."""
        self.answered = 0
        self.problems: list[str] = []

    def start(self) -> None:
        """Start all clients."""
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        """Wait until each client has the answer to its last call."""
        self._stopping.set()
        for each in self._threads:
            each.join()

    def _call(self, keeps: bool) -> None:
        connection = None
        while not self._stopping.is_set():
            try:
                connection = connection or connect(self._server, timeout=30.0)
                oldest = self.current
                response = connection.run({})
                stale = response.generation is not None and response.generation < oldest
                problem = f"generation {response.generation} after {oldest}" if stale else ""
                closes = response.closes or not keeps
            except (ClientError, OSError) as error:
                problem, closes = f"{type(error).__name__}: {error}", True
            if connection is not None and closes:
                connection.close()
                connection = None
            with self._lock:
                self.answered += not problem
                self.problems += [problem] if problem else []
        if connection is not None:
            connection.close()


def fail_probations(server: Server, rounds: int = 10, clients: int = 64) -> Outcome:
    """Replace by versions that are worse; wait until each is rolled back."""
    outcome = Outcome(f"{rounds} rounds of {len(FAULTS)} worse versions, {clients} clients")
    server.post(GOOD)
    callers = Callers(server, clients)
    callers.start()
    slowest = 0.0
    try:
        for turn in range(rounds):
            for what, (fault, words) in FAULTS.items():
                wait_answered(callers, server)
                post(callers, server, f"{GOOD}\ndef fault():\n{fault}")
                if turn % 2:
                    kill_kept(server)
                found = wait_rolled_back(callers, server)
                outcome.expect(words in found, f"a version that {what}: {found}")
            slowest = max(slowest, roll_back_by_hand(outcome, callers, server))
    finally:
        callers.stop()
    outcome.problems += callers.problems[:20]
    outcome.expect(callers.answered, "no request was answered")
    outcome.result = (
        f"{callers.answered} answered, {len(callers.problems)} not; "
        f"longest roll-back by hand {1000 * slowest:.1f} ms"
    )
    return outcome


def wait_answered(callers: Callers, server: Server) -> None:
    """Wait until the current version has answered enough to be compared with."""
    found = control.wait_until(
        server, lambda found: found["counts"][0]["ok"] >= ENOUGH, "enough requests", 60.0
    )
    callers.current = found["generation"]["number"]


def post(callers: Callers, server: Server, source: str) -> None:
    """Post a version that must become current."""
    response = init_once(server.address, source)
    assert response.status == 200, response.body
    assert response.generation is not None
    callers.current = response.generation


def kill_kept(server: Server) -> None:
    """Kill the workers of the version before."""
    for pid in control.pids(server, "kept"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_rolled_back(callers: Callers, server: Server) -> str:
    """Wait until the version that was posted last is rolled back; return its fault."""
    worse = callers.current
    found = control.wait_until(
        server, lambda found: found["generation"]["number"] > worse, "a roll-back", 60.0
    )
    callers.current = found["generation"]["number"]
    fault: str = found["probation"]["fault"]
    return fault


def roll_back_by_hand(outcome: Outcome, callers: Callers, server: Server) -> float:
    """Replace by an equal version, and roll it back; return how many seconds that took."""
    post(callers, server, GOOD)
    control.wait_until(
        server,
        lambda found: any(
            each["state"] == "kept" and not each["connections"]
            for each in found["generation"]["workers"]
        ),
        "a kept worker without a connection",
        20.0,
    )
    begun = time.monotonic()
    answer = control.ask(server, "rollback")
    taken = time.monotonic() - begun
    if outcome.expect(answer.get("ok"), f"rollback: {answer}"):
        callers.current = answer["generation"]
    return taken
