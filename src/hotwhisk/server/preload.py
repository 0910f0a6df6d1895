"""
Import libraries once, in the supervisor (``--preload``), so that a forked worker has them.

The supervisor never runs user code. A library that the user names is the one exception, and it is
tested first: it is imported in a forked child. If the import ends that child, hangs, or leaves
threads, only the child is affected. Threads do not survive a fork, and the locks that they hold
stay locked. So a library that starts threads is left out, and its name is logged. numpy's own
thread pool is an exception: it ends before a fork and starts again on both sides.

Two workers forked from the same memory would draw the same random numbers. Python's ``random``
reseeds itself after a fork. numpy's old global generator does not, so each worker seeds it again.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
from collections.abc import Collection

from hotwhisk.action.action import print_error
from hotwhisk.record import Record
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.system.children import children
from hotwhisk.system.system import System
from hotwhisk.worker.own_process import exit_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from hotwhisk.supervisor.parts import Log


FORK_SAFE = frozenset({"numpy", "pandas", "scipy"})
"""
Libraries whose only threads are those of OpenBLAS.

OpenBLAS ends them before a fork by ``pthread_atfork`` handlers of its own.
"""

GENERATOR = "numpy.random"
END_LIMIT = 2.0
"""Seconds that a killed process may take to end."""

TRIAL = "hotwhisk:try"
"""The name in ``ps`` of the child, and of processes that it leaves behind."""


class ImportTrial(Record):
    """The result of the import of a library in a child process."""

    problem: str = ""
    threads: int = 1
    processes: int = 0
    grown: int = 0
    """Bytes by which the memory of the child grew."""


def preload(names: Collection[str], system: System, timeout: float, log: Log) -> None:
    """
    Import the libraries that can be imported in a child within ``timeout`` seconds.

    Log each result. Under OpenWhisk nothing is logged, so `status` lists the libraries that were
    left out as well.
    """
    for name in names:
        trial = _try(name, system, timeout)
        problem = _problem(name, trial) or _import(name)
        if problem:
            system.weaknesses.append(f"--preload {name}: left out: {problem}")
            log(system.weaknesses[-1], LogEvent.LEFT_OUT)
        else:
            log(f"preloaded {name}: {trial.grown / 1e6:.0f} MB", LogEvent.PRELOADED)
    if names:
        system.trim_memory()
    supervisor, generator = os.getpid(), sys.modules.get(GENERATOR)
    if generator is not None:
        # Only in our own forks. If an action seeds numpy and then forks, it wants the same numbers
        # in each child.
        os.register_at_fork(
            after_in_child=lambda: generator.seed() if os.getppid() == supervisor else None
        )


def _import(name: str) -> str:
    """Import a library; return the error if it fails here, though it succeeded in the child."""
    try:
        importlib.import_module(name)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _problem(name: str, trial: ImportTrial) -> str:
    """Return why a library is left out; empty if it is not."""
    if trial.problem:
        return trial.problem
    if trial.processes:
        return (
            f"it starts {trial.processes} processes when it is imported, and the supervisor has "
            "no others than its workers; let the action import it"
        )
    if trial.threads > 1 and name.partition(".")[0] not in FORK_SAFE:
        return (
            f"it starts {trial.threads - 1} threads when it is imported, and threads do not "
            "survive a fork; let the action import it"
        )
    return ""


def _try(name: str, system: System, timeout: float) -> ImportTrial:
    """Import a library in a child, and return the child's report."""
    try:
        ours, theirs = os.pipe()
    except OSError as error:
        return ImportTrial(f"it cannot be tried: {error.strerror}")
    try:
        pid, pidfd = system.fork(lambda: _import_in_child(name, theirs), TRIAL)
    except OSError as error:
        os.close(ours)
        return ImportTrial(f"it cannot be tried: {error.strerror}")
    finally:
        os.close(theirs)
    try:
        # The library may have given the pipe to a child process of its own. So wait for the exit
        # too.
        ready, _, _ = select.select([ours, pidfd], [], [], timeout)
        if not ready:
            return ImportTrial(f"it was not imported within {timeout:g} s")
        os.set_blocking(ours, False)
        try:
            report = os.read(ours, 65536)
        except BlockingIOError:
            report = b""
        if report:
            return ImportTrial(**json.loads(report))
        if not select.select([pidfd], [], [], timeout)[0]:
            return ImportTrial("it closes what is not its own, and stays")
        return ImportTrial(f"it ends the process that imports it, with {system.ended(pidfd)}")
    finally:
        os.close(ours)
        _end(pid, pidfd, system)


def _end(pid: int, pidfd: int, system: System) -> None:
    """End the child, if it has not ended, and the processes that it started."""
    system.kill(pidfd)
    select.select([pidfd], [], [], END_LIMIT)
    system.kill_group(pid)
    deadline = system.now() + END_LIMIT
    while system.kill_orphans(pid, TRIAL, {pid}) and system.now() < deadline:
        system.reap_orphans({pid})
        select.select([], [], [], 0.001)  # the processes are killed and end within moments
    system.reap(pidfd)
    os.close(pidfd)


def _import_in_child(name: str, report: int) -> NoReturn:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    before = _resident()
    result: dict[str, object]
    try:
        importlib.import_module(name)
        result = {
            "threads": len(os.listdir("/proc/self/task")),
            "processes": len(children()),
            "grown": _resident() - before,
        }
    except SystemExit:
        exit_now(1)
    except ImportError as error:
        result = {"problem": f"it cannot be imported: {error}"}
    except BaseException as error:  # boundary: code of others ran
        print_error(error)
        result = {"problem": f"it raised {type(error).__name__} when it was imported: {error}"}
    os.write(report, json.dumps(result).encode())
    exit_now(0)


def _resident() -> int:
    """Return how many bytes of memory this process has."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
