"""
Write many lines to a stream without a wait: what finds no room is kept, up to a limit.

Lines are dropped, and counted, if the reader makes no room for half a second, or has ended. After
that, none is kept until there is room again. No line is cut, unless its end was dropped by the
system.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from select import PIPE_BUF, POLLOUT, poll
from time import monotonic

from hotwhisk.system.output import WRITE_TIMEOUT, Output, StreamState

MOST_WAITING = 16 << 20
"""Most bytes that wait for the reader, however much comes at once."""

FINISH_LIMIT = 2.0
"""Seconds that the last lines may take, if the reader is slow."""


class LineWriter(Output):
    """Writes lines to the stream of a descriptor, and keeps those for which there is no room."""

    def __init__(
        self,
        descriptor: int,
        state: StreamState,
        lowest: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(descriptor, state, lowest)
        self._clock = clock
        self._lines: deque[bytes] = deque()
        self._piece = b""
        """The lines that are being written."""
        self._is_begun = False
        """Whether a part of the first of them is written."""
        self._blocked_since: float | None = None
        self.waiting = 0
        """How many bytes are kept."""
        self._lost = 0

    def put(self, lines: Iterable[bytes]) -> None:
        """Write lines, each with its line break, after those that wait."""
        for line in lines:
            if self.waiting > MOST_WAITING:
                self.flush()
            if self.waiting > MOST_WAITING:
                self._count_lost([line])
            else:
                self._lines.append(line)
                self.waiting += len(line)
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as there is room. If there is none for too long, drop it."""
        while self._piece or self._lines:
            if not self._piece:
                self._piece = self._next_piece()
            try:
                length = self._write(self.descriptor, self._piece[:PIPE_BUF])
            except BlockingIOError:
                now = self._clock()
                if self._blocked_since is None:
                    self._blocked_since = now
                if self.state.stalled or now - self._blocked_since > WRITE_TIMEOUT:
                    self.state.stalled = True
                    self._drop()
                return
            except OSError:  # the reader is gone, or the disk is full
                self._drop(all_of_it=True)
                return
            self._wrote(length)

    def finish(self) -> None:
        """Write the rest, as long as the reader makes room every half second, but not for ever."""
        room = poll()
        room.register(self.descriptor, POLLOUT)
        self.flush()
        until = self._clock() + FINISH_LIMIT
        while self.waiting and self._clock() < until and room.poll(1000 * WRITE_TIMEOUT):
            self.flush()

    def take_lost(self) -> int:
        """Return how many lines were dropped since the last call; 0 while there is no room."""
        if self.state.stalled or self.waiting > MOST_WAITING // 2:
            return 0
        lost, self._lost = self._lost, 0
        return lost

    def _next_piece(self) -> bytes:
        """Take the lines that fit into one write; a pipe takes them whole, or none of them."""
        lines = [self._lines.popleft()]
        if self._is_begun:  # the rest of an earlier line could not be written
            lines.insert(0, b"\n")
            self.waiting += 1
        length = sum(map(len, lines))
        while self._lines and length + len(self._lines[0]) <= PIPE_BUF:
            line = self._lines.popleft()
            lines.append(line)
            length += len(line)
        return b"".join(lines)

    def _wrote(self, length: int) -> None:
        self.waiting -= length
        self.state.wrote(self._piece[length - 1])
        self.state.stalled, self._blocked_since = False, None
        self._is_begun = self._piece[length - 1 : length] != b"\n"
        self._piece = self._piece[length:]

    def _drop(self, *, all_of_it: bool = False) -> None:
        """Drop what waits, and keep only the end of a line whose beginning is written."""
        kept = 0
        if self._is_begun and not all_of_it:
            kept = self._piece.find(b"\n") + 1
        dropped = [*self._piece[kept:].splitlines(keepends=True), *self._lines]
        self._piece = self._piece[:kept]
        self._lines.clear()
        self.waiting = len(self._piece)
        self._count_lost(dropped)

    def _count_lost(self, lines: list[bytes]) -> None:
        self._lost += len(lines)
        self.state.drop(sum(map(len, lines)))
