"""
Hand out the numbers of connections.

Pure. Each number that is used for the first time makes further memory this process's own: a row of
the scoreboard, and what Python keeps of a number. So a number is used again as soon as messages
about its last use are over.
"""

from __future__ import annotations

from collections import deque

RESTING = 64
"""How many numbers rest after their use before one of them is used again."""


class FreeNumbers:
    """The free ones of the numbers from 0 to below ``most``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._unused = 0
        """The lowest number that was never taken."""
        self._resting: deque[int] = deque()

    def __len__(self) -> int:
        return self._most - self._unused + len(self._resting)

    def take(self) -> int:
        """
        Return a number, which is not free any more.

        It is the one that was free for longest, or, while few of them rest, one that was never
        used. So a late message about the last use of a number finds it free.

        Raises:
            IndexError: no number is free.
        """
        if len(self._resting) >= RESTING or self._unused == self._most:
            return self._resting.popleft()
        self._unused += 1
        return self._unused - 1

    def give_back(self, number: int) -> None:
        """Make a number free again."""
        self._resting.append(number)
