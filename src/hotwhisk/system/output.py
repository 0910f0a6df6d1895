"""
Write to the standard output streams without waiting for a reader that has stopped reading.

The action, its children, the other workers, and often unrelated programs share these streams. All
of them would see it if we made the streams non-blocking, so we do not. If the kernel can open a
stream a second time (a pipe, a terminal), only that copy is non-blocking. For a socket, each packet
is sent with a flag that forbids waiting. Any other stream is polled before each write.
"""

from __future__ import annotations

import _socket
import ctypes
import os
import stat
from collections.abc import Callable
from errno import EAGAIN, EBADF
from fcntl import F_DUPFD_CLOEXEC, F_GETFL, F_GETPIPE_SZ, F_SETPIPE_SZ, fcntl
from os import close, write
from select import PIPE_BUF, POLLOUT, poll
from time import monotonic, time

from hotwhisk.system.libc import LIBC

STREAMS = (1, 2)
SENTINEL = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"
NEWLINE = 0x0A
BREAK = b"\n"
_IOLBF = 1
_SPLICE_F_NONBLOCK = 2

WRITE_TIMEOUT = 0.5
"""Seconds that a write waits for room. After a failure, no write waits until one succeeds."""

STATE_SIZE = 24
"""Bytes of shared memory for the state of one stream, which all processes of a server share."""


class StreamState:
    """
    Holds the state of one output stream in ``memory`` that all processes of a server share.

    Each field is written by one store. Two rare events at the same moment may count as one.
    """

    def __init__(self, memory: memoryview) -> None:
        self._flags = memory
        self._words = memory.cast("I")
        self._doubles = memory.cast("d")

    def begin(self) -> None:
        """Record that nothing has been written yet."""
        self.wrote(NEWLINE)

    @property
    def open_line(self) -> bool:
        """Return whether the last write did not end its line."""
        return self._flags[0] != 0

    @open_line.setter
    def open_line(self, on: bool) -> None:
        self._flags[0] = on

    @property
    def stalled(self) -> bool:
        """Return whether the latest write found no room, and no reader that made some."""
        return self._flags[1] != 0

    @stalled.setter
    def stalled(self, on: bool) -> None:
        self._flags[1] = on

    def wrote(self, last: int) -> None:
        """Record a write that ended now, with the byte ``last``."""
        self._flags[0] = last != NEWLINE
        self._doubles[2] = time()

    def sentinel_written(self) -> None:
        """Record that a sentinel was written now: the stream had room, and its line is complete."""
        self._flags[0] = self._flags[1] = 0
        self._doubles[2] = time()

    @property
    def written_at(self) -> float:
        """Return the time of the last write, in seconds since the epoch."""
        return self._doubles[2]

    @property
    def dropped(self) -> tuple[int, int]:
        """Return how many sentinels, and how many other bytes, could not be written."""
        return self._words[1], self._words[2]

    def drop(self, length: int, *, sentinels: int = 0) -> None:
        """Count ``length`` bytes and ``sentinels`` that could not be written."""
        self._words[1] = (self._words[1] + sentinels) & 0xFFFFFFFF
        self._words[2] = (self._words[2] + length) & 0xFFFFFFFF


