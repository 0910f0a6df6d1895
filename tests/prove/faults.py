"""Let an action do everything that it can do to its own process during a request."""

from __future__ import annotations

import time
from contextlib import ExitStack

from tests.process import control
from tests.support.actions import puppet_source
from tests.support.rendezvous import Held, Rendezvous
from tests.support.server import Server
from tests.support.waiting import wait_few
from tests.support.wire import Response

from .outcome import Outcome, ask, connect, run_after

FATAL = ("kill", "_exit", "abort", "segfault")
RAISING = ("raise", "exhaust", "exit")
LEAVING = ("child", "daemon")
ANSWERING = ("closerange", "fork")
FAULTS = (*FATAL, *RAISING, *LEAVING, *ANSWERING, "spin")


def survive_faults(
    server: Server,
    rounds: int = 200,
    spins: int = 5,
    only: tuple[str, ...] = FAULTS,
    spin_seconds: float = 1.0,
) -> Outcome:
    """Cause each fault ``rounds`` times, the endless loop ``spins`` times."""
    outcome = Outcome(f"{len(only)} faults, {rounds} rounds each ({spins} endless loops)")
    server.post(puppet_source(1))
    with connect(server) as warm:
        warm.run({})
    usual = control.processes(server)
    done = 0
    for fault in only:
        for turn in range(spins if fault == "spin" else rounds):
            what = f"{fault}, turn {turn}"
            with outcome.trying(what):
                suffer(server, outcome, fault, spin_seconds)
                done += 1
            if len(outcome.problems) > 20:
                outcome.result = "given up after 20 problems"
                return outcome
        living = wait_few(server.left, usual, 10.0)
        outcome.expect(
            len(living) <= usual, f"{fault}: {len(living)} processes, {usual} before: {living}"
        )
    outcome.result = f"{done} answered, {usual} processes before and after"
    return outcome


def suffer(server: Server, outcome: Outcome, fault: str, spin_seconds: float) -> None:
    """Cause one fault on one connection, then send the next request on it and on a new one."""
    with ExitStack() as stack:
        meet = stack.enter_context(Rendezvous())
        connection = stack.enter_context(connect(server))
        keys = {}
        if fault == "spin":
            keys["deadline"] = str(int((time.time() + spin_seconds) * 1000))
        connection.send_run({"do": fault, "at": meet.path, "token": "fault"}, **keys)
        held: list[Held] = []
        if fault in LEAVING:
            held = [meet.wait_arrival(), meet.wait_arrival()]
            for one in held:
                one.release()
        elif fault == "spin":
            held = [meet.wait_arrival()]
        response = connection.read_response()
        judge(outcome, fault, response)
        for one in held:
            outcome.expect(one.wait_gone(5.0), f"{fault}: process {one.pid} was left")
        after = run_after(server, connection, response, "same caller")
        expect_own(outcome, fault, after, "same caller")
        expect_own(outcome, fault, ask(server, token="other caller"), "other caller")
        outcome.expect(not connection.reader.pending, f"{fault}: a second answer")


def expect_own(outcome: Outcome, fault: str, response: Response, token: str) -> None:
    """Expect that the next answer is of the current version, and for this caller's own request."""
    outcome.expect_version(f"{fault}, next of the {token}", response, 1)
    outcome.expect(
        response.json().get("token") == token, f"{fault}: the {token} got another's answer"
    )


def judge(outcome: Outcome, fault: str, response: Response) -> None:
    """Expect an error of one key; for a fault that a handler survives, any JSON."""
    if fault in ANSWERING:
        outcome.expect(isinstance(response.json(), dict), f"{fault}: {response.body[:120]!r}")
    elif fault in RAISING:
        # The process goes on and the handler failed: an error of the action, whatever its status.
        outcome.expect(response.error, f"{fault}: {response.status} {response.body[:120]!r}")
    else:
        outcome.expect_error(fault, response)
