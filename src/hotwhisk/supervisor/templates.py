"""
The generations that have a template, so that further workers of them need not be loaded.

Pure; what a template is stands in `worker.template`, the processes are in `crew`.
"""

from __future__ import annotations

from collections import deque

from hotwhisk.supervisor.effects import Effect, EndTemplate


class Templates:
    """Which generations have one, and which is to have no other."""

    def __init__(self, effects: deque[Effect]) -> None:
        self._effects = effects
        self._generations: set[int] = set()
        self._distrusted = 0

    def __contains__(self, generation: int) -> bool:
        return generation in self._generations

    def add(self, generation: int) -> None:
        """A worker has left one behind."""
        self._generations.add(generation)

    def ended(self, generation: int) -> None:
        """It is dead."""
        self._generations.discard(generation)

    def end(self, generation: int) -> None:
        """Nobody wants it any more, if there is one."""
        if generation in self._generations:
            self._generations.discard(generation)
            self._effects.append(EndTemplate(generation))

    def end_all(self) -> None:
        """Nobody wants any."""
        for generation in tuple(self._generations):
            self.end(generation)

    def distrust(self, generation: int) -> None:
        """What came from it was no good: it ends, and no worker leaves another."""
        self._distrusted = max(self._distrusted, generation)  # of an earlier one none will start
        self.end(generation)

    def trusts(self, generation: int) -> bool:
        """Whether a worker of that generation may leave one."""
        return generation != self._distrusted
