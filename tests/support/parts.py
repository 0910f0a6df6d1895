"""Read a response in parts as it comes, by h11, which is strict about its framing."""

from __future__ import annotations

import json
import time
from typing import Any

import h11

from .client import Address, Connection, Lost
from .wire import run_request


class PartReader:
    """Asks for one run on a connection, and reads what comes back part by part."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.headers: dict[str, str] = {}
        self.status = 0
        self.whole = False
        """Whether the response has come to its end."""
        self._parser = h11.Connection(h11.CLIENT)

    def ask(self, event: object, *headers: str) -> None:
        """Send the request, and let the parser know of it."""
        self.connection.send(run_request(event, *headers, path=self.connection.run_path))
        self._parser.send(
            h11.Request(method="POST", target="/run", headers=[("Host", "localhost")])
        )
        self._parser.send(h11.EndOfMessage())

    def next(self) -> bytes:
        """
        Return the data that came next; b"" at the end of the response.

        Raises:
            Lost: the connection ended, and the response is not whole.
        """
        deadline = time.monotonic() + self.connection.timeout
        while True:
            try:
                event = self._parser.next_event()
            except h11.RemoteProtocolError as error:
                raise Lost(f"the response is not whole: {error}") from error
            if event is h11.NEED_DATA:
                self._parser.receive_data(self.connection.receive(deadline))
            elif isinstance(event, h11.Response):
                self.status = event.status_code
                self.headers = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                return bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.whole = True
                return b""
            elif isinstance(event, h11.ConnectionClosed):
                raise Lost("the connection ended before the response")

    def line(self) -> Any:
        """Return the next part, which is one line of JSON."""
        data = b""
        while not data.endswith(b"\n"):
            more = self.next()
            if not more:
                raise Lost(f"the response is at its end after {data!r}")
            data += more
        return json.loads(data)

    def rest(self) -> bytes:
        """Return all data up to the end of a whole response."""
        return b"".join(iter(self.next, b""))

    def again(self) -> None:
        """Begin the next request on the same connection, after a whole response."""
        self._parser.start_next_cycle()
        self.whole = False


def begin(address: Address, event: object, *headers: str, timeout: float = 20.0) -> PartReader:
    """Ask for a run on a new connection; the caller closes it."""
    reader = PartReader(Connection(address, timeout=timeout))
    reader.ask(event, *headers)
    return reader
