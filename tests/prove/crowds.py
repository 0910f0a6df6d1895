"""Send more calls at once than there are workers, kill workers among them, and replace versions."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import ExitStack

from tests.process import control
from tests.support.actions import puppet_source
from tests.support.client import Connection
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.waiting import wait_few

from .outcome import Outcome, connect

MOST = 8
"""The most workers of the server, which the registry starts."""

LATE = 3


def serve_crowds(server: Server, rounds: int = 100, calls: int = 12) -> Outcome:
    """
    Let each call wait in the handler, in as many processes as may be; kill one of them; post a
    version in every other round, and call it. Then let all of them go on.
    """
    outcome = Outcome(f"{rounds} times {calls} calls at once, one killed, every other replaced")
    server.post(puppet_source(1))
    usual = control.processes(server)
    version, longest = 1, 0.0
    for turn in range(rounds):
        with ExitStack() as stack, outcome.trying(f"turn {turn}"):
            meet = stack.enter_context(Rendezvous())
            begun = time.monotonic()
            first = send(server, stack, meet, calls)
            held = [meet.wait_arrival() for _ in range(MOST)]
            longest = max(longest, time.monotonic() - begun)
            outcome.expect(len({each.pid for each in held}) == MOST, f"turn {turn}: shared")
            os.kill(held[turn % MOST].pid, signal.SIGKILL)
            if turn % 2:
                version += 1
                server.post(puppet_source(version))
            late = send(server, stack, meet, LATE)
            for each in held:
                each.release()
            for _ in range(calls - MOST + LATE):
                meet.wait_arrival().release()
            judge(outcome, turn, first, (version - turn % 2, version))
            for number, connection in enumerate(late):
                response = connection.read_response()
                outcome.expect_version(f"turn {turn}, late {number}", response, version)
            again = select.select([meet._listener], [], [], 0)[0]
            outcome.expect(not again, f"turn {turn}: a call was run twice")
    left = wait_few(server.left, usual, 30.0)
    outcome.expect(len(left) <= usual, f"{len(left)} processes at the end, {usual} at the start")
    outcome.result = (
        f"{rounds * (calls + LATE)} answered; {MOST} at work after {1000 * longest:.0f} ms at most; "
        f"{usual} processes before and after"
    )
    return outcome


def send(server: Server, stack: ExitStack, meet: Rendezvous, calls: int) -> list[Connection]:
    """Send so many calls at once, each of which waits in the handler."""
    opened = [stack.enter_context(connect(server)) for _ in range(calls)]
    for number, connection in enumerate(opened):
        connection.send_run({"do": "hold", "at": meet.path, "token": number})
    return opened


def judge(outcome: Outcome, turn: int, sent: list[Connection], versions: tuple[int, int]) -> None:
    """Expect one error, of the killed one, and that each other call has its own answer."""
    errors = 0
    for number, connection in enumerate(sent):
        response = connection.read_response()
        answer = response.json()
        errors += bool(response.error)
        outcome.expect(
            response.error or (answer.get("token") == number and answer.get("version") in versions),
            f"turn {turn}, call {number}: {response.status} {response.body[:120]!r}",
        )
    outcome.expect(errors == 1, f"turn {turn}: {errors} errors, and one was killed")
