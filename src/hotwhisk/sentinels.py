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
import sys
from collections.abc import Callable
from typing import Any, cast

SENTINEL = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"
STREAMS = (1, 2)
NEWLINE = 0x0A
BOTH = 0b11
"""Both streams, as the ledger and `messages.Answer` count them: bit 0 stdout, bit 1 stderr."""


class Remembering(io.FileIO):
    """
    An output stream that knows whether its last line is complete.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.complete = True

    def write(self, data: Any, /) -> int:
        """
        Write, and look at the last byte.
        """
        # None, on a stream that does not block and is full: Python's buffer keeps the data.
        written: int | None = super().write(data)
        if written:
            self.complete = memoryview(data)[written - 1] == NEWLINE
        return cast("int", written)


class Sentinels:
    """
    The streams of a worker, and their ends. ``told`` hears which streams have theirs, as each
    gets it, so that somebody else can complete them should this process die in between.
    """

    def __init__(self) -> None:
        self._raw = {number: Remembering(number) for number in STREAMS}
        sys.stdout = sys.__stdout__ = self._text(1, line_buffering=False)  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._text(2, line_buffering=True)  # type: ignore[misc]

    def _text(self, number: int, *, line_buffering: bool) -> io.TextIOWrapper:
        buffer: io.BufferedWriter = io.BufferedWriter(self._raw[number])
        # UTF-8 whatever the locale: the platform's own launchers ask for it.
        return io.TextIOWrapper(
            buffer, encoding="utf-8", errors="backslashreplace", line_buffering=line_buffering
        )

    def write(self, told: Callable[[int], None]) -> None:
        """
        End the activation on both streams; they are flushed already.
        """
        done = 0
        for number in STREAMS:
            raw = self._raw[number]
            write_whole(number, SENTINEL if raw.complete else b"\n" + SENTINEL)
            raw.complete = True
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
    """
    Write to a stream that may be closed, or full for a while; what cannot be written is lost.
    """
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except OSError:
            return
