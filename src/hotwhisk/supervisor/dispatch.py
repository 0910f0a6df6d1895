"""
Which worker gets which connection.

Pure. A connection goes to the worker of the current generation that holds the fewest. Where
none can take it, it waits for one that is starting; the spare takes what waited for a tick, so
that an ``/init`` among it is read, and parks the ``/run``s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from hotwhisk.openwhisk.answers import Cause
from hotwhisk.supervisor.commands import (
    Assign,
    CloseConnection,
    Command,
    Recall,
    Recovery,
    SendError,
)
from hotwhisk.supervisor.lifecycle import State
from hotwhisk.supervisor.owners import Owners
from hotwhisk.supervisor.workers import Workers

PARKED_LIMIT = 1024
"""``/run``s that may wait, read, for a worker that is not busy."""

Moved = Iterable[tuple[int, bool]]
"""Connections that came back, each with whether it is parked."""


class Dispatcher:
    """
    The distribution of connections among the workers of ``generation``. ``fallback`` is the cause of
    the spare's answer to a ``/run`` on one of the spare's connections; if it is empty, the spare parks
    the ``/run``. ``detail`` is a further text of that answer.
    """

    def __init__(self, workers: Workers, commands: deque[Command]) -> None:
        self.owners = Owners()
        self.generation = 0
        self.fallback: str = Cause.NO_ACTION
        self.detail = ""
        self._workers = workers
        self._commands = commands

    def accepted(self, numbers: Iterable[int]) -> None:
        """Assign new connections."""
        serving = self.serving()
        for number in numbers:
            if serving and not self.owners.waiting:  # as nearly always: straight to a worker
                slot = min(serving, key=self.owners.count) if serving[1:] else serving[0]
                self.owners.assign(number, slot)
                self._commands.append(Assign(slot, (number,)))
            else:
                self.owners.queue(number)
                self.assign_waiting()

    def closed(self, number: int) -> None:
        """Forget a connection that is closed."""
        self.owners.remove(number)

    def reclaimed(self, slot: int, moved: Moved) -> None:
        """Assign again the connections that came back from a worker."""
        for number, parked in moved:
            if self.owners.owner(number) == slot:
                self._queue(number, parked=parked)
        self.assign_waiting()

    def bytes_lost(self, number: int) -> None:
        """Have the spare send an error, because the bytes that were read of a request are lost."""
        self._send_error(number, Cause.LOST, "")

    def contradicted(self, slot: int, number: int) -> None:
        """
        Close a connection whose worker gave it back in the middle of a request.

        The worker contradicts the scoreboard, which says that the request is not finished.
        """
        if self.owners.owner(number) == slot:
            self.owners.remove(number)
            self._commands.append(CloseConnection(number))

    def init_answered(self, number: int) -> None:
        """Assign again a connection that was lent to a replacement."""
        if number in self.owners.init_pending:
            self.owners.queue(number)
            self.assign_waiting()

    def assign_waiting(self) -> None:
        """Assign the waiting connections to serving workers; the others go on waiting."""
        batches: dict[int, list[int]] = {}
        serving = self.serving()
        if serving:
            for number in [*self.owners.parked, *self.owners.waiting]:
                slot = min(serving, key=self.owners.count)
                self.owners.assign(number, slot)
                batches.setdefault(slot, []).append(number)
        for slot, numbers in batches.items():
            self._commands.append(Assign(slot, tuple(numbers)))
        if self.fallback:
            self.give_to_spare()

    def serving(self) -> list[int]:
        """Return the workers that can take connections."""
        return self._workers.in_generation(self.generation, State.SERVING)

    def give_to_spare(self) -> None:
        """Assign waiting connections to the spare, which reads them, and parks or answers."""
        numbers = tuple(self.owners.waiting)
        if self.fallback:  # there is an answer even to those that wait for an action
            numbers += tuple(self.owners.parked)
        if numbers:
            for number in numbers:
                self.owners.assign(number, self._workers.spare)
            self._commands.append(Assign(self._workers.spare, numbers, self.fallback, self.detail))

    def recall(self, slot: int, *, drain: bool = False) -> None:
        """Take back a worker's connections; with ``leave``, it leaves after its last answer."""
        if drain or self.owners.count(slot):
            self._commands.append(Recall(slot, drain))

    def recall_from_spare(self) -> None:
        """Take back the spare's connections, because a worker can take connections again."""
        if self.serving():
            self.recall(self._workers.spare)

    def rebalance(self) -> None:
        """
        Take back all connections of the workers that hold more than their share.

        This is called when one more worker serves.
        """
        peers = self.serving()
        share = sum(map(self.owners.count, peers)) // len(peers)
        for slot in peers:
            if self.owners.count(slot) > share:
                self.recall(slot)

    def recover(
        self, slot: int, recoveries: Iterable[tuple[int, Recovery]], cause: Cause, how: str
    ) -> bool:
        """Settle the recoveries of a dead worker; return True if a request caused its death."""
        of_request = False
        for number, recovery in recoveries:
            if self.owners.owner(number) != slot:
                continue
            if recovery is Recovery.CLOSE:
                self.owners.remove(number)
                self._commands.append(CloseConnection(number))
            elif recovery is Recovery.LOST and cause is not Cause.OUT_OF_MEMORY:
                self._send_error(number, Cause.LOST, how)
            elif (
                recovery is Recovery.FAIL or recovery is Recovery.LOST
            ):  # a large body is too much as it is read
                of_request = True
                self._send_error(number, cause, how)
            else:
                self._queue(number, parked=recovery is Recovery.QUEUE)
        self.owners.remove_worker(slot)
        return of_request

    def _queue(self, number: int, *, parked: bool) -> None:
        if parked and len(self.owners.parked) >= PARKED_LIMIT:
            self._send_error(number, Cause.BUSY, "")
        else:
            self.owners.queue(number, parked=parked)

    def _send_error(self, number: int, cause: Cause, detail: str) -> None:
        self.owners.assign(number, self._workers.spare)
        self._commands.append(SendError(self._workers.spare, number, cause, detail))
