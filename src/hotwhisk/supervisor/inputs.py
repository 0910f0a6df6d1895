"""
Connections with bytes that no worker has read, found without a look at each.

An epoll set of the supervisor's own duplicates. While the supervisor looks at the clock it asks
the set at each look; while it sleeps it waits for the set among all else. So a request to a worker
that does not answer wakes it up, and an idle server is left asleep. Connections are put into the
set at a look, so one that is opened and closed between two looks costs nothing.

Options weighed: to wait for the duplicates at all times (the supervisor would wake up for each
request); to ask the kernel for each connection at each look (a system call for each, and no end of
looks while the server is idle); a worker that reports what it reads (a message for each request).
"""

from __future__ import annotations

import select
from collections.abc import Mapping


class Inputs:
    """The set, by connection number."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._numbers: dict[int, int] = {}  # descriptor → connection number

    def fileno(self) -> int:
        """Return the descriptor that is readable while any connection of the set is."""
        return self._epoll.fileno()

    def watch(self, sockets: Mapping[int, int]) -> None:
        """Put connections into the set that are not in it, given by number."""
        if len(self._numbers) == len(sockets):
            return  # a descriptor leaves the set before it leaves that table
        for number, descriptor in sockets.items():
            if descriptor not in self._numbers:
                try:
                    self._epoll.register(descriptor, select.EPOLLIN)
                except OSError:
                    return  # no memory, or the user's limit of watches: at the next look
                self._numbers[descriptor] = number

    def forget(self, descriptor: int) -> None:
        """Take a connection out, before it is closed; no error if it is not in the set."""
        if self._numbers.pop(descriptor, None) is not None:
            try:
                self._epoll.unregister(descriptor)
            except OSError:
                pass  # it leaves the set with its last duplicate

    def find(self) -> list[int]:
        """Return the numbers of those that have something to read, or have ended."""
        if not self._numbers:
            return []
        try:
            found = self._epoll.poll(0, len(self._numbers))
        except OSError:
            return []  # at the next look
        return [self._numbers[each] for each, _ in found if each in self._numbers]
