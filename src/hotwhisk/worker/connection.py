"""
Read requests from one client connection and write responses to it.

Every method that uses the socket is called under a claim (see `hotwhisk.ipc.scoreboard`), except
those that close this process's duplicate of it. Between two claims, nothing of a connection would
be lost if this process died. Bytes that make no whole request yet are in a spill file, which the
supervisor has too.
"""

from __future__ import annotations

import _socket
from enum import Enum

from hotwhisk.http1 import http1
from hotwhisk.http1.http1 import Reader, Request, parse_complete
from hotwhisk.ipc.scoreboard import Phase, Scoreboard
from hotwhisk.ipc.worker_counters import WorkerCounters
from hotwhisk.system.tcp import bytes_read
from hotwhisk.worker.socket_errors import (
    Disconnected,
    disconnected_or,
    is_from_own_call,
    would_block,
)
from hotwhisk.worker.spill import Spill, Spills

DONT_WAIT = _socket.MSG_DONTWAIT
SEND = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL
SEND_LAST = SEND | _socket.MSG_MORE
"""For a response that is followed by the end of the connection: both are sent in one packet."""

COPIED = 65536
"""Bodies up to this many bytes are joined with their head; larger ones cost more to copy."""


class Stage(Enum):
    """
    Says what a connection waits for in its worker.

    The worker's event loop uses it. The supervisor knows only the `Phase`, in the scoreboard.
    """

    LISTENING = "a request of its client"
    QUEUED = "the end of another run: the handler runs one request at a time"
    RUNNING = "the end of its own run, which other runs may overlap"
    WRITING = "room to write: its client reads the response slowly"
    LINGERING = "the end: what the client still sends is discarded"
    CLOSING = "nothing: it is being closed"


class After(Enum):
    """Says what follows the current response."""

    NEXT = "the next request"
    CLOSE = "the end, because the client wants it"
    LINGER = "the end, but the client may still be sending"


