"""
Send a response in parts, each as soon as the handler has yielded it.

Before the first part nothing is sent: until then an exception or a death is answered as in any run.
From the first byte on, the connection is in the phase STREAMING. If the worker dies in this phase,
the supervisor closes the connection, and so the client sees that the response is not whole. The end
of a stream is sent in the phase RESPONDING, as the end of any response.

The socket is written without a wait. If the client reads slowly, at most one part is kept here.
"""

from __future__ import annotations

import sys
from time import monotonic

from hotwhisk import json_codec
from hotwhisk.http1.part_framing import LAST_CHUNK, chunk, parts_head
from hotwhisk.ipc.scoreboard import CloseAfter, Phase
from hotwhisk.openwhisk.part_forms import Layout, choose_form, error_event, write_part
from hotwhisk.openwhisk.sentinels import bounded
from hotwhisk.worker import invocation
from hotwhisk.worker.socket_errors import Disconnected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.config.platform import Profile
    from hotwhisk.http1.http1 import Request
    from hotwhisk.openwhisk.part_forms import PartForm
    from hotwhisk.worker.connection import Connection
    from hotwhisk.worker.connections import Connections
    from hotwhisk.worker.invocation import RunAnswer


class PartStream:
    """Sends the response in parts to one request, whose run has begun on ``connection``."""

    def __init__(
        self,
        connections: Connections,
        connection: Connection,
        request: Request,
        *,
        keep_alive: bool,
    ) -> None:
        self.connection = connection
        self.request = request
        self.begun = False
        """Whether something was sent, or was about to be."""
        self.whole = False
        """Whether the handler has yielded all, and all but the last chunk is sent."""
        self.left = False
        """Whether the client has closed the connection, or the supervisor has."""
        self.length = 0
        """How many bytes of the parts were sent."""
        self._count = 0
        self._chunked = request.head.minor > 0
        self.keep_alive = keep_alive and self._chunked
        """Whether the connection can have another request after a whole response."""
        self._connections = connections
        self._start = connection.sent
        self._form: PartForm | None = None

    @property
    def answers(self) -> bool:
        """Return whether this is the response: something was sent, or all of nothing is to be."""
        return self.begun or self.whole

    def send(self, part: object) -> bool:
        """
        Send a part; return False if some of it remains to be sent.

        Raises:
            BadResult: the part has no form in JSON.
            Disconnected: the client has closed the connection.
        """
        form = self._form
        if form is None:
            form = self._form = choose_form(self.request.head.header("accept"), part)
        data = write_part(form.layout, part)
        pieces = self._pieces(data)
        if not self.begun:
            pieces.insert(0, self._head(form))
            self.begun = True
            self._connections.scoreboard.set_phase(self.connection.number, Phase.STREAMING)
        self._count += 1
        self.length += len(data)
        return self.connection.send_part(pieces)

    def check_client(self) -> None:
        """Raise Disconnected if the client has closed the connection, or its end of it."""
        if self.connection.has_left():
            raise Disconnected

    def fail(self, error: BaseException, profile: Profile) -> RunAnswer:
        """
        Print the exception that ended a run; return the answer to it, if nothing was sent.

        If parts were sent, the stream is to be cut. An event stream has the error as its last
        event, if there is room for it.
        """
        status, body = invocation.failure(error, profile)
        if self.begun:
            text = json_codec.loads(body)["error"]  # type: ignore[index]
            parts = "1 part" if self._count == 1 else f"{self._count} parts"
            print_line(f"a stream was cut after {parts}, because its handler failed: {text}")
            self._send_error_event(body)
        return status, body, True

    def _send_error_event(self, body: bytes) -> None:
        if self._form is None or self._form.layout is not Layout.EVENTS:
            return
        try:
            if self.connection.is_flushed:
                self.connection.send_part(self._pieces(error_event(body)))
        except Disconnected:
            self.left = True

    def was_late(self) -> bool:
        """Return whether the supervisor has cut the stream at its deadline, and print that."""
        budget = self._connections.scoreboard.row(self.connection.number).budget
        if not self.left or monotonic() - self.connection.began <= budget:
            return False
        print_line(f"a stream was cut after {budget:.3g} s, its limit")
        return True

    def end(self) -> bool:
        """Count a whole response, and send its end; return False if some remains to be sent."""
        if not self.keep_alive:  # its end is the end of the connection, whichever process ends it
            number = self.connection.number
            self._connections.scoreboard.set_close(number, CloseAfter.REQUESTED)
        last = LAST_CHUNK if self._chunked else b""
        if not self.begun:
            form = choose_form(self.request.head.header("accept"), None)
            last = self._head(form) + last
        return self.connection.end_parts(self._start, last)

    def cut(self) -> None:
        """Count a response, and close the connection, so that the client sees it is not whole."""
        connection, connections = self.connection, self._connections
        connections.scoreboard.set_close(connection.number, CloseAfter.REQUESTED)
        connection.end_parts(self._start, b"")
        connections.close(connection)

    def _head(self, form: PartForm) -> bytes:
        headers = self._connections.headers
        if self.request.head.trace is not None:
            headers += self.request.head.trace.header_lines
        return parts_head(
            form.media_type, headers, keep_alive=self.keep_alive, chunked=self._chunked
        )

    def _pieces(self, data: bytes) -> list[bytes]:
        if self._chunked:
            return chunk(data)
        return [data] if data else []


def print_line(text: str) -> None:
    """Print a line about a stream or an event to stderr."""
    try:
        with bounded():
            sys.stderr.write(f"hotwhisk: {text}\n")
            sys.stderr.flush()
    except Exception:  # noqa: BLE001 - the action may have closed or replaced the stream
        pass
