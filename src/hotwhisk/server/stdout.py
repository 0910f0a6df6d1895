"""
Keep standard output for the log, if that is JSON.

What else the supervisor's process prints goes to standard error: a library of ``--preload``, or
Python itself if there is a bug in hotwhisk.
"""

from __future__ import annotations

from fcntl import F_DUPFD_CLOEXEC, fcntl
from os import dup2

from hotwhisk.system.line_writer import LineWriter
from hotwhisk.system.output import STATE_SIZE, StreamState

FIRST = 3
"""The lowest number of a descriptor that is no standard stream."""


def take_stdout() -> LineWriter:
    """Return a writer to standard output, to which nothing else of this process writes then."""
    kept = fcntl(1, F_DUPFD_CLOEXEC, FIRST)
    dup2(2, 1)
    return LineWriter(kept, StreamState(memoryview(bytearray(STATE_SIZE))), FIRST)
