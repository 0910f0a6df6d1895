"""Declare the operations of an event loop that a worker and its program use. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Callback = Callable[[], None]


class Loop(Protocol):
    """Watches descriptors: by epoll alone or in an asyncio loop."""

    def watch(self, descriptor: int, callback: Callback) -> None:
        """Call back whenever the descriptor is readable or has ended."""

    def watch_writable(self, descriptor: int, callback: Callback) -> None:
        """Call back when the descriptor is writable, and do not watch for reading meanwhile."""

    def unwatch(self, descriptor: int) -> None:
        """Stop watching. Call it before a close: a duplicate elsewhere would cause more events."""

    def run(self) -> None:
        """Wait for events and call back until the loop is closed or stopped."""
