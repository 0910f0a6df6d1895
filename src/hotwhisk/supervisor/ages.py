"""
How long things take, on a clock that a frozen container cannot jump.

Pure. The supervisor looks at the scoreboard once a tick while anything is in flight. Each look
adds at most two ticks to an age, so that a container which was paused for an hour, by the
platform or by a laptop's lid, finds nothing expired when it wakes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

TICK = 0.25
"""Seconds between two looks."""


class Ages(Generic[Key]):
    """The ages of the things that are watched, by key."""

    def __init__(self) -> None:
        self._ages: dict[Key, tuple[float, float]] = {}
        self._last: float | None = None

    def update(self, now: float, since: Iterable[tuple[Key, float]]) -> dict[Key, float]:
        """
        The age in seconds of each watched thing, given when it began. What is not given any
        more is forgotten; the same key with another beginning is another thing.
        """
        elapsed = TICK if self._last is None else min(now - self._last, 2 * TICK)
        self._last = now
        ages = {}
        for key, began in since:
            known = self._ages.get(key)
            if known is not None and known[0] == began:
                ages[key] = (began, known[1] + elapsed)
            else:
                ages[key] = (began, max(0.0, min(now - began, 2 * TICK)))
        self._ages = ages
        return {key: age for key, (_, age) in ages.items()}

    def reset(self) -> None:
        """Forget all ages; nothing is watched until the next look, however long that takes."""
        self._ages.clear()
        self._last = None
