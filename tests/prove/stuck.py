"""Check that a handler that does not return does not delay the next version."""

from __future__ import annotations

import time
from contextlib import ExitStack

from tests.support.actions import puppet_source
from tests.support.client import init_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server

from .outcome import Outcome, ask, connect, run_after

REPLACED_WITHIN = 1.0
TOLD_WITHIN = 2.0


def replace_stuck(server: Server, rounds: int = 10, deadline: float = 2.0) -> Outcome:
    """Post /init by turns on a new connection and on a kept one of the stuck worker."""
    outcome = Outcome(f"{rounds} replacements of a stuck handler, deadline {deadline} s")
    server.post(puppet_source(1))
    longest = latest = 0.0
    for version in range(2, rounds + 2):
        with ExitStack() as stack, Rendezvous() as meet:
            kept = stack.enter_context(connect(server))
            kept.run({})
            stuck = stack.enter_context(connect(server))
            due = time.time() + deadline
            stuck.send_run({"do": "spin", "at": meet.path}, deadline=str(int(due * 1000)))
            held = meet.wait_arrival()
            begun = time.monotonic()
            with outcome.trying(f"replacement {version}"):
                source = puppet_source(version)
                response = kept.init(source) if version % 2 else init_once(server.address, source)
                took = time.monotonic() - begun
                longest = max(longest, took)
                outcome.expect(response.status == 200, f"/init: {response.body[:120]!r}")
                outcome.expect(took < REPLACED_WITHIN, f"/init took {took:.2f} s")
                outcome.expect_version("new connection", ask(server), version)
                outcome.expect_version("kept connection", kept.run({}), version)
            with outcome.trying("the stuck caller"):
                response = stuck.read_response(deadline + 3 * TOLD_WITHIN)
                late = time.time() - due
                latest = max(latest, late)
                outcome.expect_error("the stuck caller", response)
                outcome.expect(
                    -0.05 <= late < TOLD_WITHIN, f"answered {late:+.2f} s from its deadline"
                )
                outcome.expect(held.wait_gone(5.0), "the stuck process was left")
                after = run_after(server, stuck, response, "next")
                outcome.expect_version("the stuck caller's next", after, version)
    outcome.result = (
        f"replaced within {longest * 1000:.0f} ms; told {latest:.2f} s after the deadline at most"
    )
    return outcome
