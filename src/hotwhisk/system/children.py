"""Find the children of this process, describe how each one ended, and kill orphans."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from os import getpid

from hotwhisk.record import Record


class ExitStatus(Record):
    """The end of a process: by ``signal`` if that is not 0, else with exit ``status``."""

    signal: int = 0
    status: int = 0

    @classmethod
    def of_result(cls, result: os.waitid_result) -> ExitStatus:
        """Return the end that a result of ``os.waitid`` describes."""
        if result.si_code == os.CLD_EXITED:
            return cls(status=result.si_status)
        return cls(signal=result.si_status)

    def __str__(self) -> str:
        """Return the end as a text such as "signal 9 (SIGKILL)" or "exit status 3"."""
        if not self.signal:
            return f"exit status {self.status}"
        try:
            return f"signal {self.signal} ({signal.Signals(self.signal).name})"
        except ValueError:
            return f"signal {self.signal}"


def children(of: int = 0) -> list[int]:
    """Return the process ids of a process's children, including adopted ones; of ours for 0."""
    parent = of or getpid()
    try:
        with open(f"/proc/{parent}/task/{parent}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return [pid for pid in _all_processes() if _parent(pid) == parent]


def pid_of(pidfd: int) -> int:
    """
    Return the id of the process behind a pidfd; -1 if it is dead, 0 if this is not a pidfd.

    Raises:
        OSError: no descriptor is free to read the id with.
    """
    with open(f"/proc/self/fdinfo/{pidfd}") as file:
        found = [line.split()[1] for line in file if line.startswith("Pid:")]
    return int(found[0]) if found else 0


def _all_processes() -> list[int]:
    try:
        return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    except OSError:  # out of descriptors: the next death looks again
        return []


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def kill_orphans(belongs: Callable[[int], bool]) -> bool:
    """
    Kill every child for whose process id ``belongs`` is true, without waiting for its end.

    Returns True if there was one. When it ends, its own children become children of this process.
    """
    killed = False
    for pid in filter(belongs, children()):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue  # it has ended, or runs as another user
        killed = True
    return killed


def end_orphans(belongs: Callable[[int], bool]) -> None:
    """
    Kill and reap every child for whose process id ``belongs`` is true.

    When a child ends, its own children may become children of this process. So this is repeated
    until there are no new ones.
    """
    seen: set[int] = set()
    while fresh := [pid for pid in children() if pid not in seen]:
        seen.update(fresh)
        for pid in filter(belongs, fresh):
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except OSError:
                pass
