"""
Measure how long things take, without the time in which the machine slept.

Pure. The watchdog looks at the scoreboard once a tick. Each tick adds at most two ticks to an age.
So if the platform paused the container for an hour, or a laptop slept, nothing has timed out when
it goes on.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    Key = TypeVar("Key", bound=Hashable)


TICK = 0.25
"""Seconds between two ticks."""


class Ages:
    """The age of each watched thing, by key."""

    def __init__(self) -> None:
        self._ages: dict[Any, tuple[float, float]] = {}
        self._last: float | None = None

    def update(self, now: float, since: Iterable[tuple[Key, float]]) -> dict[Key, float]:
        """
        Return the age in seconds of each key, given the times at which they began.

        A key that is not given any more is forgotten. A key with a new time starts at age 0.
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
        """Forget all ages: nothing is watched until the next update."""
        self._ages.clear()
        self._last = None
