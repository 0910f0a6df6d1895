"""
A blocking HTTP client on a raw socket, for tests of races.

It sends exactly the given bytes, one by one if needed. Anything but one complete answer raises an
error with a name of its own.
"""

from __future__ import annotations

import socket
import time
from typing import Self

from .wire import ClientError, Response, ResponseReader, init_request, run_request

Address = tuple[str, int]


class Refused(ClientError):
    """The connection could not be opened."""


class Lost(ClientError):
    """The connection ended (EOF or reset) before the answer came."""


class Late(ClientError):
    """No complete answer came before the client's own deadline."""


class Connection:
    """
    One TCP connection; a context manager.

    ``segment`` sets a small TCP segment size and ``receive_buffer`` a small window. With both, a
    big answer stays in the server while this client does not read.
    """

    def __init__(
        self,
        address: Address,
        *,
        timeout: float = 10.0,
        run_path: str = "/run",
        segment: int | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        self.timeout = timeout
        self.run_path = run_path
        self.reader = ResponseReader()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.socket.settimeout(timeout)
        if segment is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.socket.connect(address)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            self.socket.close()
            raise Refused(str(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; repeated calls do nothing."""
        self.socket.close()

    def half_close(self) -> None:
        """Close the sending side, and go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> None:
        """Send all of these bytes."""
        self.socket.settimeout(self.timeout)
        try:
            self.socket.sendall(data)
        except TimeoutError as error:
            raise Late("the server does not take the bytes") from error
        except OSError as error:
            raise Lost(str(error)) from error

    def send_run(self, value: object, **keys: object) -> None:
        """Send one POST /run and do not wait."""
        self.send(run_request(value, path=self.run_path, **keys))

    def receive(self, deadline: float, most: int = 65536) -> bytes:
        """
        Return the next bytes; b"" at the end; raise ``Late`` after the monotonic
        ``deadline``.
        """
        left = deadline - time.monotonic()
        if left <= 0:
            raise Late("no answer in time")
        self.socket.settimeout(left)
        try:
            return self.socket.recv(most)
        except TimeoutError as error:
            raise Late("no answer in time") from error
        except OSError as error:
            raise Lost(str(error)) from error

    def read_response(self, timeout: float | None = None) -> Response:
        """Wait for the next complete answer."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while (response := self.reader.next()) is None:
            data = self.receive(deadline)
            if not data:
                raise Lost(f"end of stream with {self.reader.pending} bytes of an answer")
            self.reader.feed(data)
        return response

    def read_interim(self, timeout: float | None = None) -> int:
        """Wait for an interim answer (such as 100) and return its status."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not self.reader.interim:
            if (response := self.reader.next()) is not None:
                raise Lost(f"a final answer instead: {response.status}")
            if self.reader.interim:
                break
            data = self.receive(deadline)
            if not data:
                raise Lost("end of stream instead of an interim answer")
            self.reader.feed(data)
        return self.reader.interim.pop(0)

    def read_to_end(self, timeout: float | None = None) -> bytes:
        """Return all bytes until the server closes; a reset counts as a close here."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        taken = bytearray()
        try:
            while data := self.receive(deadline):
                taken += data
        except Lost:
            pass
        return bytes(taken)

    def run(self, value: object, **keys: object) -> Response:
        """Send one POST /run and return its answer."""
        self.send_run(value, **keys)
        return self.read_response()

    def init(self, code: str | bytes, main: str = "main") -> Response:
        """Send one POST /init and return its answer."""
        self.send(init_request(code, main=main))
        return self.read_response()


def run_once(address: Address, value: object, timeout: float = 10.0) -> Response:
    """Send one POST /run on a new connection and return its answer."""
    with Connection(address, timeout=timeout) as connection:
        return connection.run(value)


def init_once(address: Address, code: str | bytes, timeout: float = 30.0) -> Response:
    """Send one POST /init on a new connection and return its answer."""
    with Connection(address, timeout=timeout) as connection:
        return connection.init(code)
