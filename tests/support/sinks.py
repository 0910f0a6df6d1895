"""
Where a server's output goes in a test: a pipe, a socket or a file, read or not.
"""

from __future__ import annotations

import os
import select
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

FILLER = b"." * 63 + b"\n"
DEADLINE = 10.0


class Sink:
    """
    ``writing`` is for the server; ``reading`` is where a log collector would read.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self.writing = writing
        self.taken = b""
        self._reading = reading
        os.set_blocking(reading, False)

    def fill(self) -> None:
        """
        Write whole lines until there is room for none, as if a reader had stopped long ago.
        """
        again = os.dup(self.writing)
        try:
            os.set_blocking(again, False)  # of the shared stream too, until it is full
            for data in (FILLER * 64, FILLER, b"\n"):
                with suppress(BlockingIOError):
                    while True:
                        os.write(again, data)
        finally:
            os.set_blocking(again, True)
            os.close(again)

    def read(self, most: int = 1 << 26) -> bytes:
        """
        What is there now, up to ``most`` bytes, added to ``taken``.
        """
        with suppress(BlockingIOError):
            while most > 0 and (data := os.read(self._reading, min(most, 1 << 20))):
                self.taken += data
                most -= len(data)
        return self.taken

    def read_until(self, enough: Callable[[bytes], object]) -> bytes:
        """
        Read until what came is enough; whatever it is by the deadline.
        """
        until = time.monotonic() + DEADLINE
        while not enough(self.read()) and time.monotonic() < until:
            select.select([self._reading], [], [], 0.05)
        return self.taken


@contextmanager
def pipe() -> Iterator[Sink]:
    """
    What docker and most programs give a server.
    """
    reading, writing = os.pipe()
    try:
        yield Sink(reading, writing)
    finally:
        os.close(reading)
        os.close(writing)


@contextmanager
def unix_socket() -> Iterator[Sink]:
    """
    What systemd gives it.
    """
    reading, writing = socket.socketpair()
    with reading, writing:
        yield Sink(reading.fileno(), writing.fileno())


@contextmanager
def file() -> Iterator[Sink]:
    """
    What a shell gives it: ``> log``.
    """
    with tempfile.NamedTemporaryFile() as log:
        reading = os.open(log.name, os.O_RDONLY)
        try:
            yield Sink(reading, log.fileno())
        finally:
            os.close(reading)


KINDS = {"pipe": pipe, "socket": unix_socket, "file": file}
UNREAD = {"pipe": pipe, "socket": unix_socket}
"""Those that can be full."""
