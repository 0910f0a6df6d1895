"""Let pages wait until something in a namespace has changed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Subscription:
    """The changes of one namespace, as one event loop sees them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._changed = asyncio.Event()
        self.closed = False

    def wake(self) -> None:
        """End the wait. Any thread may call this."""
        try:
            self._loop.call_soon_threadsafe(self._changed.set)
        except RuntimeError:  # the loop was closed in the meantime
            pass

    async def wait(self) -> None:
        """Wait for a change since the last call, or for the end; then ``closed`` is true."""
        await self._changed.wait()
        self._changed.clear()


class Changes:
    """Everything that waits for changes. Any thread may publish one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._closed = False

    def publish(self, namespace: str) -> None:
        """Wake all that wait for changes of a namespace."""
        with self._lock:
            waiting = list(self._subscriptions.get(namespace, ()))
        for subscription in waiting:
            subscription.wake()

    @contextmanager
    def subscribe(self, namespace: str) -> Iterator[Subscription]:
        """Begin to collect the changes of a namespace, in the event loop that runs."""
        subscription = Subscription(asyncio.get_running_loop())
        with self._lock:
            subscription.closed = self._closed
            self._subscriptions.setdefault(namespace, set()).add(subscription)
        try:
            yield subscription
        finally:
            with self._lock:
                self._subscriptions[namespace].discard(subscription)

    def close(self) -> None:
        """End all waits, because the gateway stops."""
        with self._lock:
            self._closed = True
            subscriptions = [each for some in self._subscriptions.values() for each in some]
        for subscription in subscriptions:
            subscription.closed = True
            subscription.wake()
