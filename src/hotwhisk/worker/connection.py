"""
One client connection as its worker sees it: what was read, what is being sent.

Every method that touches the socket is called under a claim (see `scoreboard`). Between claims a
connection keeps nothing in this process that would be lost with it: bytes that make no whole
request are in a spill, which the supervisor has too.
"""

from __future__ import annotations

import _socket
import socket
from enum import Enum

from hotwhisk.http1 import http1
from hotwhisk.http1.http1 import Reader, Request, parse_complete
from hotwhisk.ipc.scoreboard import Phase, Scoreboard
from hotwhisk.system.tcp import bytes_read
from hotwhisk.worker.socket_errors import Disconnected, gone, is_kernels, is_nothing
from hotwhisk.worker.spill import Spill, Spills

DONT_WAIT = int(socket.MSG_DONTWAIT)
SEND = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
SEND_LAST = int(SEND | socket.MSG_MORE)
"""For an answer that the end of the connection follows at once: both leave in one packet."""

COPIED = 65536
"""Bodies up to this many bytes are joined with their head; for larger ones a copy costs more."""


class Stage(Enum):
    """What a connection waits for, as its worker sees it."""

    LISTENING = "its client"
    QUEUED = "its turn: the handler runs one request at a time"
    RUNNING = "the end of a run that others may overlap"
    WRITING = "its client, who is slow to take an answer"
    LINGERING = "its end: what the client still sends is thrown away"
    CLOSING = "nothing: it is being closed"


FREE = frozenset({Stage.LISTENING, Stage.QUEUED})
"""Stages in which nothing of a connection is in this process alone, so that it may be moved."""


class After(Enum):
    """The step that follows the current answer."""

    NEXT = "the next request"
    CLOSE = "the end, as the client wishes"
    LINGER = "the end, while the client may still be sending"


