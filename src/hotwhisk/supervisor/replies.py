"""
What those who asked for a replacement are told, and when.

Pure, and a part of `rollout`. Under OpenWhisk an answer comes after its log. A version that
ended its process could not end its log, so a spare does, and the answer waits for that.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hotwhisk.ipc.messages import EndLog
from hotwhisk.supervisor.commands import Command, Reply, Send

if TYPE_CHECKING:
    from hotwhisk.supervisor.connections import Dispatcher


class Replies:
    """Replies that are sent, or that wait until a spare has done its part."""

    def __init__(self, dispatcher: Dispatcher, commands: deque[Command]) -> None:
        self._dispatcher = dispatcher
        self._commands = commands
        self._waiting: list[tuple[int, Reply]] = []

    def send(self, reply: Reply, spare: int) -> None:
        """
        Send the result of a replacement.

        If the replacement's log is not ended yet, ``spare`` ends it first.
        """
        if reply.candidate.log:
            self._commands.append(Send(spare, EndLog(reply.candidate.log)))
            self._waiting.append((spare, reply))
        else:
            self._send(reply)

    def log_ended(self, slot: int) -> None:
        """Send the oldest reply that waited for the spare in ``slot``, which has ended that log."""
        for each in self._waiting:
            if each[0] == slot:
                self._waiting.remove(each)
                self._send(each[1])
                return

    def waits_for(self, slot: int) -> bool:
        """Return whether a reply waits for the spare in ``slot``."""
        return any(spare == slot for spare, _ in self._waiting)

    def exited(self, slot: int) -> None:
        """Send all replies that wait for a dead spare, because their logs will not be ended."""
        for spare, _ in tuple(self._waiting):
            if spare == slot:
                self.log_ended(slot)

    def _send(self, reply: Reply) -> None:
        """Send a reply, and return its connection to the others, unless the reply is its last."""
        self._commands.append(reply)
        number = reply.candidate.number
        if number is not None and not reply.candidate.last:
            self._dispatcher.init_answered(number)
