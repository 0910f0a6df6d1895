"""Send SIGTERM: requests that run or wait, even in the backlog, are answered first."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

from tests.support.actions import puppet_source
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.waiting import wait_few

from .outcome import Outcome, connect


def answer_before_stop(server: Server, waiting: int = 20, backlog: int = 40) -> Outcome:
    """
    Stop a server with one running request and waiting ones.

    Some wait on accepted connections, some in the backlog: the server is stopped (SIGSTOP), so that
    it has not accepted them when SIGTERM comes.
    """
    outcome = Outcome(f"SIGTERM with 1 running, {waiting} waiting, {backlog} in the backlog")
    server.post(puppet_source(1))
    with ExitStack() as stack, Rendezvous() as meet:
        runner, *others = [stack.enter_context(connect(server)) for _ in range(waiting + 1)]
        for connection in (runner, *others):
            connection.run({})
        runner.send_run({"do": "hold", "at": meet.path, "token": "runner"})
        held = meet.wait_arrival()
        for number, connection in enumerate(others):
            connection.send_run({"token": number})
        os.kill(server.pid, signal.SIGSTOP)
        try:
            queued = [stack.enter_context(connect(server)) for _ in range(backlog)]
            for number, connection in enumerate(queued):
                connection.send_run({"token": number})
            server.terminate()
        finally:
            os.kill(server.pid, signal.SIGCONT)
        held.release()
        answered = 0
        ends = [("running", runner)]
        ends += [("waiting", end) for end in others] + [("in the backlog", end) for end in queued]
        for what, connection in ends:
            with outcome.trying(what):
                outcome.expect_version(what, connection.read_response(), 1)
                answered += 1
        status = server.wait(10.0)
    outcome.expect(status == 0, f"exit status {status}")
    left = wait_few(server.left, 0, 5.0)
    outcome.expect(not left, f"processes left: {left}")
    outcome.result = f"{answered} of {1 + waiting + backlog} answered, exit status {status}"
    return outcome
