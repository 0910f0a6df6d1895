"""Read and write messages of the Debug Adapter Protocol, which editors and debugpy speak."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any, Final

DapMessage = dict[str, Any]
_LENGTH: Final = b"content-length"


class DapChannel:
    """One end of a connection. Any thread may write; one thread reads."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""
        self._lock = threading.Lock()
        self._seq = 0

    def read(self) -> DapMessage | None:
        """Wait for the next message; return None at the end of the connection."""
        try:
            head, _, rest = self._until(b"\r\n\r\n").partition(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(_LENGTH)
            )
            self._buffer = rest
            while len(self._buffer) < length:
                self._fill()
            body, self._buffer = self._buffer[:length], self._buffer[length:]
            message: DapMessage = json.loads(body)
        except (OSError, EOFError, ValueError, StopIteration):
            return None
        return message

    def write(self, message: DapMessage) -> int:
        """Send a message under the next number of this end; return the number."""
        with self._lock:
            self._seq += 1
            body = json.dumps({**message, "seq": self._seq}).encode()
            try:
                self._connection.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            except OSError:  # its reader notices the end
                pass
            return self._seq

    def close(self) -> None:
        """End the connection; a thread that reads from it goes on with None."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._connection.close()

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._fill()
        return self._buffer

    def _fill(self) -> None:
        data = self._connection.recv(65536)
        if not data:
            raise EOFError
        self._buffer += data
