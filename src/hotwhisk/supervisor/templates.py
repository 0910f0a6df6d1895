"""
The generations that have a template, so that further workers of them need not be loaded.

Pure; what a template is stands in `worker.template`, the processes are in `processes`.
"""

from __future__ import annotations

from collections import deque

from hotwhisk.supervisor.commands import Command, KillTemplate


class Templates:
    """The generations that have a template, and the one that may get no other."""

    def __init__(self, commands: deque[Command]) -> None:
        self._commands = commands
        self._generations: set[int] = set()
        self._banned = 0

    def __contains__(self, generation: int) -> bool:
        return generation in self._generations

    def add(self, generation: int) -> None:
        """Record that a worker has left a template."""
        self._generations.add(generation)

    def ended(self, generation: int) -> None:
        """Record that the template of a generation is dead."""
        self._generations.discard(generation)

    def end(self, generation: int) -> None:
        """End the template of a generation, if there is one."""
        if generation in self._generations:
            self._generations.discard(generation)
            self._commands.append(KillTemplate(generation))

    def end_all(self) -> None:
        """End all templates."""
        for generation in tuple(self._generations):
            self.end(generation)

    def ban(self, generation: int) -> None:
        """End the template of a generation that proved unfit; its workers leave no other."""
        self._banned = max(self._banned, generation)  # of an earlier one none will start
        self.end(generation)

    def allows(self, generation: int) -> bool:
        """Return whether a worker of that generation may leave a template."""
        return generation != self._banned
