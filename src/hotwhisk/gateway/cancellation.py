"""Give up what a thread waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Cancelled(Exception):
    """What was waited for is not wanted any more."""


class Cancellation:
    """Ends what one thread waits for. Any thread may cancel; no further wait begins after that."""

    def __init__(self) -> None:
        self.cancelled = False
        self._lock = threading.Lock()
        self._end: Callable[[], None] | None = None

    def cancel(self) -> None:
        """End the present wait, if there is one, and refuse the next one."""
        with self._lock:
            self.cancelled = True
            if self._end is not None:
                self._end()

    def check(self) -> None:
        """
        Do nothing, unless this was cancelled.

        Raises:
            Cancelled: it was.
        """
        if self.cancelled:
            raise Cancelled

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """
        Have ``end`` called, by another thread, if this is cancelled in the context.

        ``end`` must make the wait in the context return soon. `check` says afterwards whether it
        was called.

        Raises:
            Cancelled: this was cancelled before.
        """
        with self._lock:
            self.check()
            self._end = end
        try:
            yield
        finally:
            with self._lock:
                self._end = None
