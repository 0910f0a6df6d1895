"""
Cut the log of a server that has several runs at a time into the logs of its activations.

The runtime's lines do not say which run has printed them. So a line belongs to every activation
that ran when it was read: none is missing, but some may be another's. All of them are of one action
and one caller. ``overlapped`` says whether there can be such lines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from hotwhisk.platform import texts
from hotwhisk.platform.logs import LogLine, LogStream

_MB: Final = 1 << 20


@dataclass(slots=True, eq=False)
class ActivationLog:
    """The lines of one activation, at most ``limit`` bytes of text."""

    limit: int
    overlapped: bool = False
    _lines: list[LogLine] = field(default_factory=list)
    _size: int = 0
    _cut: bool = False

    def add(self, line: LogLine) -> None:
        """Add a line, unless the log is full; then a last line says so."""
        self._size += len(line.text.encode()) + 1
        if self._cut:
            return
        if line.lost or self._size > self.limit:
            line = LogLine("stderr", texts.logs_truncated(self.limit), time.time())
            self._cut = True
        self._lines.append(line)

    def shown(self) -> list[str]:
        """Return the lines as a record holds them."""
        return [line.shown(keep_spaces=True) for line in self._lines]


class SharedLog:
    """Gives the lines of a server to the activations that run in it. Any thread may use it."""

    def __init__(self) -> None:
        self._stream: LogStream | None = None
        self._running: list[ActivationLog] = []
        self._lock = threading.Lock()

    def follow(self, stream: LogStream) -> None:
        """Read another stream from now on, because the server was started again."""
        with self._lock:
            self._take()
            self._stream = stream

    @contextmanager
    def reading(self, megabytes: int) -> Iterator[ActivationLog]:
        """Collect the lines that are printed meanwhile."""
        log = ActivationLog(megabytes * _MB)
        with self._lock:
            self._take()
            self._running.append(log)
            self._mark()
        try:
            yield log
        finally:
            with self._lock:
                self._take()
                self._running.remove(log)

    def _take(self) -> None:
        """Give what was printed by now to all that run."""
        for line in self._stream.drain() if self._stream is not None else ():
            if texts.SENTINEL not in line.text:
                for log in self._running:
                    log.add(line)

    def _mark(self) -> None:
        for log in self._running:
            log.overlapped = log.overlapped or len(self._running) > 1
