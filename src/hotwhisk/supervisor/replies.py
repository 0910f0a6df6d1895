"""
What those who asked for a replacement are told, and when.

Pure, and a part of `succession`. Under OpenWhisk an answer comes after its log. A version that
ended its process could not end its log, so a desk does, and the answer waits for that.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hotwhisk.supervisor.effects import Effect, Mark, Reply

if TYPE_CHECKING:
    from hotwhisk.supervisor.assignment import Assignment


class Replies:
    """Replies that are sent, or that wait until a desk has done its part."""

    def __init__(self, assignment: Assignment, effects: deque[Effect]) -> None:
        self._assignment = assignment
        self._effects = effects
        self._waiting: list[tuple[int, Reply]] = []

    def send(self, reply: Reply, desk: int) -> None:
        """
        Send the result of a replacement.

        If the replacement's log is not ended yet, ``desk`` ends it first.
        """
        if reply.candidate.log:
            self._effects.append(Mark(desk, reply.candidate.log))
            self._waiting.append((desk, reply))
        else:
            self._send(reply)

    def marked(self, slot: int) -> None:
        """Send the oldest reply that waited for the desk in ``slot``, which has ended that log."""
        for each in self._waiting:
            if each[0] == slot:
                self._waiting.remove(each)
                self._send(each[1])
                return

    def waits_for(self, slot: int) -> bool:
        """Return whether a reply waits for the desk in ``slot``."""
        return any(desk == slot for desk, _ in self._waiting)

    def died(self, slot: int) -> None:
        """Send all replies that wait for a dead desk, because their logs will not be ended."""
        for desk, _ in tuple(self._waiting):
            if desk == slot:
                self.marked(slot)

    def _send(self, reply: Reply) -> None:
        """Send a reply, and return its connection to the others, unless the reply is its last."""
        self._effects.append(reply)
        number = reply.candidate.number
        if number is not None and not reply.candidate.last:
            self._assignment.returned(number)
