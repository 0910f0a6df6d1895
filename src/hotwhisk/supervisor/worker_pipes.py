"""The two pipes with the output of a worker, as the supervisor reads them without a wait."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from hotwhisk.ipc.run_marks import EndedRun, Found, MarkedStream

READ_SIZE = 16384
"""Most bytes that are read at once. Each may be a line of its own, of some 300 bytes in the log."""


class WorkerPipes:
    """The two pipes of a worker, and what was read of them."""

    def __init__(self, token: bytes, capacity: int, descriptors: Iterable[int], now: float) -> None:
        self.out, self.err = descriptors
        self.out_stream = MarkedStream(token, capacity, has_sent=False)
        self.err_stream = MarkedStream(token, capacity, has_sent=True)
        self.err_data: bytes | None = None
        """What was read of stderr, and waits until stdout is read up to that moment."""
        self.read_at = now
        """The time of the latest read."""

    @property
    def descriptors(self) -> tuple[int, int]:
        """Return the descriptors of both pipes."""
        return self.out, self.err

    def unanswered(self) -> dict[int, EndedRun]:
        """Return the runs whose answers are not known to be sent, by connection."""
        stream = self.err_stream
        return {number: EndedRun(run) for number, run in stream.runs.items()} | stream.unsent


def read_pipe(descriptor: int) -> bytes:
    """Read what is in a pipe, up to `READ_SIZE` bytes."""
    try:
        return os.read(descriptor, READ_SIZE)
    except BlockingIOError:
        return b""


def feed(stream: MarkedStream, data: bytes) -> list[Found]:
    """Return what new data of a stream contains. Without data, a line ends where no run is open."""
    if data:
        return stream.feed(data)
    return [] if stream.runs else stream.end()


def is_pipe(descriptor: int) -> bool:
    """Return whether a descriptor leads to a pipe."""
    return stat.S_ISFIFO(os.fstat(descriptor).st_mode)


def open_again(descriptor: int) -> int:
    """
    Return a non-blocking descriptor of the same pipe, which only this process can change.

    The given one is closed; it is used itself where the system has no /proc.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        again = os.open(f"/proc/self/fd/{descriptor}", flags)
    except OSError:
        os.set_blocking(descriptor, False)
        return descriptor
    os.close(descriptor)
    return again
