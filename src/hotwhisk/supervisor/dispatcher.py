"""
Which worker has each connection, and which worker gets the next.

Pure. A connection has one owner at a time, a worker or the supervisor. With the supervisor it
waits, because the supervisor keeps a duplicate of every socket and reads none.

A new connection goes to the worker of the current generation that has the fewest. One that waited
goes to a worker that is not busy; else its request would wait again. If no worker can take it, it
waits for one that is starting. After a tick the spare takes it, so that an ``/init`` is seen, and
parks a ``/run``. If there is a ``run_error``, the spare takes it at once, and answers a ``/run``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, KeysView
from enum import Enum

from hotwhisk.openwhisk.answers import Cause
from hotwhisk.supervisor.commands import (
    Assign,
    CloseConnection,
    Command,
    Label,
    Recall,
    Recovery,
    SendError,
)
from hotwhisk.supervisor.workers import Event, Workers

PARKED_LIMIT = 1024
"""Most ``/run``s that are read and wait for a worker that is not busy."""

Moved = Iterable[tuple[int, bool]]
"""Reclaimed connections, each with whether it is parked."""


class Queue(Enum):
    """The queues of connections that no worker has."""

    WAITING = "waiting"
    """Any worker can have it."""
    PARKED = "parked"
    """A whole ``/run`` was read on it, so only a worker with an action can have it."""
    INIT_PENDING = "init pending"
    """It sent an ``/init`` that is being carried out."""


class Owners:
    """
    The place of each connection: a worker, by its slot, or a queue of the supervisor.

    One record for each connection, so that it is never in two places.
    """

    def __init__(self) -> None:
        self._places: dict[int, int | Queue] = {}
        self._numbers: dict[int | Queue, dict[int, None]] = {each: {} for each in Queue}
        """The connections in each place, the oldest first."""
        self.waiting = self._numbers[Queue.WAITING]
        self.parked = self._numbers[Queue.PARKED]
        self.init_pending = self._numbers[Queue.INIT_PENDING]

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, number: int) -> bool:
        return number in self._places

    def owner(self, number: int) -> int | None:
        """Return the worker that has a connection; None if no worker has it."""
        place = self._places.get(number)
        return None if isinstance(place, Queue) else place

    def is_owned(self, number: int) -> bool:
        """Return whether a worker has a connection."""
        return type(self._places.get(number)) is int

    def owned(self, worker: int) -> KeysView[int]:
        """
        Return the connections that a worker has now, in the order in which it got them.

        After a recall they are queued in this order. In any other order, the same few clients could
        be served again and again, and the others never.
        """
        return dict(self._numbers.get(worker, {})).keys()

    def count(self, worker: int) -> int:
        """Return how many connections a worker has."""
        return len(self._numbers.get(worker, ()))

    def move(self, number: int, place: int | Queue) -> None:
        """Record that a worker has the connection from now on, or in which queue it is."""
        before = self._places.get(number)
        if before is not None:
            del self._numbers[before][number]
        self._places[number] = place
        self._numbers.setdefault(place, {})[number] = None

    def remove(self, number: int) -> None:
        """Forget a connection that is closed."""
        place = self._places.pop(number, None)
        if place is not None:
            del self._numbers[place][number]

    def remove_worker(self, worker: int) -> None:
        """Forget a worker that has no connection any more."""
        left = self._numbers.pop(worker, None)
        assert not left, f"worker {worker} was removed with connections {set(left)}"


class Dispatcher:
    """
    Distributes connections among the workers that serve.

    ``run_error`` is the cause of the error that the spare sends for a ``/run``; if it is empty, the
    spare parks the ``/run``. ``detail`` is a further text of that error. ``has_claim`` returns
    whether a worker uses a connection just now.
    """

    def __init__(
        self,
        workers: Workers,
        commands: deque[Command],
        has_claim: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self.owners = Owners()
        self.run_error: str = Cause.NO_ACTION
        self.detail = ""
        self.wants_tick = False
        """Whether a connection came since the latest tick that waits, or shares its worker."""
        self._workers = workers
        self._commands = commands
        self._has_claim = has_claim
        self._recalling: set[int] = set()
        """
        Serving workers with a `Recall` that is not carried out yet. It would also take what is
        assigned to them now, so no connection is assigned while there are any.
        """
        self._recalling_idle: set[int] = set()
        """The same for spares, and for the other workers that do not serve."""

    def accepted(self, number: int) -> None:
        """Assign a new connection."""
        serving = self._workers.serving
        if serving and not self.owners.waiting and not self._recalling:  # as nearly always
            slot = min(serving, key=self.owners.count) if serving[1:] else serving[0]
            self.owners.move(number, slot)
            self._commands.append(Assign(slot, (number,)))
            self.wants_tick = self.wants_tick or self.owners.count(slot) > 1
        else:
            self.wants_tick = True
            self.owners.move(number, Queue.WAITING)
            self.assign_waiting()

    def reclaimed(self, slot: int, moved: Moved) -> None:
        """Take the connections that were reclaimed from a worker, to assign them to others."""
        self._recalling.discard(slot)
        self._recalling_idle.discard(slot)
        for number, parked in moved:
            if self.owners.owner(number) == slot:
                self._queue(number, parked=parked)
        self.assign_waiting()

    def answer_lost(self, number: int) -> None:
        """Have the spare send an error, because the bytes that were read of a request are lost."""
        self._send_error(number, Cause.LOST, "")

    def close_contradicted(self, slot: int, number: int) -> None:
        """
        Close a connection whose worker released it in the middle of a request.

        The worker contradicts the scoreboard, which says that the request is not finished.
        """
        if self.owners.owner(number) == slot:
            self.owners.remove(number)
            self._commands.append(CloseConnection(number))

    def init_answered(self, number: int) -> None:
        """Assign a connection whose ``/init`` is answered."""
        if number in self.owners.init_pending:
            self.owners.move(number, Queue.WAITING)
            self.assign_waiting()

    def assign_waiting(self) -> None:
        """Assign the waiting connections to serving workers; the others go on waiting."""
        if not self.owners.parked and not self.owners.waiting:
            return
        batches: dict[int, list[int]] = {}
        serving = self._workers.serving
        if serving and not self._recalling:
            for number in [*self.owners.parked, *self.owners.waiting]:
                slot = self._freest(serving, batches) if serving[1:] else serving[0]
                self.owners.move(number, slot)
                batches.setdefault(slot, []).append(number)
        for slot, numbers in batches.items():
            self._commands.append(Assign(slot, tuple(numbers)))
        if self.run_error:
            self.give_to_spare()

    def _freest(self, serving: Collection[int], given: Collection[int]) -> int:
        """Return the worker that can begin a waiting request first; ``given`` ones just got one."""
        count = self.owners.count
        return min(serving, key=lambda slot: (slot in given or self._has_claim(slot), count(slot)))

    def give_to_spare(self) -> None:
        """Assign waiting connections to the spare, which reads them, and parks or answers."""
        numbers = tuple(self.owners.waiting)
        if self.run_error:  # there is an answer even to those that wait for an action
            numbers += tuple(self.owners.parked)
        if numbers and self._workers.spare not in self._recalling_idle:
            for number in numbers:
                self.owners.move(number, self._workers.spare)
            self._commands.append(Assign(self._workers.spare, numbers, self.run_error, self.detail))

    def drain(self, slot: int, *, keep: bool = False) -> None:
        """Have a worker finish what it has, then exit; with ``keep``, it stays for a roll-back."""
        if self._workers.apply(slot, Event.KEEP if keep else Event.DRAIN):
            self._commands.append(Recall(slot, drain=True, keep=keep))

    def recall(self, slot: int, *, drain: bool = False) -> None:
        """Recall a worker's connections; with ``drain``, it exits after its last answer."""
        if drain or (self.owners.count(slot) and slot not in self._recalling):
            serves = slot in self._workers.serving
            (self._recalling if serves else self._recalling_idle).add(slot)
            self._commands.append(Recall(slot, drain))

    def recall_rest(self, slot: int) -> None:
        """Recall the connections that a worker got while it began its only run on another one."""
        if self.owners.count(slot) > 1:
            self.recall(slot)

    def recall_from_spare(self) -> None:
        """Recall the spare's connections if a worker can take them."""
        if self._workers.serving:
            self.recall(self._workers.spare)

    def rebalance(self) -> None:
        """
        Recall the connections of each worker that has more than its share.

        This is called when one more worker serves.
        """
        peers = self._workers.serving
        share = sum(map(self.owners.count, peers)) // len(peers)
        for slot in peers:
            if self.owners.count(slot) > share:
                self.recall(slot)

    def recover(
        self,
        slot: int,
        recoveries: Iterable[tuple[int, Recovery]],
        cause: Cause,
        how: str,
        label: Label | None = None,
    ) -> bool:
        """
        Recover the connections of a dead worker; return whether a request was with it.

        An error for such a request names the version in ``label``, or the current one.
        """
        of_request = False
        self._recalling.discard(slot)
        self._recalling_idle.discard(slot)
        for number, recovery in recoveries:
            if self.owners.owner(number) != slot:
                continue
            if recovery in (Recovery.CLOSE, Recovery.CUT, Recovery.CUT_STREAM):
                of_request = of_request or recovery is Recovery.CUT_STREAM
                self.owners.remove(number)
                self._commands.append(CloseConnection(number))
            elif recovery is Recovery.LOST and cause is not Cause.OUT_OF_MEMORY:
                self._send_error(number, Cause.LOST, how)
            elif recovery in (Recovery.FAIL, Recovery.LOST):
                # FAIL; or LOST, as memory ran out: the body that was read was too large
                of_request = True
                self._send_error(number, cause, how, label)
            else:
                self._queue(number, parked=recovery is Recovery.QUEUE)
        self.owners.remove_worker(slot)
        return of_request

    def _queue(self, number: int, *, parked: bool) -> None:
        if parked and len(self.owners.parked) >= PARKED_LIMIT:
            self._send_error(number, Cause.BUSY, "")
        else:
            self.owners.move(number, Queue.PARKED if parked else Queue.WAITING)

    def _send_error(
        self, number: int, cause: Cause, detail: str, label: Label | None = None
    ) -> None:
        self.owners.move(number, self._workers.spare)
        self._commands.append(SendError(self._workers.spare, number, cause, detail, label))
