"""Prove that a stopped template delays no client, no replacement and no stop."""

from __future__ import annotations

import os
import signal
import time

from tests.process import control
from tests.support.client import init_once
from tests.support.server import Server
from tests.support.waiting import stop, wait_gone

from .outcome import Outcome, ask, connect

SOURCE = """\
import os, time
until = time.process_time() + 0.05  # enough for a template
while time.process_time() < until:
    pass

def main(event):
    return {{"version": {version}, "pid": os.getpid()}}
"""
WATCHED = 0.8
"""Seconds of requests after the death of a worker, longer than the template's time limit."""

ANSWERED_WITHIN = 0.8
REPLACED_WITHIN = 0.8


def stop_templates(server: Server, rounds: int = 20) -> Outcome:
    """Stop the template, kill a worker that it would replace, and go on with requests."""
    outcome = Outcome(f"{rounds} templates stopped as a worker died, by turns with a replacement")
    longest = replaced = 0.0
    answered, version = 0, 1
    server.post(SOURCE.format(version=version))
    for turn in range(rounds):
        what = f"turn {turn}"
        with outcome.trying(what), connect(server) as kept:
            found = control.wait_until(server, is_ready, what)
            template = found["template"]["pid"]
            stop(template)
            pid = kept.run({}).value("pid")
            assert isinstance(pid, int)
            os.kill(pid, signal.SIGKILL)
            end = time.monotonic() + WATCHED
            if turn % 2:
                version += 1
                begun = time.monotonic()
                response = init_once(server.address, SOURCE.format(version=version))
                replaced = max(replaced, time.monotonic() - begun)
                outcome.expect(response.status == 200, f"{what}: /init: {response.body[:120]!r}")
            while time.monotonic() < end:
                begun = time.monotonic()
                outcome.expect_version(what, ask(server), version)
                outcome.expect_version(what, kept.run({}), version)
                longest = max(longest, time.monotonic() - begun)
                answered += 2
            outcome.expect(wait_gone(template, 10.0), f"{what}: the template was left")
    outcome.expect(longest < ANSWERED_WITHIN, f"two requests took {longest:.2f} s")
    outcome.expect(replaced < REPLACED_WITHIN, f"a replacement took {replaced:.2f} s")
    outcome.result = (
        f"{answered} answered, two of them within {1000 * longest:.0f} ms; "
        f"replaced within {1000 * replaced:.0f} ms"
    )
    return outcome


def is_ready(found: control.Status) -> bool:
    """Return whether both workers serve, and there is a template."""
    template = found["template"]
    states = [each["state"] for each in found["generation"]["workers"]]
    return bool(template and "pid" in template) and states.count("serving") == 2
