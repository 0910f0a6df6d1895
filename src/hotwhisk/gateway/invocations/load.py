"""One attempt to load a version, which may be given up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from hotwhisk.gateway.cancellation import Cancellation
from hotwhisk.gateway.runtimes.forked_server import ForkedServer


class Load(Cancellation):
    """One attempt to load a version. Any thread may cancel it."""

    def __init__(self) -> None:
        super().__init__()
        self.step = "it has not begun"
        """What is not done yet, for people."""
        self.waits = True
        """Whether the present step waits for something else, and does nothing itself."""
        self.over = False
        """Whether it has ended, in whatever way. It is set by the one that waits for it."""
        self._worked = 0.0
        self._since = time.monotonic()

    def begin(self, step: str, *, waits: bool = False) -> None:
        """
        Begin the next step.

        Raises:
            Cancelled: the load was given up.
        """
        self.check()
        self._worked, self._since = self.worked(), time.monotonic()
        self.step, self.waits = step, waits

    def worked(self) -> float:
        """Return the seconds of all steps until now that did not wait."""
        return self._worked + (0.0 if self.waits else time.monotonic() - self._since)

    @contextmanager
    def on(self, server: ForkedServer) -> Iterator[None]:
        """
        Load on this server, which is started if it is not.

        If the load is given up, the server is ended. It serves no call meanwhile.

        Raises:
            Cancelled: the load was given up, before or meanwhile.
        """
        self.begin("its import has not ended")
        if not server.started:
            server.start()
        with self.ending(server.stop):
            yield
        self.check()
