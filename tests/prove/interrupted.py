"""
Prove that no request is lost if a timer of the action raises in the server's own code.

Such an exception says nothing about the client.
"""

from __future__ import annotations

import time

from tests.support.server import Server

from .outcome import Outcome, connect

EXCEPTIONS = ("TimeoutError", "ValueError", "KeyboardInterrupt", "SystemExit")

_SOURCE = """
import builtins, os, signal

count = 0

def main(event):
    try:
        if "raise" in event:
            def handler(number, frame):
                global count
                count += 1
                raise getattr(builtins, event["raise"])(event["raise"])
            signal.signal(signal.SIGALRM, handler if event["raise"] else signal.SIG_IGN)
            signal.setitimer(signal.ITIMER_REAL, event["every"], event["every"])
    except BaseException:
        pass
    return {"version": %d, "token": event.get("token"), "pid": os.getpid(), "count": count}
"""


def alarmed_source(version: int) -> str:
    """Return an action that arms a timer; its handler raises the exception that the event names."""
    return _SOURCE % version


def answer_interrupted(server: Server, requests: int = 140_000, every: float = 0.0003) -> Outcome:
    """
    Send requests while a timer of the action raises exceptions.

    If an exception ended a run, it may be the answer. Any other request has its own answer.
    """
    outcome = Outcome(
        f"{requests} requests while a timer of the action raises every {every * 1e6:.0f} µs"
    )
    server.post(alarmed_source(1))
    own = ended = raised = 0
    pids = set()
    began = time.monotonic()
    for name in EXCEPTIONS:
        with connect(server) as kept:
            before = int(kept.run({}).value("count"))
            kept.run({"raise": name, "every": every})
            for number in range(requests // len(EXCEPTIONS)):
                if number % 100 == 99:
                    with connect(server) as fresh, outcome.trying(f"{name}, new {number}"):
                        response = fresh.run({"token": number})
                else:
                    with outcome.trying(f"{name}, {number}"):
                        response = kept.run({"token": number})
                answer = response.json()
                if answer.get("token") == number:
                    own += 1
                    pids.add(answer["pid"])
                else:
                    outcome.expect(name in str(response.error), f"{name}, {number}: {response}")
                    ended += 1
            kept.run({"raise": "", "every": 0})
            raised += int(kept.run({}).value("count")) - before
    outcome.expect(len(pids) == 1, f"the worker was replaced: {sorted(pids)}")
    outcome.expect(raised > requests / 1000, f"the timer went off {raised} times only")
    seconds = time.monotonic() - began
    outcome.result = (
        f"{own} answered, {ended} runs ended by their own exception, 0 others; "
        f"{raised} exceptions in {seconds:.0f} s, 1 worker"
    )
    return outcome
