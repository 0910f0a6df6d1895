"""
Prove that with ``--fresh`` no run sees what another left, and that nothing grows.

Meanwhile the template, workers that stand ready and workers in their run are killed.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from tests.process import control
from tests.support.server import Server
from tests.support.wire import Response

from .outcome import Outcome, connect
from .rest import GROWTH_ALLOWED, measure

LEAVING = """\
import os, random, tempfile, threading

START = os.getcwd()
RUNS = []


def traces():
    found = [f"{len(RUNS)} runs before"] if RUNS else []
    found += [f"variable {each}" for each in os.environ if each.startswith("TRACE")]
    found += [f"file {each}" for each in os.listdir(tempfile.gettempdir())]
    found += [f"file {each}" for each in set(os.listdir()) - set(os.listdir(START))]
    for name in filter(os.path.isfile, os.listdir()):
        with open(os.path.join(START, name)) as file:
            found += [f"a change in {name}"] if file.read().endswith("# trace") else []
    if threading.active_count() > 1:
        found.append("a thread")
    if os.getcwd() != os.environ["PWD"]:
        found.append(f"working directory {os.getcwd()}")
    return found


def leave():
    RUNS.append(1)
    os.environ[f"TRACE{os.getpid()}"] = "1"
    tempfile.mkstemp()
    tempfile.mkdtemp()
    with open("trace", "a") as file:
        file.write("1")
    for name in filter(os.path.isfile, os.listdir()):
        with open(name, "a") as file:
            file.write("# trace")
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    os.chdir("/")


def main(event):
    found = traces()
    leave()
    if event.get("hold"):
        threading.Event().wait(event["hold"])
    return {"token": event["token"], "found": found, "drawn": random.getrandbits(62)}
"""

KILLED = ("template", "serving", "draining")
"""What is killed by turns: the template, one that stands ready, one in its run."""

HOLD = 0.02
"""Seconds of every hundredth run, so that a kill can meet one."""


@dataclass
class Client:
    """One client; half of them keep their connection."""

    server: Server
    name: int
    runs: int
    answered: int = 0
    errors: int = 0
    drawn: set[int] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def work(self) -> None:
        """Send all runs, one after the other."""
        kept = connect(self.server) if self.name % 2 else None
        try:
            for number in range(self.runs):
                token = f"{self.name} {number}"
                event = {"token": token, "hold": HOLD if number % 100 == 50 else 0}
                connection = kept or connect(self.server)
                response = connection.run(event)
                self.judge(token, response)
                if kept is None or response.closes:
                    connection.close()
                if kept is not None and response.closes:  # an error may end its connection
                    kept = connect(self.server)
        except Exception as error:  # noqa: BLE001 - the thread has no other way to report it
            self.problems.append(f"client {self.name}: {type(error).__name__}: {error}")
        finally:
            if kept is not None:
                kept.close()

    def judge(self, token: str, response: Response) -> None:
        """Count an answer, and note what is wrong with it."""
        self.answered += 1
        answer = response.json()
        if response.error:
            self.errors += 1
        elif answer.get("token") != token or answer.get("found") or response.status != 200:
            self.problems.append(f"{token}: {response.status} {response.body[:200]!r}")
        else:
            self.drawn.add(answer["drawn"])


def leave_no_trace(
    server: Server,
    runs: int = 100_000,
    clients: int = 8,
    pause: float = 1.0,
    warm: int = 200,
) -> Outcome:
    """
    Have each run look for traces of others and leave its own; kill processes meanwhile.

    What is measured before and after is measured after ``warm`` runs.
    """
    outcome = Outcome(f"{runs} runs of {clients} clients, each in a process of its own")
    server.post(LEAVING)
    # All is there then that is made once, also after the death of a template.
    run_all(server, outcome, clients=2, runs=warm, pause=0.2)
    run_all(server, outcome, clients=2, runs=warm, pause=0.0)
    wait_for_rest(server)
    usual = control.processes(server)
    before = measure(server, usual)
    begun = time.monotonic()
    answered, errors, kills = run_all(server, outcome, clients, runs, pause)
    seconds = time.monotonic() - begun
    run_all(
        server, outcome, clients=2, runs=warm, pause=0.0
    )  # what stands ready is of one template
    wait_for_rest(server)
    after = measure(server, usual)
    for name in ("processes", "threads", "descriptors"):
        was, now = getattr(before, name), getattr(after, name)
        outcome.expect(now <= was, f"{name}: {was} before, {now} after")
    left = after.files - before.files
    outcome.expect(left <= FILES_OF_KILLED * kills, f"{left} files more after {kills} kills")
    grown = after.memory - before.memory
    outcome.expect(grown <= GROWTH_ALLOWED, f"memory grew by {grown >> 10} KB")
    outcome.expect(errors <= kills, f"{errors} errors after {kills} kills")
    outcome.result = (
        f"{answered} answered, {answered / seconds:.0f} in a second, {kills} processes killed, "
        f"{errors} errors for them; {after.processes} processes, {after.descriptors} descriptors, "
        f"{left:+} files, memory {grown / 1024:+.0f} KB"
    )
    return outcome


def wait_for_rest(server: Server) -> None:
    """
    Wait until no connection is open, and no worker runs or exits.

    The clients have closed their connections, but on a busy machine the server may not know it yet.
    """

    def is_at_rest(found: control.Status) -> bool:
        states = Counter(each["state"] for each in found["generation"]["workers"])
        return not found["connections"] and states == {"spare": 1, "serving": READY}

    control.wait_until(server, is_at_rest, "rest", timeout=30.0)


READY = 2
"""How many workers stand ready, if ``--workers`` is not given."""

FILES_OF_KILLED = 8
"""What a killed worker leaves, until another one gets its slot."""


def run_all(
    server: Server, outcome: Outcome, clients: int, runs: int, pause: float
) -> tuple[int, int, int]:
    """Run all clients; kill something every ``pause`` seconds. Return what was counted."""
    made = [Client(server, number, runs // clients) for number in range(clients)]
    threads = [threading.Thread(target=each.work) for each in made]
    for each in threads:
        each.start()
    kills = 0
    while any(each.is_alive() for each in threads):
        for each in threads:
            each.join((pause or 1.0) / clients)
        if pause and any(each.is_alive() for each in threads):
            kills += kill(server, KILLED[kills % len(KILLED)])
    drawn = set().union(*(each.drawn for each in made))
    answered, errors = sum(each.answered for each in made), sum(each.errors for each in made)
    outcome.problems += [problem for each in made for problem in each.problems]
    outcome.expect(answered == runs // clients * clients, f"{answered} of {runs} were answered")
    outcome.expect(len(drawn) == answered - errors, "two runs drew the same number")
    return answered, errors, kills


def kill(server: Server, what: str) -> int:
    """Kill a process of a kind, if there is one now; return how many."""
    if what == "template":
        found = (control.status(server)["template"] or {}).get("pid")
        pids = [found] if found else []
    else:
        pids = control.pids(server, what)
    for pid in pids[:1]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pids[:1])
