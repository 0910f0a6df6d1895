"""Wait for descriptors, and call back when they are ready."""

from __future__ import annotations

import select
from collections.abc import Callable


class EventLoop:
    """
    The epoll set of the supervisor. If the system refuses to watch a descriptor, it is tried again
    at the next tick of the watchdog.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], object]] = {}
        self._writers: dict[int, Callable[[], object]] = {}
        self._later: dict[int, tuple[Callable[[], object], int]] = {}
        """Descriptors to watch again at the next tick, each with its callback and its events."""

    def __contains__(self, descriptor: int) -> bool:
        return descriptor in self._readers

    def watch(
        self, descriptor: int, callback: Callable[[], object], events: int = select.EPOLLIN
    ) -> None:
        """
        Call back when a descriptor is readable, or at other events.

        If memory is short, it is watched from the next tick on.
        """
        try:
            self._epoll.register(descriptor, events)
        except OSError:
            self._later[descriptor] = callback, events
        else:
            self._readers[descriptor] = callback

    def watch_both(self, descriptor: int, callback: Callable[[], object] | None) -> None:
        """Call back also when a watched descriptor is writable; with None, stop that."""
        if descriptor not in self._readers or (
            callback is None and descriptor not in self._writers
        ):
            return
        events = select.EPOLLIN
        if callback is None:
            self._writers.pop(descriptor, None)
        else:
            self._writers[descriptor] = callback
            events |= select.EPOLLOUT
        try:
            self._epoll.modify(descriptor, events)
        except OSError:
            pass  # the next tick tries again what waits to be written

    def unwatch(self, descriptor: int) -> None:
        """Stop watching a descriptor; it is not an error if it was not watched."""
        self._later.pop(descriptor, None)
        self._writers.pop(descriptor, None)
        if self._readers.pop(descriptor, None) is not None:
            try:
                self._epoll.unregister(descriptor)
            except OSError:
                pass  # it is closed next, or its events are ignored

    def watch_later(self, descriptor: int) -> None:
        """Watch a descriptor again only from the next tick on, since a resource is lacking now."""
        callback = self._readers.get(descriptor)
        if callback is not None:
            self.unwatch(descriptor)
            self._later[descriptor] = callback, select.EPOLLIN

    @property
    def has_later(self) -> bool:
        """Return whether descriptors are to be watched again at the next tick."""
        return bool(self._later)

    def try_again(self) -> bool:
        """Watch the descriptors that were left for later; return False if there are none."""
        later, self._later = self._later, {}
        for descriptor, (callback, events) in later.items():
            self.watch(descriptor, callback, events)
        return bool(later)

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        """Wait at most ``timeout`` seconds; return the ready descriptors, each with its events."""
        return self._epoll.poll(timeout)

    def dispatch(self, descriptor: int, events: int) -> bool:
        """Call what waits for a descriptor; return False if it is not watched any more."""
        reader = self._readers.get(descriptor)
        if reader is None:
            return False  # an earlier callback of the same batch has unwatched it
        if events & select.EPOLLOUT and (writer := self._writers.get(descriptor)):
            writer()
        reader()
        return True
