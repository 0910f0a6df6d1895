"""
Pass the descriptor of the platform's log on to the workers.

The platform gives this descriptor to the process that it starts. A worker keeps no descriptor of
the processes above it. So it asks for this one, over a socket with a name that no file has.
"""

from __future__ import annotations

import secrets
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class LogProvider:
    """Passes ``descriptor`` on to each process that connects to the socket ``name``."""

    def __init__(self, descriptor: int) -> None:
        self.name = f"\0hotwhisk-lambda-{secrets.token_hex(8)}"
        self._descriptor = descriptor
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.name)
        self._listener.listen()

    def run(self) -> NoReturn:
        """Answer each process that connects."""
        while True:
            connection, _ = self._listener.accept()
            with connection:
                socket.send_fds(connection, [b"\0"], [self._descriptor])


def receive_descriptor(name: str) -> int:
    """
    Return the descriptor that the socket ``name`` passes on; -1 if it has gone.

    Raises:
        OSError: nothing has that name.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(name)
        _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
    return descriptors[0] if descriptors else -1
