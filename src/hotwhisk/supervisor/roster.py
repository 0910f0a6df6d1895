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
    """What is known of a live worker. ``doom`` is why it was killed by us, if it was."""

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.state = State.BLANK
        self.generation = 0
        self.overlap = False
        self.doom: tuple[Cause, str] | None = None

    @property
    def is_loading_or_failed(self) -> bool:
        """Whether it has not become ready, and will not."""
        return self.state is State.LOADING or (self.state is State.DOOMED and self.doom is None)


class Roster:
    """All live workers by slot. One of them is the desk; it is there from the first moment on."""

    def __init__(self, slots: int, effects: deque[Effect]) -> None:
        self.workers: dict[int, Worker] = {}
        self._effects = effects
        self._free = deque(range(slots))
        self.desk = self._fork()

    def __getitem__(self, slot: int) -> Worker:
        return self.workers[slot]

    def has_room(self, workers: int) -> bool:
        """Whether so many workers can be started beside all that retired ones hold."""
        return len(self._free) >= SLOTS_KEPT + workers

    def step(self, slot: int, event: Event) -> bool:
        """Let an event happen to a worker; False if it means nothing in its state."""
        worker = self.workers[slot]
        state = step(worker.state, event)
        if state is None:
            return False
        worker.state = state
        return True

    def renew_desk(self) -> None:
        """A fresh desk takes the place of one that died or has become a worker."""
        self.desk = self._fork()

    def enlist(self) -> int:
        """The slot of a worker that is not made of the desk; whoever loads it makes its process."""
        slot = self._free.popleft()
        self.workers[slot] = Worker(slot)
        return slot

    def bury(self, slot: int) -> Worker:
        """Forget a dead worker."""
        worker = self.workers.pop(slot)
        self._free.append(slot)
        if slot == self.desk:
            self.renew_desk()
        return worker

    def of(self, generation: int, *states: State) -> list[int]:
        """The slots of a generation's workers that are in one of ``states``, or in any."""
        return [
            slot
            for slot, worker in self.workers.items()
            if worker.generation == generation and (not states or worker.state in states)
        ]

    def _fork(self) -> int:
        slot = self.enlist()
        self._effects.append(Fork(slot))
        return slot
