"""
The output of a program, on its way to the server's own streams.

It passes through here where ends of activations are written to those streams, because only a
reader knows whether the last line was complete. docs/decisions.md says what was rejected.

What is lost if this process is killed is what the program wrote in the microseconds before,
since waiting for an answer is waiting for output as well.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
import termios
from typing import TYPE_CHECKING, Final, cast

from hotwhisk.openwhisk.sentinels import bounded

if TYPE_CHECKING:
    from io import BufferedWriter

    from hotwhisk.system.loop import Loop

STREAMS: Final = (1, 2)
READ_SIZE: Final = 65536


class Relay:
    """
    The reading ends of a program's output. ``writing`` are the ends for the program, by the
    number of the stream they stand for; whoever starts it closes them here.
    """

    def __init__(self, poll: select.poll) -> None:
        self._poll = poll
        self._loop: Loop | None = None
        self.writing: dict[int, int] = {}
        self.reading: dict[int, int] = {}
        for stream in STREAMS:
            reading, writing = os.pipe()
            os.set_blocking(reading, False)
            self.reading[reading], self.writing[stream] = stream, writing
            poll.register(reading, select.POLLIN)

    def attend(self, loop: Loop) -> None:
        """Pass output on whenever there is some, between requests as well."""
        self._loop = loop
        for descriptor in self.reading:
            loop.watch(descriptor, lambda descriptor=descriptor: self.pass_on(descriptor))  # type: ignore[misc]

    def hear(self, ready: dict[int, int]) -> None:
        """Pass on the output that is there on the streams that are ``ready``."""
        for descriptor in self.reading.keys() & ready.keys():
            self.pass_on(descriptor)

    def pass_on(self, descriptor: int) -> None:
        """
        All that is there now, and not what comes meanwhile: a program that never stops printing
        would never be answered for.
        """
        data = os.read(descriptor, unread(descriptor) or 1)
        if data:
            write(self.reading[descriptor], data)
        else:
            self._poll.unregister(descriptor)
            self._close(descriptor)

    def close(self) -> None:
        """Pass on the last of the output, when no process is left that could write more."""
        for descriptor in list(self.reading):
            try:
                while data := os.read(descriptor, READ_SIZE):
                    write(self.reading[descriptor], data)
            except BlockingIOError:
                pass  # somebody is left after all
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        if self._loop is not None:
            self._loop.unwatch(descriptor)
        del self.reading[descriptor]
        os.close(descriptor)


def unread(descriptor: int) -> int:
    """Return how many bytes are in a pipe, asked at either end."""
    there = bytearray(4)
    fcntl.ioctl(descriptor, termios.FIONREAD, there)
    return int.from_bytes(there, sys.byteorder)


def write(stream: int, data: bytes) -> None:
    """
    Write to the server's own stream, where the last byte is remembered.

    Bytes that are not read within a moment are dropped. Otherwise a worker that waits between
    requests would look stuck.
    """
    with bounded():
        cast("BufferedWriter", (sys.stdout if stream == 1 else sys.stderr).buffer).write(data)
