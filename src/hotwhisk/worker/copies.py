"""
Send copies of requests and their answers from a worker that serves to one that is on trial.

The sender never waits. It sends a copy when its own answer is sent, and only if the receiver has
read the copy before, and that was `PAUSE` ago; else it leaves the request out. One packet is one
copy. A copy that is large is in a memory file beside the packet.

The receiver believes nothing that it reads, because the action of the sender can write to the
socket too. A packet that is not a copy is left out.
"""

from __future__ import annotations

import _socket
from array import array
from errno import EBADF, ECONNREFUSED, ECONNRESET, ENOTCONN, ENOTSOCK, EPIPE
from fcntl import F_DUPFD_CLOEXEC, fcntl, ioctl
from os import close, fstat, pread, pwrite
from stat import S_ISREG
from struct import Struct
from termios import TIOCOUTQ
from time import monotonic

from hotwhisk.http1.trace_context import TraceContext
from hotwhisk.record import Record
from hotwhisk.worker.spill import make_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hotwhisk.http1.http1 import Request
    from hotwhisk.worker.connection import Connection

    Respond = Callable[[Connection, Request, int, bytes], bool]

MOST_INLINE = 1 << 15
"""Bytes of request and answer that are sent in the packet itself."""

LONGEST = 8 << 20
"""Bytes of request and answer beyond which a request is not copied: that would take too long."""

PAUSE = 0.002
"""Seconds from one copy of a worker to its next, so that most requests under load cost no more."""

OVER = frozenset((EPIPE, ECONNRESET, ECONNREFUSED, ENOTCONN, EBADF, ENOTSOCK))
"""Nothing reads copies any more, or the action has closed the socket. Other errors may pass."""

SEND = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL
SOL_SOCKET, SCM_RIGHTS = _socket.SOL_SOCKET, _socket.SCM_RIGHTS

_HEAD = Struct("=HHII?")
"""The status, the lengths of the trace, the request's body and the answer's, and the last flag."""

_NOTHING_UNREAD = bytes(4)


class Copy(Record):
    """A request that was answered: its ``body`` and trace, and the status and body it was given."""

    body: bytes
    trace: TraceContext | None
    status: int
    answer: bytes


class CopySender:
    """
    Sends the answers of runs by ``respond``, and a copy after each. ``stop`` is called when no
    worker reads copies any more.
    """

    def __init__(
        self, descriptor: int, lowest: int, respond: Respond, stop: Callable[[], None]
    ) -> None:
        self._socket = _take(descriptor, lowest)
        self._respond = respond
        self._stop = stop
        self._next_at = 0.0
        """When the next copy may be sent."""

    def respond(self, connection: Connection, request: Request, status: int, body: bytes) -> bool:
        """Send the answer of a run, then a copy; return whether the next request can be read."""
        copy, now = None, monotonic()
        fits = len(request.body) + len(body) <= LONGEST
        if now >= self._next_at and fits and self._is_free():
            self._next_at = now + PAUSE
            copy = Copy(bytes(request.body), request.head.trace, status, body)
        free = self._respond(connection, request, status, body)
        if copy is not None and not self._send(copy):
            self._stop()
        return free

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _is_free(self) -> bool:
        """Return whether every copy was read."""
        try:
            return ioctl(self._socket, TIOCOUTQ, bytes(4)) == _NOTHING_UNREAD
        except OSError:
            return True  # what is wrong is found when the copy is sent

    def _send(self, copy: Copy) -> bool:
        """Send a copy; return False if the trial is over."""
        trace, content, file = pack_trace(copy.trace), copy.body + copy.answer, -1
        try:
            if len(content) > MOST_INLINE:
                file = make_file(len(content))
                pwrite(file, content, 0)
            head = _HEAD.pack(copy.status, len(trace), len(copy.body), len(copy.answer), file >= 0)
            parts = [head, trace] if file >= 0 else [head, trace, content]
            rights = [(SOL_SOCKET, SCM_RIGHTS, array("i", [file]))] if file >= 0 else []
            self._socket.sendmsg(parts, rights, SEND)
        except OSError as error:
            return error.errno not in OVER
        finally:
            if file >= 0:
                close(file)
        return True


class CopyReceiver:
    """The end of the socket from which copies are read."""

    def __init__(self, descriptor: int, lowest: int) -> None:
        self._socket = _take(descriptor, lowest)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket; the senders notice it."""
        self._socket.close()

    def receive(self) -> Copy | None:
        """
        Return a copy that has come; None if none has, or it is not one.

        Raises:
            EOFError: no worker can send copies any more.
        """
        size = _HEAD.size + MOST_INLINE + (1 << 16)
        try:
            packet, ancillary, flags, _ = self._socket.recvmsg(
                size, _socket.CMSG_SPACE(4), _socket.MSG_DONTWAIT | _socket.MSG_CMSG_CLOEXEC
            )
        except OSError:  # nothing has come, or there is no memory for it now
            return None
        rights = array("i")
        for level, kind, data in ancillary:
            if level == SOL_SOCKET and kind == SCM_RIGHTS:
                rights.frombytes(data[: len(data) - len(data) % rights.itemsize])
        try:
            if not packet:
                raise EOFError
            return None if flags & _socket.MSG_TRUNC else _read(packet, rights.tolist())
        finally:
            for each in rights:
                close(each)


def _take(descriptor: int, lowest: int) -> _socket.socket:
    """Return a descriptor that came with a message as a socket; its number is high."""
    high = fcntl(descriptor, F_DUPFD_CLOEXEC, lowest)
    close(descriptor)
    taken = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, high)
    taken.settimeout(None)  # an action may have set another default for its own sockets
    return taken


def _read(packet: bytes, descriptors: list[int]) -> Copy | None:
    """Return the copy in a packet; None if there is none."""
    if len(packet) < _HEAD.size:
        return None
    status, trace_length, body_length, answer_length, in_file = _HEAD.unpack_from(packet)
    start, length = _HEAD.size + trace_length, body_length + answer_length
    if length > LONGEST or len(descriptors) != in_file or len(packet) < start:
        return None
    content = _content(descriptors[0], length) if in_file else packet[start:]
    if len(content) != length:
        return None
    trace = read_trace(packet[_HEAD.size : start])
    return Copy(content[:body_length], trace, status, content[body_length:])


def _content(descriptor: int, length: int) -> bytes:
    """Return what is in a memory file; empty if it is another kind of file."""
    try:
        is_file = S_ISREG(fstat(descriptor).st_mode)
        return pread(descriptor, length, 0) if is_file else b""
    except OSError:
        return b""


def pack_trace(trace: TraceContext | None) -> bytes:
    """Return a trace as bytes; empty for none."""
    return b"" if trace is None else f"{trace.traceparent}\n{trace.tracestate}".encode()


def read_trace(data: bytes) -> TraceContext | None:
    """Return the trace in bytes that `pack_trace` made; None for others."""
    parent, _, state = data.decode("ascii", "replace").partition("\n")
    return TraceContext(parent, state) if parent else None
