"""The operations of an event loop that a worker and its program need, whichever loop it is. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Callback = Callable[[], None]


class Loop(Protocol):
    """The operations that a worker needs of either loop."""

    def watch(self, descriptor: int, callback: Callback) -> None:
        """Call back whenever the descriptor is readable or has ended."""

    def watch_writable(self, descriptor: int, callback: Callback) -> None:
        """Call back when the descriptor is writable, and do not watch for reading meanwhile."""

    def unwatch(self, descriptor: int) -> None:
        """Stop watching. Always before a close: a duplicate elsewhere would keep the events coming."""

    def run(self) -> None:
        """Wait and call back, for ever."""
