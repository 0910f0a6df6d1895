"""
The live workers and what each is.

Pure. Slots are places in the scoreboard, used again after a death.
"""

from __future__ import annotations

from collections import deque

from hotwhisk.openwhisk.answers import Cause
from hotwhisk.supervisor.commands import Command, StartWorker
from hotwhisk.supervisor.lifecycle import Event, State, step

RESERVED_SLOTS = 32
"""Slots that a replacement leaves free, for spares and for workers in the place of dead ones."""


class Worker:
    """A live worker. If the supervisor killed it, ``kill_reason`` is the reason."""

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.state = State.SPARE
        self.generation = 0
        self.overlap = False
        self.kill_reason: tuple[Cause, str] | None = None

    @property
    def is_loading_or_failed(self) -> bool:
        """Return whether the worker has not become ready, and will not."""
        return self.state is State.LOADING or (
            self.state is State.KILLED and self.kill_reason is None
        )


class Workers:
    """All live workers by slot. One of them is the spare, which exists from the first moment."""

    def __init__(self, slots: int, commands: deque[Command]) -> None:
        self.by_slot: dict[int, Worker] = {}
        self._commands = commands
        self._free = deque(range(slots))
        self.spare = self._fork()

    def __getitem__(self, slot: int) -> Worker:
        return self.by_slot[slot]

    def has_room(self, workers: int) -> bool:
        """Return whether so many workers can be started beside all slots of retired workers."""
        return len(self._free) >= RESERVED_SLOTS + workers

    def apply(self, slot: int, event: Event) -> bool:
        """Apply an event to a worker; return False if it means nothing in the worker's state."""
        worker = self.by_slot[slot]
        state = step(worker.state, event)
        if state is None:
            return False
        worker.state = state
        return True

    def replace_spare(self) -> None:
        """Start a fresh spare in place of one that died or has become a worker."""
        self.spare = self._fork()

    def allocate(self) -> int:
        """Add a worker that is not made from the spare; return its slot. Its loader starts it."""
        slot = self._free.popleft()
        self.by_slot[slot] = Worker(slot)
        return slot

    def remove(self, slot: int) -> Worker:
        """Forget a dead worker, and return it."""
        worker = self.by_slot.pop(slot)
        self._free.append(slot)
        if slot == self.spare:
            self.replace_spare()
        return worker

    def in_generation(self, generation: int, *states: State) -> list[int]:
        """Return the slots of a generation's workers in one of ``states``, or in any state."""
        return [
            slot
            for slot, worker in self.by_slot.items()
            if worker.generation == generation and (not states or worker.state in states)
        ]

    def _fork(self) -> int:
        slot = self.allocate()
        self._commands.append(StartWorker(slot))
        return slot
