"""
Find connections with bytes that no worker has read, without a system call for each connection.

The supervisor's own duplicates are in an epoll set. While the watchdog ticks, the set is polled at
each tick. While the supervisor sleeps, it waits for the set with its other descriptors. So a
request to a worker that does not answer wakes the supervisor, and an idle server sleeps.
Connections enter the set at a tick, so one that is opened and closed between two ticks costs
nothing.
"""

from __future__ import annotations

import select
from collections.abc import Mapping


class Inputs:
    """The epoll set, by connection number."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._numbers: dict[int, int] = {}  # descriptor → connection number

    def fileno(self) -> int:
        """Return the descriptor that is readable while any connection of the set is."""
        return self._epoll.fileno()

    def watch(self, sockets: Mapping[int, int]) -> None:
        """Put connections, given by number, into the set if they are not in it."""
        if len(self._numbers) == len(sockets):
            return  # a descriptor leaves the set before it leaves ``sockets``
        for number, descriptor in sockets.items():
            if descriptor not in self._numbers:
                try:
                    self._epoll.register(descriptor, select.EPOLLIN)
                except OSError:
                    return  # no memory, or the user's limit of watches: try at the next tick
                self._numbers[descriptor] = number

    def forget(self, descriptor: int) -> None:
        """Take a connection out before it is closed; it is not an error if it is not in the set."""
        if self._numbers.pop(descriptor, None) is not None:
            try:
                self._epoll.unregister(descriptor)
            except OSError:
                pass  # the kernel removes it with its last duplicate

    def find(self) -> list[int]:
        """Return the numbers of connections that have something to read, or have ended."""
        if not self._numbers:
            return []
        try:
            found = self._epoll.poll(0, len(self._numbers))
        except OSError:
            return []  # try at the next tick
        return [self._numbers[each] for each, _ in found if each in self._numbers]
