"""
Prove that each system call of the supervisor can fail once, with each of its errors.

The errors come from the kernel, by a filter that this process answers: see `tests.support.failing`.
A round is a small history of everything a supervisor does: connections, half a request, the death
of a worker, a replacement, a question on the control socket. In each round one call fails, the
first of its name, then the second, and so on for as long as the history has one more.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from errno import (
    EACCES,
    EAGAIN,
    ECHILD,
    ECONNABORTED,
    ECONNRESET,
    EMFILE,
    ENFILE,
    ENOBUFS,
    ENOMEM,
    ENOSPC,
    ENOTCONN,
    EPERM,
    EPIPE,
    EPROTO,
    ESRCH,
    ETOOMANYREFS,
    errorcode,
)  # fmt: skip

from tests.process import control
from tests.support import tree
from tests.support.client import Connection, Lost, init_once
from tests.support.failing import Failing
from tests.support.wire import Response, run_request

from .outcome import Outcome, ask, connect

NO_DESCRIPTOR = (EMFILE, ENFILE, ENOMEM)
ERRORS: dict[str, tuple[int, ...]] = {
    "accept4": (*NO_DESCRIPTOR, ENOBUFS, ECONNABORTED, EPROTO, EPERM, EAGAIN),
    "socketpair": NO_DESCRIPTOR,
    "clone": (EAGAIN, ENOMEM),
    "pidfd_open": (*NO_DESCRIPTOR, ESRCH),
    "pidfd_send_signal": (EPERM,),
    "waitid": (ECHILD,),
    "wait4": (ECHILD,),
    "kill": (EPERM, ESRCH),
    "epoll_ctl": (ENOMEM, ENOSPC),
    "sendmsg": (EAGAIN, ENOBUFS, ENOMEM, ETOOMANYREFS, EPERM, EPIPE),
    "sendto": (EAGAIN, ENOBUFS, ENOMEM, EPERM),
    "recvmsg": (EAGAIN, ENOBUFS, ENOMEM),
    "recvfrom": (EAGAIN, ENOMEM, ECONNRESET),
    "shutdown": (ENOTCONN,),
    "getsockopt": (ENOBUFS, ENOMEM),
    "setsockopt": (ENOBUFS, ENOMEM),
    "getsockname": (ENOBUFS,),
    "getpeername": (ENOBUFS,),
    "openat": (*NO_DESCRIPTOR, EACCES),
    "membarrier": (EPERM,),
    "madvise": (ENOMEM,),
    "poll": (ENOMEM,),
}
"""
The errors that each call can give. Two kinds are left out: errors that only a mistake of the caller
causes (EBADF, EINVAL), and errors that say that a process is dead, because here it lives (ESRCH for
a pidfd, a channel that is reset).
"""

NO_ROLL_BACK = ("--crash-count", "100000")

SOURCE = """\
import os, subprocess, time
until = time.process_time() + {work}
while time.process_time() < until:
    pass

def main(event):
    if event.get("leave"):  # a process that outlives this one
        subprocess.Popen(["sleep", "60"], start_new_session=True)
    return {{"version": {version}, "pid": os.getpid()}}
