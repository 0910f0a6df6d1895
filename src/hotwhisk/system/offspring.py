"""The children of this process: how one ended, which there are, and an end to those left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from os import getpid
from typing import NamedTuple


class Ending(NamedTuple):
    """How a process ended: by ``signal`` if that is not 0, else by exit ``status``."""

    signal: int = 0
    status: int = 0

    @classmethod
    def of(cls, result: os.waitid_result) -> Ending:
        """What ``os.waitid`` says of it."""
        if result.si_code == os.CLD_EXITED:
            return cls(status=result.si_status)
        return cls(signal=result.si_status)

    def __str__(self) -> str:
        """Name it as in "signal 9 (SIGKILL)" or "exit status 3"."""
        if not self.signal:
            return f"exit status {self.status}"
        try:
            return f"signal {self.signal} ({signal.Signals(self.signal).name})"
        except ValueError:
            return f"signal {self.signal}"


def children() -> list[int]:
    """Process ids of this process's children, also of those it adopted."""
    me = getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return [pid for pid in _all_processes() if _parent(pid) == me]


def pid_of(pidfd: int) -> int:
    """
    Return the id of the process behind a pidfd, -1 if it is dead; 0 if that is no pidfd.

    Raises:
        OSError: there is no descriptor to read that with.
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
    Kill every child that ``belongs``, by its process id, without waiting for its end. True if
    there was one: with its end its own children come here.
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
    Kill and reap every child that ``belongs``, by its process id. Killing one can bring its own
    children here, so this looks until nothing is new.
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
