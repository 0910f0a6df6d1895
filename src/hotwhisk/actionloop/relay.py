"""
Copy the output of a program to the server's own streams.

This is done under OpenWhisk, where the server writes a sentinel to these streams after each
activation. Only a reader of the output knows whether its last line is complete.

If this process is killed, only the output of the last microseconds is lost, because a wait for a
response is also a wait for output.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
import termios

from hotwhisk.openwhisk.sentinels import bounded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from hotwhisk.system.loop_protocol import Loop

STREAMS: Final = (1, 2)
READ_SIZE: Final = 65536


class Relay:
    """
    Holds the pipes for a program's output.

    ``writing`` has the ends for the program, by the numbers of the streams. The code that starts
    the program closes them in this process.
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

    def watch(self, loop: Loop) -> None:
        """Copy output whenever there is some, between requests too."""
        self._loop = loop
        for descriptor in self.reading:
            loop.watch(descriptor, lambda descriptor=descriptor: self.copy(descriptor))  # type: ignore[misc]

    def copy_ready(self, ready: dict[int, int]) -> None:
        """Copy the output of the streams that are ``ready``."""
        for descriptor in self.reading.keys() & ready.keys():
            self.copy(descriptor)

    def copy(self, descriptor: int) -> None:
        """
        Copy the output that is in the pipe now, and not what arrives meanwhile.

        Otherwise a program that never stops printing would never get its response sent.
        """
        try:
            data = os.read(descriptor, unread(descriptor) or 1)
        except BlockingIOError:
            return  # it was copied during a request, after the event loop had found it readable
        if data:
            write(self.reading[descriptor], data)
        else:
            self._poll.unregister(descriptor)
            self._close(descriptor)

    def close(self) -> None:
        """Copy the rest of the output after the program has ended, and close the pipes."""
        for descriptor in list(self.reading):
            try:
                while data := os.read(descriptor, READ_SIZE):
                    write(self.reading[descriptor], data)
            except BlockingIOError:
                pass  # a process that the program started still has the pipe open
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        if self._loop is not None:
            self._loop.unwatch(descriptor)
        del self.reading[descriptor]
        os.close(descriptor)


def unread(descriptor: int) -> int:
    """Return how many bytes are in a pipe. ``descriptor`` is either of its ends."""
    there = bytearray(4)
    fcntl.ioctl(descriptor, termios.FIONREAD, there)
    return int.from_bytes(there, sys.byteorder)


def write(stream: int, data: bytes) -> None:
    """
    Write to the server's own stream, which remembers whether its last line is complete.

    Bytes for which there is no room for half a second are dropped. Otherwise a worker that waits
    between requests would look stuck.
    """
    with bounded():
        (sys.stdout if stream == 1 else sys.stderr).buffer.write(data)
