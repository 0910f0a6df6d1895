"""
Write the end of an activation, as OpenWhisk reads it from the logs, to the streams of a worker.

After each activation one line goes to each output stream. The program that collects the logs reads
up to that line. It has to be a line of its own: Kubernetes compares whole lines, and Docker drops
other text on the same line. So if an action ended its output without a newline, it gets one. This
works for output that went through Python's own streams.

Each line that an action prints is written at once, so that it is in the log however the process
ends.

Source: the rules for logs of the OpenWhisk action interface.
"""

from __future__ import annotations

import io
import os
import sys
from _thread import RLock
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from errno import ECONNRESET, EDQUOT, EFBIG, EIO, ENOSPC, EPIPE
from select import PIPE_BUF, POLLOUT, poll

from hotwhisk.system.output import NEWLINE, STREAMS, WRITE_TIMEOUT, Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final


BOTH: Final = 0b11
"""Both streams, as a bit mask in the scoreboard and in `messages.SendError`: 1 stdout, 2 stderr."""

LOST: Final = frozenset({EPIPE, ECONNRESET, ENOSPC, EDQUOT, EFBIG, EIO})
"""Errors of a log that cannot be written. The line is lost; the run that printed it goes on."""

NAMES: Final = {1: "<stdout>", 2: "<stderr>"}


class LineTracker(io.FileIO):
    """
    An output stream whose `Output` knows whether its last line is complete.

    The end of an activation goes to that `Output`, because the action may have closed this stream
    or pointed it elsewhere.

    Threads of the action may print while an activation ends, so the output and the record of it
    change together. A signal handler may take the lock again.
    """

    def __init__(self, descriptor: int, output: Output) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.output = output
        self.patient = True
        """Whether a write waits until there is room, as a program expects."""
        self._state = output.state
        self._forget_threads()
        os.register_at_fork(after_in_child=self._forget_threads)

    def _forget_threads(self) -> None:
        """
        Make a new lock, in a child that the action forked too.

        The child has no other thread, so a lock that another thread held would never be released.
        """
        self._lock = RLock()

    def write(self, data: Any, /) -> int:
        """Write all of ``data``, and remember the last byte."""
        whole = data if type(data) is bytes else memoryview(data).tobytes()
        length = len(whole)
        if not length:
            return 0
        with self._lock:
            if whole[-1] != NEWLINE or length > PIPE_BUF:
                self._state.open_line = True  # the write may be cut short
            if not self.patient:
                self.output.write(whole)
                return length
            try:
                written = super().write(whole)
                if written != length:
                    self._write_rest(memoryview(whole)[written or 0 :])
            except OSError as error:
                if error.errno not in LOST:
                    raise
                self._state.drop(length)
                return length
            self._state.wrote(whole[-1])
        return length

    def _write_rest(self, rest: memoryview) -> None:
        """Write the rest after a signal, or after a program made the stream non-blocking."""
        room = poll()
        room.register(self.fileno(), POLLOUT)
        while rest:
            room.poll()
            rest = rest[super().write(rest) or 0 :]

    def end(self, timeout: float = WRITE_TIMEOUT) -> bool:
        """
        End an activation; return False if its last line could not be written, which is counted.

        Raises:
            OSError: the duplicate was closed; another process has to write that line.
        """
        if not self._lock.acquire(False) and not self._lock.acquire(timeout=timeout):
            self._state.drop(0, sentinels=1)  # a thread waits for room and keeps the lock
            return False
        try:
            return self.output.end(timeout)
        finally:
            self._lock.release()


class Sentinels:
    """
    The streams of a worker, and the ends of its activations. ``outputs`` are the streams that it
    was started with. If ``utf8``, they use the platform's encoding, not the locale's.
    """

    def __init__(self, outputs: Mapping[int, Output], *, utf8: bool) -> None:
        self._raw = {number: LineTracker(number, outputs[number]) for number in STREAMS}
        sys.stdout = sys.__stdout__ = self._text(1, sys.stdout, utf8=utf8)  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._text(2, sys.stderr, utf8=utf8)  # type: ignore[misc]

    def _text(self, number: int, old: Any, *, utf8: bool) -> io.TextIOWrapper:
        # UTF-8 whatever the locale: the platform's own launchers ask for it.
        encoding, errors = ("utf-8", "backslashreplace") if utf8 else (old.encoding, old.errors)
        raw: Any = self._raw[number]
        raw.name = NAMES[number]
        text = io.TextIOWrapper(
            raw,
            encoding=encoding,
            errors=errors,
            line_buffering=True,
            write_through=not utf8 and getattr(old, "write_through", False),  # for python -u
        )
        text.mode = "w"  # type: ignore[misc]  # as Python's own streams have it
        return text

    def write(self, on_written: Callable[[int], None]) -> None:
        """
        End the activation on both streams, which are flushed already.

        ``on_written`` is called after each stream with the streams that have their end so far. If
        this process exits in between, another process can write the rest.
        """
        timeout = WRITE_TIMEOUT  # one limit for both, because they are often the same pipe
        done = 0
        for number in STREAMS:
            if not self._raw[number].end(timeout):
                timeout = 0.0
            done |= number
            on_written(done)


def write_missing(outputs: Mapping[int, Output], missing: int) -> None:
    """End the activation of a worker that exited, on the streams in ``missing``."""
    timeout = WRITE_TIMEOUT
    for number in STREAMS:
        if missing & number and not outputs[number].end_for_exited(timeout):
            timeout = 0.0


@contextmanager
def bounded() -> Iterator[None]:
    """
    Limit the time that writes to the action's streams may wait for room.

    This is for our own lines, and for the last lines of the action. Bytes that find no room for
    `WRITE_TIMEOUT` seconds are dropped and counted.
    """
    raws = [
        raw
        for raw in (getattr(stream, "buffer", None) for stream in (sys.stdout, sys.stderr))
        if isinstance(raw, LineTracker)
    ]
    for raw in raws:
        raw.patient = False
    try:
        yield
    finally:
        for raw in raws:
            raw.patient = True
