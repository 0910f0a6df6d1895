"""
A server to which something happens at a file operation of the process that writes its history.

The kernel asks the test about each system call, as in `tests.support.failing`.
"""

from __future__ import annotations

import os
import signal
from enum import Enum
from pathlib import Path

from hotwhisk.server.history_writer import NAME

from .failing import Failing

CALLS = (
    "openat", "write", "fsync", "rename", "renameat", "renameat2", "unlink", "unlinkat",
)  # fmt: skip
"""The operations on files of the process that writes."""


class Happens(Enum):
    """What happens at a step, if the call does not fail."""

    KILL_SERVER = "kill -9 of the server"
    KILL_WRITER = "kill -9 of the process that writes"
    STOP_WRITER = "the process that writes stands still"


class Stepping(Failing):
    """
    A server with a method `at`, which says what happens at which step of the next history.

    ``steps`` has the calls that were made.
    """

    def __init__(self, *arguments: str) -> None:
        super().__init__(*arguments, calls=CALLS)
        self.steps: list[str] = []
        self.happened = False
        self._step = 0
        self._what: Happens | int = 0

    def at(self, step: int, what: Happens | int) -> None:
        """Let something happen at the nth call from now on; a number is the error of the call."""
        self.steps.clear()
        self._step, self._what, self.happened = step, what, False

    def _judge(self, pid: int, number: int) -> int:
        if pid == self.pid or not is_writer(pid):
            return 0
        self.steps.append(self._names[number])
        if len(self.steps) != self._step:
            return 0
        self.happened = True
        if isinstance(self._what, int):
            return self._what
        os.kill(pid, signal.SIGSTOP if self._what is Happens.STOP_WRITER else signal.SIGKILL)
        if self._what is Happens.KILL_SERVER:
            os.kill(self.pid, signal.SIGKILL)
        return 0


def is_writer(pid: int) -> bool:
    """Return whether a process is the one that writes the history."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n") == NAME
    except OSError:
        return False