class Output:
    """
    Writes the server's own lines to one output stream, or drops a line after `WRITE_TIMEOUT`.

    ``lowest`` is the lowest number of a descriptor that this class opens.
    """

    def __init__(self, descriptor: int, state: StreamState, lowest: int) -> None:
        self.state = state
        self._given = descriptor
        self._socket: _socket.socket | None = None
        self._write: Callable[[int, bytes], int] = write
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISSOCK(kind):
            self.descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, lowest)
            self._socket = _socket.socket(fileno=self.descriptor)
            self._write = self._send
        elif stat.S_ISREG(kind):  # it never waits, and a second opening would have its own offset
            self.descriptor = descriptor
        else:
            self.descriptor = _open_again(descriptor, lowest)
            if self.descriptor == descriptor:
                self._write = _write_if_room

    def close(self) -> None:
        """Close the descriptor that this object opened."""
        if self._socket is not None:
            self._socket.close()
        elif self.descriptor != self._given:
            close(self.descriptor)

    def end(self, timeout: float = WRITE_TIMEOUT) -> bool:
        """
        Write the line that ends an activation; return False if it could not be written.

        It must be a line of its own. A line that could not be written is counted.

        Raises:
            OSError: the descriptor was closed, so another process must write that line.
        """
        state = self.state
        line = BREAK + SENTINEL if state.open_line else SENTINEL
        try:
            written = self._write(self.descriptor, line)
        except OSError:
            written = 0  # `_put` below tries again, and knows what an error means
        if written == len(line):  # the usual case
            state.sentinel_written()
            return True
        if written:
            state.open_line = True
        if self._put(line[written:], timeout):
            self.state.drop(0, sentinels=1)
            return False
        return True

    def end_for_exited(self, timeout: float = WRITE_TIMEOUT) -> bool:
        """
        Write the line that ends the activation of a process that has exited.

        Return False if it could not be written. If the children of that process may have written
        after it, a line break comes first: a needless break costs less than a missed sentinel.
        """
        ended = _ends_line(self.descriptor, self.state)
        self.state.open_line = not ended
        return self.end(timeout)

    def write(self, data: bytes, timeout: float = WRITE_TIMEOUT) -> None:
        """
        Write as much of some lines as there is room for; count the other bytes.

        Raises:
            OSError: the descriptor was closed.
        """
        # A stream that is writable has room for this much.
        for at in range(0, len(data), PIPE_BUF):
            rest = self._put(data[at : at + PIPE_BUF], timeout)
            if rest:
                self.state.drop(rest + len(data[at + PIPE_BUF :]))
                return

    def _send(self, _: int, data: bytes) -> int:
        assert self._socket is not None
        return self._socket.send(data, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)

    def _put(self, data: bytes, timeout: float) -> int:
        """Write data that a pipe takes whole or not at all; return how many bytes are unwritten."""
        rest, until = data, 0.0
        while True:
            try:
                rest = rest[self._write(self.descriptor, rest) :]
            except BlockingIOError:
                pass
            except OSError as error:
                if error.errno == EBADF:
                    raise
                break  # the reader is gone, or the disk is full
            if not rest:
                self.state.stalled = False
                self.state.wrote(data[-1])
                return 0
            if self.state.stalled or not timeout:
                break
            until = until or monotonic() + timeout
            if not _wait_for_room(self.descriptor, until - monotonic()):
                self.state.stalled = True
                break
        if len(rest) < len(data):
            self.state.open_line = True
        return len(rest)


def _open_again(descriptor: int, lowest: int) -> int:
    """Return a non-blocking descriptor of the same pipe or terminal, or else the given one."""
    try:
        again = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # it belongs to another user, it has no reader, or there is no /proc
        return descriptor
    try:
        return fcntl(again, F_DUPFD_CLOEXEC, lowest)
    finally:
        close(again)


def _write_if_room(descriptor: int, data: bytes) -> int:
    if not _wait_for_room(descriptor, 0.0):
        raise BlockingIOError(EAGAIN, "the stream is full")
    return write(descriptor, data)


def _wait_for_room(descriptor: int, seconds: float) -> bool:
    """Return whether a stream has room, or has failed, within ``seconds``."""
    room = poll()
    room.register(descriptor, POLLOUT)
    return bool(room.poll(max(0.0, 1000 * seconds)))


def line_buffer_c() -> None:
    """
    Make C code that prints (an extension, a library) write each line at once.

    This holds for this process and for those that are forked from it. Lines in a C buffer would be
    lost with a worker that is killed.
    """
    try:
        LIBC.setvbuf(ctypes.c_void_p.in_dll(LIBC, "stdout"), None, _IOLBF, 0)
    except (AttributeError, ValueError):
        pass  # another C library keeps its streams under other names


# -- how the output of a dead process ended -------------------------------------------------------


def _ends_line(descriptor: int, state: StreamState) -> bool:
    """
    Return whether the last line on a stream is complete, whichever process wrote it.

    The answer comes from the bytes that are in the file or still in the pipe. If there are none, it
    comes from the time of the last write, which kernels before 6.15 keep for any pipe. Otherwise it
    comes from what went through our own streams.
    """
    found = os.fstat(descriptor)
    last = b""
    try:
        if stat.S_ISREG(found.st_mode):
            last = _last_of_file(descriptor)
        elif stat.S_ISFIFO(found.st_mode):
            last = _last_of_pipe(descriptor)
            if not last and found.st_mtime > state.written_at:
                return False  # another process wrote the last bytes, and they have been read
    except OSError:
        pass  # the stream may not be read
    return last == BREAK if last else not state.open_line


def _last_of_file(descriptor: int) -> bytes:
    reading = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        appends = fcntl(descriptor, F_GETFL) & os.O_APPEND
        end = os.fstat(reading).st_size if appends else os.lseek(descriptor, 0, os.SEEK_CUR)
        return os.pread(reading, 1, end - 1) if end else BREAK
    finally:
        close(reading)


def _last_of_pipe(descriptor: int) -> bytes:
    """Return the last byte that a pipe holds, by a copy of its pages; empty if all is read."""
    flags = os.O_NONBLOCK | os.O_CLOEXEC
    reading = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | flags)
    copy, into = os.pipe2(flags)
    try:
        size = fcntl(descriptor, F_GETPIPE_SZ)
        fcntl(into, F_SETPIPE_SZ, size)
        length = LIBC.tee(reading, into, size, _SPLICE_F_NONBLOCK)
        return os.read(copy, length)[-1:] if length > 0 else b""
    finally:
        for each in (reading, copy, into):
            close(each)
