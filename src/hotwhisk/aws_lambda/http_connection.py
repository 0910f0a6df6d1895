"""
A connection to an HTTP/1.1 server that is kept from one request to the next.

`http.client` would take as long for an answer as a small function takes for its event, most of it
for headers that nothing here reads.
"""

from __future__ import annotations

import socket

from hotwhisk.http1.chunked import Chunks
from hotwhisk.http1.head import parse_field
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from hotwhisk.config.option import Address

MOST_BODY: Final = 64 << 20
"""Most bytes of a body: ten times the largest event."""

_PIECE: Final = 1 << 18


class ConnectionEnded(ConnectionError):
    """The server ended the connection before it had answered."""


class Response(Record):
    """A response. The names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header; empty if the response has none of that name."""
        return self.headers.get(name, "")


class HttpConnection:
    """Sends one request at a time to ``address``. It connects when it has to."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        """
        Connect, if there is no connection.

        Raises:
            OSError: the server cannot be reached.
        """
        if self._socket is None:
            self._socket = socket.create_connection((self._address.host, self._address.port))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, start: bytes, headers: bytes = b"", body: bytes | None = None) -> Response:
        """
        Send a request and wait for its response, without a limit of time.

        ``start`` is the method and the path. ``headers`` are whole lines.

        Raises:
            OSError: the connection failed or ended.
            RequestError: the response is not HTTP.
        """
        self.connect()
        assert self._socket is not None
        host = f"{self._address.host}:{self._address.port}"
        length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
        head = b"%s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n" % (start, host.encode(), headers, length)
        try:
            self._socket.sendall(head + (body or b""))
            response = self._read()
        except BaseException:
            self.close()
            raise
        if response.header("connection").lower() == "close":
            self.close()
        return response

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self) -> Response:
        data = bytearray()
        while (end := data.find(b"\r\n\r\n")) < 0:
            self._receive(data)
        line, *fields = bytes(data[:end]).split(b"\r\n")
        headers = dict(map(parse_field, fields))
        at = end + len(b"\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            chunks = Chunks(at, MOST_BODY)
            while not chunks.examine(data, len(data)):
                self._receive(data)
            body = bytes(chunks.body)
        else:
            length = int(headers.get("content-length", "0"))
            while len(data) < at + length:
                self._receive(data)
            body = bytes(data[at : at + length])
        return Response(int(line.split(b" ")[1]), headers, body)

    def _receive(self, data: bytearray) -> None:
        assert self._socket is not None
        piece = self._socket.recv(_PIECE)
        if not piece:
            raise ConnectionEnded("the connection ended before the answer")
        data += piece
