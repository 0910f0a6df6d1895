"""
The live workers and what each is.

Pure. Slots are places in the ledger, used again after a death.
"""

from __future__ import annotations

from collections import deque

from hotwhisk.answers import Cause
from hotwhisk.supervisor.effects import Effect, Fork
from hotwhisk.supervisor.lifecycle import Event, State, step

SLOTS_KEPT = 32
"""Slots that a replacement leaves free, for desks and for workers in the place of dead ones."""


class Worker:
    """A live worker. If the supervisor killed it, ``doom`` is the reason."""

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.state = State.BLANK
        self.generation = 0
        self.overlap = False
        self.doom: tuple[Cause, str] | None = None

    @property
    def is_loading_or_failed(self) -> bool:
        """Return whether the worker has not become ready, and will not."""
        return self.state is State.LOADING or (self.state is State.DOOMED and self.doom is None)


class Roster:
    """All live workers by slot. One of them is the desk, which exists from the first moment."""

    def __init__(self, slots: int, effects: deque[Effect]) -> None:
        self.workers: dict[int, Worker] = {}
        self._effects = effects
        self._free = deque(range(slots))
        self.desk = self._fork()

    def __getitem__(self, slot: int) -> Worker:
        return self.workers[slot]

    def has_room(self, workers: int) -> bool:
        """Return whether so many workers can be started beside all slots of retired workers."""
        return len(self._free) >= SLOTS_KEPT + workers

    def step(self, slot: int, event: Event) -> bool:
        """Apply an event to a worker; return False if it means nothing in the worker's state."""
        worker = self.workers[slot]
        state = step(worker.state, event)
        if state is None:
            return False
        worker.state = state
        return True

    def renew_desk(self) -> None:
        """Start a fresh desk in place of one that died or has become a worker."""
        self.desk = self._fork()

    def enlist(self) -> int:
        """Add a worker that is not made from the desk; return its slot. Its loader starts it."""
        slot = self._free.popleft()
        self.workers[slot] = Worker(slot)
        return slot

    def bury(self, slot: int) -> Worker:
        """Forget a dead worker, and return it."""
        worker = self.workers.pop(slot)
        self._free.append(slot)
        if slot == self.desk:
            self.renew_desk()
        return worker

    def of(self, generation: int, *states: State) -> list[int]:
        """Return the slots of a generation's workers in one of ``states``, or in any state."""
        return [
            slot
            for slot, worker in self.workers.items()
            if worker.generation == generation and (not states or worker.state in states)
        ]

    def _fork(self) -> int:
        slot = self.enlist()
        self._effects.append(Fork(slot))
        return slot
