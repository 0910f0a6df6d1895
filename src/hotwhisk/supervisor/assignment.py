"""
Which worker gets which connection.

Pure. A connection goes to the worker of the generation in charge that holds the fewest. Where
none can take it, it waits for one that is starting; the desk takes what waited for a tick, so
that an ``/init`` among it is read, and parks the ``/run``s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from hotwhisk.answers import Cause
from hotwhisk.supervisor.custody import Custody
from hotwhisk.supervisor.effects import AnswerFor, Debt, Effect, HandOver, Shut, TakeBack
from hotwhisk.supervisor.lifecycle import State
from hotwhisk.supervisor.roster import Roster

PARKED_LIMIT = 1024
"""``/run``s that may wait, read, for a worker that is not busy."""

Moved = Iterable[tuple[int, bool]]
"""Connections that came back, each with whether it is parked."""


class Assignment:
    """
    The distribution of connections among the workers of ``generation``. ``duty`` is the cause of
    the desk's answer to a ``/run`` on one of the desk's connections; if it is empty, the desk parks
    the ``/run``. ``detail`` is a further text of that answer.
    """

    def __init__(self, roster: Roster, effects: deque[Effect]) -> None:
        self.custody = Custody()
        self.generation = 0
        self.duty: str = Cause.NO_ACTION
        self.detail = ""
        self._roster = roster
        self._effects = effects

    def accepted(self, numbers: Iterable[int]) -> None:
        """Assign new connections."""
        serving = self.serving()
        for number in numbers:
            if serving and not self.custody.waiting:  # as nearly always: straight to a worker
                slot = min(serving, key=self.custody.load) if serving[1:] else serving[0]
                self.custody.give(number, slot)
                self._effects.append(HandOver(slot, (number,)))
            else:
                self.custody.wait(number)
                self.assign()

    def closed(self, number: int) -> None:
        """Forget a connection that is closed."""
        self.custody.forget(number)

    def taken(self, slot: int, moved: Moved) -> None:
        """Assign again the connections that came back from a worker."""
        for number, parked in moved:
            if self.custody.holder(number) == slot:
                self._wait(number, parked=parked)
        self.assign()

    def lost(self, number: int) -> None:
        """Answer for a connection whose bytes, already read, are lost."""
        self._answer(number, Cause.LOST, "")

    def contradicted(self, slot: int, number: int) -> None:
        """
        Shut a connection whose worker gave it back in the middle of a request.

        The worker contradicts the ledger, which says that the request is not finished.
        """
        if self.custody.holder(number) == slot:
            self.custody.forget(number)
            self._effects.append(Shut(number))

    def returned(self, number: int) -> None:
        """Assign again a connection that was lent to a replacement."""
        if number in self.custody.lent:
            self.custody.wait(number)
            self.assign()

    def assign(self) -> None:
        """Hand the waiting connections to serving workers; the others go on waiting."""
        batches: dict[int, list[int]] = {}
        serving = self.serving()
        if serving:
            for number in [*self.custody.parked, *self.custody.waiting]:
                slot = min(serving, key=self.custody.load)
                self.custody.give(number, slot)
                batches.setdefault(slot, []).append(number)
        for slot, numbers in batches.items():
            self._effects.append(HandOver(slot, tuple(numbers)))
        if self.duty:
            self.leave_to_desk()

    def serving(self) -> list[int]:
        """Return the workers that can take connections."""
        return self._roster.of(self.generation, State.SERVING)

    def leave_to_desk(self) -> None:
        """Hand waiting connections to the desk, which reads them, and parks or answers."""
        numbers = tuple(self.custody.waiting)
        if self.duty:  # there is an answer even to those that wait for an action
            numbers += tuple(self.custody.parked)
        if numbers:
            for number in numbers:
                self.custody.give(number, self._roster.desk)
            self._effects.append(HandOver(self._roster.desk, numbers, self.duty, self.detail))

    def take_back(self, slot: int, *, leave: bool = False) -> None:
        """Take back a worker's connections; with ``leave``, it leaves after its last answer."""
        if leave or self.custody.load(slot):
            self._effects.append(TakeBack(slot, leave))

    def reopen(self) -> None:
        """Take back the desk's connections, because a worker can take connections again."""
        if self.serving():
            self.take_back(self._roster.desk)

    def share_out(self) -> None:
        """
        Take back all connections of the workers that hold more than their share.

        This is called when one more worker serves.
        """
        peers = self.serving()
        share = sum(map(self.custody.load, peers)) // len(peers)
        for slot in peers:
            if self.custody.load(slot) > share:
                self.take_back(slot)

    def settle(self, slot: int, debts: Iterable[tuple[int, Debt]], cause: Cause, how: str) -> bool:
        """Settle the debts of a dead worker; return True if a request caused its death."""
        of_request = False
        for number, debt in debts:
            if self.custody.holder(number) != slot:
                continue
            if debt is Debt.BROKEN:
                self.custody.forget(number)
                self._effects.append(Shut(number))
            elif debt is Debt.LOST and cause is not Cause.OUT_OF_MEMORY:
                self._answer(number, Cause.LOST, how)
            elif debt is Debt.ANSWER or debt is Debt.LOST:  # a large body is too much as it is read
                of_request = True
                self._answer(number, cause, how)
            else:
                self._wait(number, parked=debt is Debt.PARKED)
        self.custody.bury(slot)
        return of_request

    def _wait(self, number: int, *, parked: bool) -> None:
        if parked and len(self.custody.parked) >= PARKED_LIMIT:
            self._answer(number, Cause.BUSY, "")
        else:
            self.custody.wait(number, parked=parked)

    def _answer(self, number: int, cause: Cause, detail: str) -> None:
        self.custody.give(number, self._roster.desk)
        self._effects.append(AnswerFor(self._roster.desk, number, cause, detail))
