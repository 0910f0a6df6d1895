"""A pipe, a socket or a file for a server's output, which a test reads or leaves unread."""

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
    """A stream for output: the server gets ``writing``, a log collector would have ``reading``."""

    def __init__(self, reading: int, writing: int) -> None:
        self.writing = writing
        self.taken = b""
        self._reading = reading
        os.set_blocking(reading, False)

    def fill(self) -> None:
        """Write whole lines until no more fits, as if a reader had stopped long ago."""
        again = os.dup(self.writing)
        try:
            os.set_blocking(again, False)  # for the server's end too, until it is full
            for data in (FILLER * 64, FILLER, b"\n"):
                with suppress(BlockingIOError):
                    while True:
                        os.write(again, data)
        finally:
            os.set_blocking(again, True)
            os.close(again)

    def read(self, most: int = 1 << 26) -> bytes:
        """Read up to ``most`` bytes that are there, add them to ``taken``, and return that."""
        with suppress(BlockingIOError):
            while most > 0 and (data := os.read(self._reading, min(most, 1 << 20))):
                self.taken += data
                most -= len(data)
        return self.taken

    def read_until(self, enough: Callable[[bytes], object]) -> bytes:
        """Read until ``enough`` accepts what came, or until the deadline, and return what came."""
        until = time.monotonic() + DEADLINE
        while not enough(self.read()) and time.monotonic() < until:
            select.select([self._reading], [], [], 0.05)
        return self.taken


@contextmanager
def pipe() -> Iterator[Sink]:
    """Make a pipe, which docker and most programs give a server."""
    reading, writing = os.pipe()
    try:
        yield Sink(reading, writing)
    finally:
        os.close(reading)
        os.close(writing)


@contextmanager
def unix_socket() -> Iterator[Sink]:
    """Make a socket, which systemd gives a server."""
    reading, writing = socket.socketpair()
    with reading, writing:
        yield Sink(reading.fileno(), writing.fileno())


@contextmanager
def file() -> Iterator[Sink]:
    """Make a file, which a shell gives a server by ``> log``."""
    with tempfile.NamedTemporaryFile() as log:
        reading = os.open(log.name, os.O_RDONLY)
        try:
            yield Sink(reading, log.fileno())
        finally:
            os.close(reading)


KINDS = {"pipe": pipe, "socket": unix_socket, "file": file}
UNREAD = {"pipe": pipe, "socket": unix_socket}
"""The kinds that can be full."""