"""
BROKEN = "def main(event:\n"
WORK = 0.04
"""Seconds that the import of every other version takes, so that it leaves a template."""


def source(version: int) -> str:
    """Return the source of a version that answers with its number."""
    return SOURCE.format(version=version, work=WORK * (version % 2))


def fail_each_call(most: int = 100) -> Outcome:
    """Run rounds in which one call fails, at most ``most`` for each call and error."""
    outcome = Outcome(f"{sum(map(len, ERRORS.values()))} errors of {len(ERRORS)} system calls")
    failed, given_up, version = 0, 0, 1
    with Failing(*NO_ROLL_BACK) as server:
        server.post(source(version))
        for _ in range(2):  # what the first rounds open stays open
            version = History(server, outcome, version, "the first round").run()
        before = len(tree.descriptors(server.pid))
        for call, errors in ERRORS.items():
            for error in errors:
                for nth in range(1, most + 1):
                    what = f"{call} {nth}: {errorcode[error]}"
                    server.fail(call, error, nth)
                    history = History(server, outcome, version, what)
                    version = history.run()
                    if not server.has_failed:
                        break
                    failed += 1
                    given_up += history.given_up
                    if not history.settle() or len(outcome.problems) > 20:
                        outcome.problems.append(server.stderr()[-2000:])
                        return outcome
        after = len(tree.descriptors(server.pid))
        outcome.expect(after <= before + 2, f"{after} descriptors, {before} before")
        outcome.expect("Traceback" not in server.stderr(), server.stderr()[-2000:])
        server.terminate()
        outcome.expect(server.wait(10.0) == 0, "it did not stop")
    outcome.result = (
        f"{failed} calls failed; {given_up} requests were told of it, none lost or stale"
    )
    return outcome


class History:
    """
    One round on a server that has ``version`` current.

    ``given_up`` counts the requests that were answered with an error of the server's.
    """

    def __init__(self, server: Failing, outcome: Outcome, version: int, what: str) -> None:
        self.server = server
        self.outcome = outcome
        self.version = version
        self.what = what
        self.given_up = 0
        self._ended: set[Connection] = set()

    def run(self) -> int:
        """Run the whole round, and return the current version after it."""
        with self.outcome.trying(self.what), connect(self.server) as kept:
            pid = self._run(kept, leave=True)
            with connect(self.server) as slow:
                request = run_request({"token": "x" * 5000})
                slow.send(request[:-2000])
                self._ask()  # then the half that came is read
                if pid:
                    with suppress(ProcessLookupError):  # the call that failed may have ended it
                        os.kill(pid, signal.SIGKILL)
                self._run(kept)
                self._refuse()
                self._replace()
                slow.send(request[-2000:])
                self._judge(slow.read_response())
            with connect(self.server) as fresh:
                self._run(fresh)
                self._run(fresh)
        return self.version

    def settle(self) -> bool:
        """Return whether the same supervisor serves again, with one worker and a spare."""
        problems = len(self.outcome.problems)
        with self.outcome.trying(f"after {self.what}"):
            self.outcome.expect_version(f"after {self.what}", ask(self.server), self.version)
            try:
                found = control.wait_until(self.server, is_whole, self.what)
            except (AssertionError, ValueError, OSError) as error:
                self.outcome.problems.append(f"{self.what}: {type(error).__name__}: {error}")
                return False
            self.outcome.expect(found["pid"] == self.server.pid, f"{self.what}: another supervisor")
        return len(self.outcome.problems) == problems

    def _run(self, connection: Connection, **event: object) -> int:
        """Send one request, and return the process id of the worker that answered it, or 0."""
        ended = connection in self._ended  # its last answer said so: a client opens another one
        response = ask(self.server, **event) if ended else connection.run(event)
        if response.closes:
            self._ended.add(connection)
        self._judge(response)
        return int(response.json().get("pid", 0))

    def _judge(self, response: Response) -> None:
        """Expect an answer of the current version, or an error that says what happened."""
        if response.status == 200:
            self.outcome.expect_version(self.what, response, self.version)
        else:
            self.outcome.expect_error(self.what, response)
            self.given_up += 1

    def _replace(self) -> None:
        """Post the next version. If it is refused, the current version must stay."""
        try:
            response = init_once(self.server.address, source(self.version + 1))
        except Lost:
            # The supervisor could not write the answer, and has ended the connection, so that no
            # other answer can be taken for this one. The next answer says which version is current.
            self.given_up += 1
            self.version += ask(self.server).value("version") != self.version
            return
        if response.status == 200:
            self.version += 1
        else:
            self.outcome.expect_error(self.what, response)
            self.given_up += 1

    def _refuse(self) -> None:
        """Post a version that cannot be loaded, so that its process is killed."""
        try:
            self.outcome.expect_error(self.what, init_once(self.server.address, BROKEN))
        except Lost:  # as in `_replace`
            self.given_up += 1

    def _ask(self) -> None:
        """Ask for the status. If the question cannot be read or answered, the next one must be."""
        for _ in range(2):
            try:
                if "pid" in control.status(self.server):
                    return
            except (ValueError, OSError):
                continue
        self.outcome.problems.append(f"{self.what}: no answer to a question")


def is_whole(found: control.Status) -> bool:
    """Return whether one worker serves, a spare waits, and both have a process."""
    workers = found["generation"]["workers"]
    states = sorted(each["state"] for each in workers)
    return states == ["serving", "spare"] and all(each["pid"] for each in workers)
