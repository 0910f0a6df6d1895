"""
Notice that the time of day jumps, as with a wrong time server or after the machine slept.

What is removed by its age would be gone at once if the clock jumped ahead by mistake.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

JUMP: Final = 60.0
"""Seconds by which the two clocks may diverge from one call to the next."""

WAIT: Final = 3600.0
"""For how many seconds the time of day is not trusted after a jump."""


class WallClock:
    """The time of day beside a steady clock, both in seconds. One thread uses it."""

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._steady = steady
        self._difference = now() - steady()
        self._trusted_from = steady()

    def jumped(self) -> float:
        """Return by how many seconds the time of day has jumped since the last call; usually 0."""
        before, self._difference = self._difference, self._now() - self._steady()
        jump = self._difference - before
        if abs(jump) < JUMP:
            return 0.0
        self._trusted_from = self._steady() + WAIT
        return jump

    @property
    def is_trusted(self) -> bool:
        """Whether it has not jumped for some time."""
        return self._steady() >= self._trusted_from
