"""
What those who asked for a replacement are told, and when.

Pure, and a part of `succession`. Under OpenWhisk an answer comes after its log. A version that
ended its process could not end its log, so a desk does, and the answer waits for that.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hotwhisk.supervisor.effects import Candidate, Effect, Mark, Reply

if TYPE_CHECKING:
    from hotwhisk.supervisor.assignment import Assignment


class Replies:
    """
    Replies that are sent, or wait until the desk in a slot has done its part.
    """

    def __init__(self, assignment: Assignment, effects: deque[Effect]) -> None:
        self._assignment = assignment
        self._effects = effects
        self._waiting: list[tuple[int, Reply]] = []

    def send(self, candidate: Candidate, status: int, text: str) -> None:
        """
        Tell how a replacement ended; its connection is one like others again.
        """
        self._effects.append(Reply(candidate, status, text))
        if candidate.number is not None and not candidate.last:
            self._assignment.returned(candidate.number)

    def send_after(self, desk: int, log: str, reply: Reply) -> None:
        """
        The same, once a desk has written ``log`` and ended it.
        """
        self._effects.append(Mark(desk, log))
        self._waiting.append((desk, reply))

    def marked(self, slot: int) -> None:
        """
        A desk has ended a log, the oldest that it was told to.
        """
        for each in self._waiting:
            if each[0] == slot:
                self._waiting.remove(each)
                self.send(each[1].candidate, each[1].status, each[1].text)
                return

    def died(self, slot: int) -> None:
        """
        What a dead desk has not ended nobody will.
        """
        for desk, _ in tuple(self._waiting):
            if desk == slot:
                self.marked(slot)
