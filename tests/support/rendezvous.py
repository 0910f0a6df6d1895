"""
Let an action report to the test, and hold it until the test lets it go.

The action connects to a unix socket, sends its pid and waits. So a test knows that a handler runs
because it got its message, and that a process has ended because its end of the connection is
closed: no sleeping, no guessing.
"""

from __future__ import annotations

import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self


class Held:
    """A process that has reported and now waits."""

    def __init__(self, end: socket.socket, timeout: float) -> None:
        self._end = end
        end.settimeout(timeout)
        self.pid = int(end.recv(32))

    def release(self) -> None:
        """Let the process go on; do nothing if it has ended."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._end.sendall(b".")

    def wait_gone(self, timeout: float) -> bool:
        """Return whether every copy of the process's end is closed within ``timeout`` seconds."""
        self._end.settimeout(timeout)
        try:
            return self._end.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def close(self) -> None:
        """Close the connection; a process that waits on it goes on."""
        self._end.close()


class Rendezvous:
    """The listening end; a context manager. ``path`` goes to the action in its event."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="meet-")
        self.path = str(Path(self._folder.name) / "here")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(256)
        self._held: list[Held] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for held in self._held:
            held.close()
        self._listener.close()
        self._folder.cleanup()

    def wait_arrival(self, timeout: float = 10.0) -> Held:
        """Wait until a process has reported; raise ``TimeoutError`` if none does."""
        self._listener.settimeout(timeout)
        end, _ = self._listener.accept()
        held = Held(end, timeout)
        self._held.append(held)
        return held
