"""
Prove that trials cost no caller anything, find what differs, and refuse nothing else.

First the load of `replacement`, in which each version becomes current by a trial, after a trial has
refused another one. Then trials of versions of which one answer in fifty differs: each is refused
exactly if one of its copies was such a request, which the version itself counts. Trials of versions
that answer alike are never refused. At last each party of a trial is killed in the middle of it.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

from tests.process import control
from tests.support.load import Plan, run_load
from tests.support.server import Server
from tests.support.trial import Posted, Traffic, post_trial, trial_request
from tests.support.wire import Response

from .outcome import Outcome, connect

COPIES = 256
MANY = 500
"""Copies of a trial in the middle of which a process is killed."""

FAULT = 50
"""One request in so many gets another answer from a version with a fault."""

LATE = 30.0
DIED = (
    '502 b\'{"error":"killed by signal 9',
    '502 b\'{"error":"the worker that was reading this request died',
)
"""What a caller is told whose request was with a killed worker."""

ECHO = "def main(event):\n    return {'sum': event['client'] + event['call']}\n# version %d\n"
FAULTY = """\
def main(event):
    number = event['client'] + event['call']
    if (event['client'] * 7919 + event['call'] * 104729) %% {fault} == 7:
        with open({path!r}, 'a') as file:
            file.write('x')
        return {{'sum': -number}}
    return {{'sum': number}}
# version %d
"""


class Versions:
    """The versions that are posted to one server, each with a number of its own."""

    def __init__(self, server: Server, outcome: Outcome, clients: int) -> None:
        self.server = server
        self.outcome = outcome
        self.clients = clients
        self._number = 0

    def next(self, source: str) -> str:
        """Return a source with the next number, so that its digest is another one."""
        self._number += 1
        return source % self._number

    def tried(self, source: str) -> Response:
        """Try a version under load; each caller must be answered by the current one."""
        with Traffic(self.server.address, self.clients) as traffic:
            response = post_trial(self.server.address, self.next(source), copies=COPIES)
        self.outcome.problems += traffic.problems
        return response

    def wait_trial(self, least: int = 20) -> int:
        """Wait until so many copies were compared; return the process of the new version."""
        control.wait_until(
            self.server,
            lambda found: found["trial"] and found["trial"]["compared"] >= least,
            "a trial",
            LATE,
        )
        return control.pid(self.server, "trial")


def try_versions(
    server: Server, clients: int = 64, replacements: int = 50, trials: int = 100, kills: int = 10
) -> Outcome:
    """Replace by trials under load, look for faults, and kill; see the header of this module."""
    outcome = Outcome(f"{clients} clients, {2 * replacements + 2 * trials + 4 * kills} trials")
    told = [replace_by_trials(server, outcome, clients, replacements)]
    versions = Versions(server, outcome, clients)
    server.post(versions.next(ECHO))
    told.append(find_faults(versions, trials))
    told.append(pass_equals(versions, trials))
    for _ in range(kills):
        for kill in (kill_new, kill_old, kill_spare, leave):
            with outcome.trying(kill.__name__):
                kill(versions)
    outcome.result = "; ".join([*told, f"{kills} kills of each party"])
    return outcome


def replace_by_trials(server: Server, outcome: Outcome, clients: int, replacements: int) -> str:
    """Replace under load; nothing is refused, lost, stale or wrong."""
    server.replace(1)
    host, port = server.address
    command = f"{sys.executable} -m tests.prove.trial_step {host} {port} {{n}}"
    plan = Plan(server.address, clients, replacements, command=command, deadline=600.0)
    result = run_load(plan)
    outcome.problems += result.problems(plan)
    return (
        f"{result.answered} answered, {result.refused} refused, {result.lost} lost, "
        f"{result.stale} stale, {result.wrong} wrong"
    )


def find_faults(versions: Versions, trials: int) -> str:
    """Try versions with a fault; each is refused exactly if a copy of a faulty request was run."""
    found = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(trials):
            seen = Path(folder) / str(number)
            response = versions.tried(FAULTY.format(fault=FAULT, path=str(seen)))
            refused = response.status == 409
            found += refused
            versions.outcome.expect(
                refused is seen.exists(),
                f"a fault was {'' if seen.exists() else 'not '}copied: {response.body[:300]!r}",
            )
            if not refused:
                versions.server.post(versions.next(ECHO))
    versions.outcome.expect(found >= 0.9 * trials - 1, f"only {found} of {trials} faults are found")
    return f"a fault in one of {FAULT} is found in {found} of {trials} trials of {COPIES}"


def pass_equals(versions: Versions, trials: int) -> str:
    """Try versions that answer alike; none is refused."""
    refused = 0
    for _ in range(trials):
        response = versions.tried(ECHO)
        refused += not versions.outcome.expect(response.status == 200, f"{response.body[:300]!r}")
    return f"{refused} of {trials} versions without a difference refused"


def kill_new(versions: Versions) -> None:
    """Kill the version on trial: it is refused, and no caller notices."""
    server, outcome = versions.server, versions.outcome
    with Traffic(server.address, versions.clients) as traffic:
        posted = Posted(server.address, versions.next(ECHO), copies=10**6)
        os.kill(versions.wait_trial(), signal.SIGKILL)
        response = posted.verdict()
    outcome.problems += traffic.problems
    ended = response.status == 409 and "was ended by signal 9" in str(response.error)
    outcome.expect(ended, f"the new one was killed: {response.status} {response.body[:300]!r}")


def kill_old(versions: Versions) -> None:
    """Kill the current version in a trial: only what it ran is lost, and the trial goes on."""
    problems = _kill_during(versions, "serving")
    versions.outcome.problems += [each for each in problems if not each.startswith(DIED)]
    versions.outcome.expect(len(problems) <= 4, f"{len(problems)} requests died with it")


def kill_spare(versions: Versions) -> None:
    """Kill the spare in a trial: nothing comes of it."""
    versions.outcome.problems += _kill_during(versions, "spare")


def _kill_during(versions: Versions, state: str) -> list[str]:
    """Kill what has a state in a trial, which must pass; return what was wrong for callers."""
    server = versions.server
    with Traffic(server.address, versions.clients) as traffic:
        posted = Posted(server.address, versions.next(ECHO), copies=MANY)
        versions.wait_trial()
        for pid in control.pids(server, state):
            os.kill(pid, signal.SIGKILL)
        response = posted.verdict()
    text = f"a {state} worker was killed: {response.body[:300]!r}"
    versions.outcome.expect(response.status == 200, text)
    return traffic.problems


def leave(versions: Versions) -> None:
    """Close the connection of the /init in a trial: the trial goes on, and the version passes."""
    server, outcome = versions.server, versions.outcome
    before = control.status(server)["generation"]["number"]
    with Traffic(server.address, versions.clients) as traffic:
        with connect(server) as connection:
            connection.send(trial_request(versions.next(ECHO), copies=MANY))
            versions.wait_trial()
        control.wait_until(
            server,
            lambda found: not found["trial"] and found["generation"]["number"] > before,
            "a version whose sender has left",
            LATE,
        )
    outcome.problems += traffic.problems