class Connection:
    """
    Holds this worker's duplicate of a client connection.

    The supervisor has a duplicate too, so the connection stays open if this one is closed.
    """

    __slots__ = (
        "_continued",
        "_counters",
        "_data",
        "_next_at",
        "_out",
        "_read",
        "_reader",
        "_scoreboard",
        "_spill_at",
        "_spilled",
        "_spills",
        "after",
        "began",
        "epoch",
        "number",
        "pipelined",
        "run_error",
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
        counters: WorkerCounters,
        spills: Spills,
        run_error: str = "",
    ) -> None:
        # The C class, because nothing is needed that `socket.socket` adds. The family is not
        # looked up, because nothing below depends on it.
        self.socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0, descriptor)
        if _socket.getdefaulttimeout() is not None:  # an action set one for its own sockets
            self.socket.settimeout(None)
        self.number = number
        self.epoch = 0
        self.began = 0.0
        """When the current request went to the action, in seconds of the monotonic clock."""
        self.run_error = run_error
        self.spill: Spill | None = None
        self.sent = scoreboard.sent(number)
        self.stage = Stage.LISTENING
        self.after = After.NEXT
        self._scoreboard = scoreboard
        self._counters = counters
        self._spills = spills
        self._spilled = 0
        self._spill_at = 0  # how many bytes were read before those in the spill file
        # How many bytes were read in all, as far as this process knows; see `repair_input`.
        self._read = bytes_read(self.socket) if self.sent else 0
        self._data = b""
        self.pipelined = b""
        """Bytes that were read behind the current request."""
        self._next_at = -1
        """What `sent` was when pipelined bytes were parsed last; -1 if they never were."""
        self._reader: Reader | None = None
        self._continued = False
        self._out: list[memoryview] = []

    @property
    def stays_at_recall(self) -> bool:
        """Return whether the connection stays in this worker at a recall."""
        # By identity, because the action may have replaced how members of an Enum compare.
        stage = self.stage
        return stage is not Stage.LISTENING and stage is not Stage.QUEUED

    def resume(self, spill: Spill, length: int) -> None:
        """Continue with the bytes in a spill file, which another worker read."""
        self.spill, self._spilled = spill, length
        self._read = bytes_read(self.socket)
        self._spill_at = self._read - length

    # -- reading ----------------------------------------------------------------------------

    def receive(self, buffer: memoryview) -> Request | None:
        """
        Read what has arrived; return the request if it is whole, otherwise None.

        ``buffer`` is scratch space. Bytes that make no whole request are saved in a spill file.

        Raises:
            Disconnected: the client has closed the connection.
            RequestError: the bytes are not a valid request.
        """
        if self.spill is not None:
            return self._receive_more()
        try:  # as `_receive_into`, without the call: nearly every request takes this path
            length = self.socket.recv_into(buffer, 0, DONT_WAIT)
        except OSError as error:
            if would_block(error):
                return None
            raise disconnected_or(error) from None
        if not length:
            raise Disconnected
        self._data = data = bytes(buffer[:length])
        self._read += length
        return self._examine(data)

    def examine_spill(self) -> Request | None:
        """Return the request in the spill file that came with the connection, if it is whole."""
        assert self.spill is not None
        return self._set_pipelined(self._current_reader().examine(self.spill.map, self._spilled))

    def next_request(self) -> Request | None:
        """Return the pipelined request behind the one just answered, if it is whole."""
        data = self.pipelined
        if not data:
            return None
        self._next_at, self._data, self.pipelined = self.sent, data, b""
        return self._examine(data)

    def _examine(self, data: bytes) -> Request | None:
        request = parse_complete(data)
        if request is None:
            request = self._current_reader().examine(data, len(data))
        if request is None:
            self._save(data, self._current_reader().bytes_needed)
            return self._receive_more()
        if request.end < len(data):
            self.pipelined = data[request.end :]
        return request

    def _receive_more(self) -> Request | None:
        """Read into the spill file until the request is whole or nothing more has arrived."""
        spill = self.spill
        assert spill is not None
        while True:
            request = self._set_pipelined(self._current_reader().examine(spill.map, self._spilled))
            if request is not None:
                return request
            self._send_continue()
            wanted = max(self._current_reader().bytes_needed, self._spilled + 4096)
            fitting = self._spills.fit(spill, wanted, self._spilled)
            if fitting is not spill:
                self.spill = spill = fitting
                self._scoreboard.set_spill(self.number, spill.number, self._spilled)
            room = memoryview(spill.map)[self._spilled :]
            try:
                length = self._receive_into(room)
            finally:
                room.release()  # a file with a view of it can neither grow nor be closed
            if length < 0:
                self._scoreboard.set_phase(self.number, Phase.BUFFERED)
                return None
            self._spilled += length
            self._read = self._spill_at + self._spilled
            self._scoreboard.set_spill(self.number, spill.number, self._spilled)

    def _set_pipelined(self, request: Request | None) -> Request | None:
        if request is not None and self.spill is not None and request.end < self._spilled:
            self.pipelined = self.spill.map[request.end : self._spilled]
        return request

    def _current_reader(self) -> Reader:
        if self._reader is None:
            self._reader = Reader()
        return self._reader

    def _receive_into(self, room: memoryview) -> int:
        """Read; return how many bytes were read, or -1 if none have arrived."""
        try:
            length = self.socket.recv_into(room, 0, DONT_WAIT)
        except OSError as error:
            if would_block(error):
                return -1
            raise disconnected_or(error) from None
        if not length:
            raise Disconnected
        return length

    def _send_continue(self) -> None:
        """Send 100 Continue once if the client asks for it before its body (RFC 9110 §10.1.1)."""
        head = self._current_reader().head
        if head is not None and head.expects_continue and not self._continued:
            self._continued = True
            try:
                self.sent += self.socket.send(http1.CONTINUE, SEND)
            except OSError as error:
                if not is_from_own_call(error):
                    raise
                return  # 100 Continue is optional: the client sends the body anyway
            self._scoreboard.set_sent(self.number, self.sent)

    def _save(self, data: bytes, wanted: int = 0) -> None:
        """Copy bytes into a spill file, so that they outlive this process."""
        self._spill_at = self._read - len(data)
        self.spill = self._spills.take(max(wanted, len(data) + 4096))
        self.spill.map[: len(data)] = data
        self._spilled = len(data)
        self._data = b""
        self._scoreboard.set_spill(self.number, self.spill.number, len(data))
        self._scoreboard.set_phase(self.number, Phase.BUFFERED)

    def save_request(self, phase: Phase = Phase.BUFFERED) -> None:
        """Save the request just read, and the bytes behind it, for another worker."""
        if self.spill is None:
            self._save(self._data)
        self._reader = None
        self.pipelined = b""
        self._scoreboard.set_phase(self.number, phase)

    def save_pipelined(self) -> None:
        """Save the bytes behind the request just answered, for another worker."""
        self._data, self.pipelined = self.pipelined, b""
        self._save(self._data)

    def take_body(self, request: Request) -> tuple[int, int, int]:
        """
        Put the body of a request into a file that leaves this connection.

        Return the number of the file, the body's offset in it, and the descriptor of a new file, or
        -1 if the supervisor has it. The bytes behind the request are saved for the worker that gets
        the connection next.
        """
        body, rest = request.body, self.pipelined
        if self.spill is None or request.head.chunked:
            (number, descriptor), offset = self._spills.write(body), 0
            self.request_done()
        else:
            number, descriptor, offset = self.spill.number, -1, request.end - len(body)
        self.spill = None
        if isinstance(body, memoryview):
            body.release()
        self._scoreboard.set_spill(self.number, 0, 0)
        if rest:
            self._save(rest)
        self._scoreboard.set_phase(self.number, Phase.INIT_PENDING)
        return number, offset, descriptor

    # -- answering --------------------------------------------------------------------------

    def request_done(self) -> None:
        """Free the bytes of the current request; they are not needed any more."""
        self._reader = None
        self._data = b""
        if self.spill is not None:
            self._continued = False
            self._scoreboard.set_spill(self.number, 0, 0)
            spill, self.spill = self.spill, None
            self._spills.put_back(spill)

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
        Count a response, and send it in one write; return False if some of it remains to be sent.

        Some of it remains if the client reads slowly; see `flush`. The response to a HEAD request
        has the length of the body, but not the body (RFC 9110 §9.3.2).

        Raises:
            Disconnected: the client has closed the connection.
        """
        head = http1.response_head(status, len(body), headers, keep_alive=keep_alive, minor=minor)
        if head_only:
            body = b""
        self._counters.respond(self.number, self.sent, len(head) + len(body))
        if len(body) > COPIED:
            return self._write([head, body])
        data = head + body
        try:
            length = self.socket.send(data, SEND if keep_alive else SEND_LAST)
        except OSError as error:
            if not would_block(error):
                self._out = [memoryview(data)]
                raise disconnected_or(error) from None
            length = 0
        except BaseException:
            self._out = [memoryview(data)]
            raise
        self.sent += length
        if length < len(data):
            self._out = [memoryview(data)[length:]]
        return length == len(data)

    def answer_with_head(self, head: bytes, body: bytes) -> bool:
        """As `answer`, with a head that the caller has made."""
        self._counters.respond(self.number, self.sent, len(head) + len(body))
        return self._write([head, body])

    def flush(self) -> bool:
        """Send more of the remaining bytes; return False if some still remain."""
        parts, self._out = self._out, []
        return self._write(parts)

    def _write(self, parts: list[bytes] | list[memoryview]) -> bool:
        try:
            length = self.socket.sendmsg(parts, (), SEND)
        except OSError as error:
            if not would_block(error):
                self._out = [memoryview(part) for part in parts]
                raise disconnected_or(error) from None
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

    def send_part(self, pieces: list[bytes]) -> bool:
        """
        Send a part of a response that is not counted yet; return False if some of it remains.

        Raises:
            Disconnected: the client has closed the connection.
        """
        if sum(map(len, pieces)) <= COPIED:
            pieces = [b"".join(pieces)]
        return not pieces[0] or self._write(pieces)

    def end_parts(self, start: int, last: bytes) -> bool:
        """
        Count a response that began after ``start`` bytes, and send the last of it; as `answer`.

        What remained to be sent of its parts is dropped.
        """
        self._out = []
        self._counters.respond(self.number, start, self.sent - start + len(last))
        return not last or self._write([last])

    @property
    def is_flushed(self) -> bool:
        """Return whether nothing remains to be sent."""
        return not self._out

    def has_left(self) -> bool:
        """Return whether the client has closed the connection or its end of it; read nothing."""
        try:
            return not self.socket.recv(1, DONT_WAIT | _socket.MSG_PEEK)
        except OSError as error:
            if would_block(error):
                return False
            raise disconnected_or(error) from None

    # -- ending -----------------------------------------------------------------------------

    def linger(self) -> None:
        """
        Close the sending half of the connection; the client can still read the last response.

        A full close would reset the connection while the client is still sending, and the client
        would lose the response.
        """
        try:
            self.socket.shutdown(_socket.SHUT_WR)
        except OSError as error:
            raise disconnected_or(error) from None

    def discard(self, buffer: memoryview) -> None:
        """Read and discard bytes; raise Disconnected if the client has closed the connection."""
        self._receive_into(buffer)

    def close_duplicate(self) -> None:
        """Close this worker's duplicate. The connection stays open in the supervisor."""
        self.socket.close()
        self.spill = None

    def close(self) -> None:
        """Close the connection for all processes."""
        try:
            self.socket.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        self.request_done()
        self._scoreboard.set_phase(self.number, Phase.CLOSED)
