"""Give up a version that loads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hotwhisk.gateway.runtimes.forked_server import ForkedServer


class Cancelled(Exception):
    """A load was given up, since a newer version is wanted."""


class Load:
    """One attempt to load a version. Any thread may cancel it."""

    def __init__(self) -> None:
        self.cancelled = False
        self.over = False
        """Whether it has ended, in whatever way. It is set by the one that waits for it."""
        self._lock = threading.Lock()
        self._server: ForkedServer | None = None

    @property
    def posted(self) -> bool:
        """Whether a server is loading the version now."""
        return self._server is not None

    def cancel(self) -> None:
        """Begin no load; or end the server that loads, which serves no call meanwhile."""
        with self._lock:
            self.cancelled = True
            if self._server is not None:
                self._server.stop()

    @contextmanager
    def on(self, server: ForkedServer) -> Iterator[None]:
        """
        Load on this server, which is started if it is not.

        Raises:
            Cancelled: the load was given up, before or meanwhile.
        """
        with self._lock:
            if self.cancelled:
                raise Cancelled
            if not server.started:
                server.start()
            self._server = server
        try:
            yield
        finally:
            with self._lock:
                self._server = None
        if self.cancelled:
            raise Cancelled