class Connection:
    """
    A connection that this worker holds. Closing this duplicate does not close the connection:
    the supervisor has one as well.
    """

    __slots__ = (
        "_continued",
        "_data",
        "_next_at",
        "_out",
        "_read",
        "_reader",
        "_rest",
        "_scoreboard",
        "_spill_at",
        "_spilled",
        "_spills",
        "after",
        "epoch",
        "fallback",
        "number",
        "sent",
        "socket",
        "spill",
        "stage",
    )  # fmt: skip

    def __init__(
        self,
        number: int,
        descriptor: int,
        scoreboard: Scoreboard,
        spills: Spills,
        fallback: str = "",
    ) -> None:
        # The C class: nothing of what `socket.socket` adds is needed. The family is not looked
        # up either, since nothing below depends on it.
        self.socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0, descriptor)
        if _socket.getdefaulttimeout() is not None:  # an action set one for its own sockets
            self.socket.settimeout(None)
        self.number = number
        self.epoch = 0
        self.fallback = fallback
        self.spill: Spill | None = None
        self.sent = scoreboard.sent(number)
        self.stage = Stage.LISTENING
        self.after = After.NEXT
        self._scoreboard = scoreboard
        self._spills = spills
        self._spilled = 0
        self._spill_at = 0  # bytes that were read before those in the spill
        # The bytes that were read in all, as far as this process knows; see `recover_input`.
        self._read = bytes_read(self.socket) if self.sent else 0
        self._data = b""
        self._rest = b""
        self._next_at = -1  # `sent` when a request was found behind the last answered one
        self._reader: Reader | None = None
        self._continued = False
        self._out: list[memoryview] = []

    @property
    def busy(self) -> bool:
        """Whether the connection stays here when the others are taken back."""
        return self.stage not in FREE

    def resume(self, spill: Spill, length: int) -> None:
        """Go on with bytes that another worker read."""
        self.spill, self._spilled = spill, length
        self._read = bytes_read(self.socket)
        self._spill_at = self._read - length

    # -- reading ----------------------------------------------------------------------------

    def receive(self, buffer: memoryview) -> Request | None:
        """
        Read what is there; the request, if that completes one.

        ``buffer`` is scratch space. What makes no whole request is kept in a spill.

        Raises:
            Disconnected: the client has closed the connection.
            RequestError: it sent something that cannot be answered as a request.
        """
        if self.spill is not None:
            return self._receive_more()
        try:  # `_receive_into`, without the call: this is the way of nearly every request
            length = self.socket.recv_into(buffer, 0, DONT_WAIT)
        except OSError as error:
            if is_nothing(error):
                return None
            raise gone(error) from None
        if not length:
            raise Disconnected
        self._data = data = bytes(buffer[:length])
        self._read += length
        return self._examine(data)

    def examine_spill(self) -> Request | None:
        """Return the request in the bytes that came with the connection, if it is whole."""
        assert self.spill is not None
        return self._found(self._read_on().examine(self.spill.map, self._spilled))

    def next_request(self) -> Request | None:
        """Return the request behind the one just answered in the same bytes, if it is whole."""
        rest = self._rest
        if not rest:
            return None
        self._next_at, self._data = self.sent, rest
        self._rest = b""
        return self._examine(rest)

    def _examine(self, data: bytes) -> Request | None:
        request = parse_complete(data)
        if request is None:
            request = self._read_on().examine(data, len(data))
        if request is None:
            self._keep(data, self._read_on().wanted)
            return self._receive_more()
        if request.end < len(data):
            self._rest = data[request.end :]
        return request

    def _receive_more(self) -> Request | None:
        """Read into the spill until the request is whole or nothing more is there."""
        spill = self.spill
        assert spill is not None
        while True:
            request = self._found(self._read_on().examine(spill.map, self._spilled))
            if request is not None:
                return request
            self._continue()
            wanted = max(self._read_on().wanted, self._spilled + 4096)
            fitting = self._spills.fit(spill, wanted, self._spilled)
            if fitting is not spill:
                self.spill = spill = fitting
                self._scoreboard.set_spill(self.number, spill.number, self._spilled)
            room = memoryview(spill.map)[self._spilled :]
            try:
                length = self._receive_into(room)
            finally:
                room.release()  # or the file could neither grow nor be closed
            if length < 0:
                self._scoreboard.set_phase(self.number, Phase.BUFFERED)
                return None
            self._spilled += length
            self._read = self._spill_at + self._spilled
            self._scoreboard.set_spill(self.number, spill.number, self._spilled)

    def _found(self, request: Request | None) -> Request | None:
        if request is not None and self.spill is not None and request.end < self._spilled:
            self._rest = self.spill.map[request.end : self._spilled]
        return request

    def _read_on(self) -> Reader:
        if self._reader is None:
            self._reader = Reader()
        return self._reader

    def _receive_into(self, room: memoryview) -> int:
        """Return how many bytes were read, or -1 if there are none."""
        try:
            length = self.socket.recv_into(room, 0, DONT_WAIT)
        except OSError as error:
            if is_nothing(error):
                return -1
            raise gone(error) from None
        if not length:
            raise Disconnected
        return length

    def _continue(self) -> None:
        """Tell a client that waits for it to send its body (RFC 9110 §10.1.1)."""
        head = self._read_on().head
        if head is not None and head.expects_continue and not self._continued:
            self._continued = True
            try:
                self.sent += self.socket.send(http1.CONTINUE, SEND)
            except OSError as error:
                if not is_kernels(error):
                    raise
                return  # it is an invitation, no answer: the client goes on without it
            self._scoreboard.set_sent(self.number, self.sent)

    def _keep(self, data: bytes, wanted: int = 0) -> None:
        """Put bytes where they survive this process."""
        self._spill_at = self._read - len(data)
        self.spill = self._spills.take(max(wanted, len(data) + 4096))
        self.spill.map[: len(data)] = data
        self._spilled = len(data)
        self._data = b""
        self._scoreboard.set_spill(self.number, self.spill.number, len(data))
        self._scoreboard.set_phase(self.number, Phase.BUFFERED)

    def save_request(self, phase: Phase = Phase.BUFFERED) -> None:
        """Keep the request just read, and what followed it, for another worker."""
        if self.spill is None:
            self._keep(self._data)
        self._reader = None
        self._rest = b""
        self._scoreboard.set_phase(self.number, phase)

    def save_pipelined(self) -> None:
        """Keep what followed the request just answered, for another worker."""
        self._data, self._rest = self._rest, b""
        self._keep(self._data)

    def take_body(self, request: Request) -> tuple[Spill, int]:
        """
        Part with the body of a request: the file that holds it, and where in it. What followed
        the request is kept for whoever gets the connection back.
        """
        body, rest = request.body, self._rest
        spill, offset = self.spill, request.end - len(body)
        if spill is None or request.head.chunked:
            spill, offset = self._spills.take(len(body)), 0
            spill.map[: len(body)] = body
            self.request_done()
        self.spill = None
        if isinstance(body, memoryview):
            body.release()
        self._scoreboard.set_spill(self.number, 0, 0)
        if rest:
            self._keep(rest)
        self._scoreboard.set_phase(self.number, Phase.INIT_PENDING)
        return spill, offset

    # -- answering --------------------------------------------------------------------------

    @property
    def has_pipelined(self) -> bool:
        """Whether bytes beyond the current request were read."""
        return bool(self._rest)

    def request_done(self) -> None:
        """Release the bytes of the current request, which are not needed any more."""
        self._reader = None
        self._data = b""
        if self.spill is not None:
            self._continued = False
            self._scoreboard.set_spill(self.number, 0, 0)
            spill, self.spill = self.spill, None
            self._spills.release(spill)

    def answer(
        self,
        status: int,
        body: bytes,
        headers: bytes,
        *,
        keep_alive: bool,
        minor: int = 1,
        head_only: bool = False,
    ) -> bool:
        """
        Send an answer in one write; False if the client is slow and some of it remains. To a HEAD
        the length of the body is told, and the body is left out (RFC 9110 §9.3.2).

        Raises:
            Disconnected: the client has closed the connection.
        """
        head = http1.response_head(status, len(body), headers, keep_alive=keep_alive, minor=minor)
        if head_only:
            body = b""
        self._scoreboard.set_responding(self.number, self.sent, len(head) + len(body))
        if len(body) > COPIED:
            return self._write([head, body])
        data = head + body
        try:
            length = self.socket.send(data, SEND if keep_alive else SEND_LAST)
        except OSError as error:
            if not is_nothing(error):
                self._out = [memoryview(data)]
                raise gone(error) from None
            length = 0
        except BaseException:
            self._out = [memoryview(data)]
            raise
        self.sent += length
        if length < len(data):
            self._out = [memoryview(data)[length:]]
        return length == len(data)

    def flush(self) -> bool:
        """Send more of the remaining bytes; return False if some still remain."""
        parts, self._out = self._out, []
        return self._write(parts)

    def _write(self, parts: list[bytes] | list[memoryview]) -> bool:
        try:
            length = self.socket.sendmsg(parts, (), SEND)
        except OSError as error:
            if not is_nothing(error):
                self._out = [memoryview(part) for part in parts]
                raise gone(error) from None
            length = 0
        except BaseException:
            self._out = [memoryview(part) for part in parts]
            raise
        self.sent += length
        for part in parts:
            if length >= len(part):
                length -= len(part)
            else:
                self._out.append(memoryview(part)[length:])
                length = 0
        return not self._out

    # -- ending -----------------------------------------------------------------------------

    def linger(self) -> None:
        """
        No more answers: let the client read the last one while what it sends is thrown away.

        Closing at once would reset a client that is still sending, and it would lose the answer.
        """
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise gone(error) from None

    def discard(self, buffer: memoryview) -> None:
        """Throw away the bytes that the client still sends; raise Disconnected at their end."""
        self._receive_into(buffer)

    def release(self) -> None:
        """Forget the connection here. It lives on with the supervisor."""
        self.socket.close()
        self.spill = None

    def close(self) -> None:
        """End the connection for all processes."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        self.request_done()
        self._scoreboard.set_phase(self.number, Phase.CLOSED)
