"""
Pass the descriptor of the platform's log on to the workers.

The platform gives this descriptor to the process that it starts. A worker keeps no descriptor of
the processes above it. So it asks for this one, over a socket with a name that no file has.
"""

from __future__ import annotations

import secrets
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, NoReturn

MOST_WAIT: Final = 20.0
"""Seconds after which a process no longer waits for the descriptor."""

_PAUSE: Final = 0.05
"""Seconds after a failure, so that a lack of descriptors does not keep the processor busy."""


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
            try:
                connection, _ = self._listener.accept()
                with connection:
                    socket.send_fds(connection, [b"\0"], [self._descriptor])
            except OSError:  # that process has ended, or this one has no descriptor to spare now
                time.sleep(_PAUSE)


def receive_descriptor(name: str, seconds: float = MOST_WAIT) -> int:
    """
    Return the descriptor that the socket ``name`` passes on; -1 if it has gone.

    Raises:
        OSError: nothing has that name, or it passes nothing on for so many ``seconds``.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(name)  # with a limit of time, it would fail at once behind many others
        connection.settimeout(seconds)
        _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
    return descriptors[0] if descriptors else -1
