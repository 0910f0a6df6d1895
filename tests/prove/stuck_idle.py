"""Prove that a worker that stops between two requests delays no client, and can go on later."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack

from tests.support.actions import puppet_source
from tests.support.server import Server
from tests.support.waiting import stop_idle

from .outcome import Outcome, connect

MOVED_WITHIN = 1.0


def move_from_stuck(server: Server, rounds: int = 50, each: int = 8) -> Outcome:
    """Stop a worker between two requests, send on kept and new connections, and let it go on."""
    outcome = Outcome(f"{rounds} times a worker of two stands still with {each} connections")
    server.post(puppet_source(1))
    answered, longest = 0, 0.0
    for turn in range(rounds):
        with ExitStack() as stack:
            kept = [stack.enter_context(connect(server)) for _ in range(each)]
            pids = [int(connection.run({}).value("pid")) for connection in kept]
            stop_idle(pids[0])
            kept += [stack.enter_context(connect(server)) for _ in range(each)]
            began = time.monotonic()
            for number, connection in enumerate(kept):
                connection.send_run({"token": number})
            for number, connection in enumerate(kept):
                with outcome.trying(f"turn {turn}, {number}"):
                    response = connection.read_response()
                    token = response.json().get("token")
                    outcome.expect(token == number, f"turn {turn}, {number}: {response}")
                    answered += 1
            longest = max(longest, time.monotonic() - began)
            os.kill(pids[0], signal.SIGCONT)
            for connection in kept:
                with outcome.trying(f"turn {turn}, after it came back"):
                    outcome.expect_version("the next", connection.run({}), 1)
    outcome.expect(longest < MOVED_WITHIN, f"one waited for {longest:.2f} s")
    outcome.result = (
        f"{answered} of {rounds * 2 * each} answered, the last of each turn within "
        f"{longest * 1000:.0f} ms"
    )
    return outcome
