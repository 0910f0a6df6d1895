"""
The end of an activation, as OpenWhisk reads it from the logs.

After each activation one line goes to each output stream; whoever collects the logs reads up
to it. It has to be a line of its own: Kubernetes compares whole lines, and Docker drops what
shares its line. So an action that ended its output without a newline gets one, where that can
be known: what went through Python's own streams.

Source: the rules for logs of the OpenWhisk action interface.
"""

from __future__ import annotations

import io
import os
import select
import sys
from _thread import RLock
from collections.abc import Callable, Sequence
from errno import EBADF
from typing import Any, cast

SENTINEL = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"
STREAMS = (1, 2)
NEWLINE = 0x0A
BOTH = 0b11
"""Both streams, as the ledger and `messages.Answer` count them: bit 0 stdout, bit 1 stderr."""


class Remembering(io.FileIO):
    """
    An output stream that knows whether its last line is complete. Its end goes to ``kept``, a
    duplicate: the action may have closed the stream, or pointed it elsewhere.

    Threads of the action may print while an activation ends, so what was written and what is
    known of it change together. The lock is one that a signal handler may take again.
    """

    def __init__(self, descriptor: int, kept: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.complete = True
        self._kept = kept
        self._forget_threads()
        os.register_at_fork(after_in_child=self._forget_threads)

    def _forget_threads(self) -> None:
        """In a child that the action forked no thread is left that could give the lock back."""
        self._lock = RLock()

    def write(self, data: Any, /) -> int:
        """Write, and look at the last byte."""
        with self._lock:
            # None, on a stream that does not block and is full: Python's buffer keeps the data.
            written: int | None = super().write(data)
            if written:
                self.complete = memoryview(data)[written - 1] == NEWLINE
            return cast("int", written)

    def end(self) -> None:
        """
        Write the line that ends an activation, which must be a line of its own.

        Raises:
            OSError: the duplicate was closed; somebody else has to write that line.
        """
        with self._lock:
            try:
                _write(self._kept, SENTINEL if self.complete else b"\n" + SENTINEL)
            except OSError as error:
                if error.errno == EBADF:
                    raise
            self.complete = True


class Sentinels:
    """
    The streams of a worker, and their ends. ``told`` hears which streams have theirs, as each
    gets it, so that somebody else can complete them should this process die in between. ``kept``
    are duplicates of the standard descriptors.
    """

    def __init__(self, kept: Sequence[int]) -> None:
        self._raw = {number: Remembering(number, kept[number]) for number in STREAMS}
        sys.stdout = sys.__stdout__ = self._text(1, line_buffering=False)  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._text(2, line_buffering=True)  # type: ignore[misc]

    def _text(self, number: int, *, line_buffering: bool) -> io.TextIOWrapper:
        buffer: io.BufferedWriter = io.BufferedWriter(self._raw[number])
        # UTF-8 whatever the locale: the platform's own launchers ask for it.
        return io.TextIOWrapper(
            buffer, encoding="utf-8", errors="backslashreplace", line_buffering=line_buffering
        )

    def write(self, told: Callable[[int], None]) -> None:
        """End the activation on both streams; they are flushed already."""
        done = 0
        for number in STREAMS:
            self._raw[number].end()
            done |= number
            told(done)


def write_owed(owed: int) -> None:
    """
    End an activation whose worker died, on the streams in ``owed``. How its output ended nobody
    knows, so each end gets a newline before it, in the same write.
    """
    for number in STREAMS:
        if owed & number:
            write_whole(number, b"\n" + SENTINEL)


def write_whole(descriptor: int, data: bytes) -> None:
    """Write to a stream that may be closed, or full for a while; what cannot be written is lost."""
    try:
        _write(descriptor, data)
    except OSError:
        pass


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def write_at_once(descriptor: int, data: bytes) -> None:
    """
    Write to a stream whose reader may have stopped reading: there what has no room is lost, and
    nobody waits.
    """
    room = select.poll()
    room.register(descriptor, select.POLLOUT)
    for at in range(0, len(data), select.PIPE_BUF):  # so much goes into any that has room
        if not room.poll(0):
            return
        write_whole(descriptor, data[at : at + select.PIPE_BUF])
