"""One client of the load: its connection, and the request in flight on it."""

from __future__ import annotations

import socket

from .wire import ResponseReader


class Client:
    """A client with one request in flight."""

    def __init__(self, number: int, kept: bool) -> None:
        self.number = number
        self.kept = kept
        self.socket: socket.socket | None = None
        self.reader = ResponseReader()
        self.first_port = 0
        self.port = 0
        self.count = 0
        self.floor = 0
        self.started = 0.0
        self.waiting = False
        self.last = False

    @property
    def token(self) -> str:
        """The token that the answer to the request in flight must have."""
        return f"{self.number}-{self.count}"


def ended(end: socket.socket | None) -> bool:
    """Return whether an idle connection was closed, or unexpected bytes came."""
    if end is None or end.fileno() < 0:
        return True
    try:
        end.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
