"""
Find requests that wait for a busy worker, and workers that are idle.

A worker that calls a synchronous handler reads nothing else meanwhile. So a request waits if its
bytes are unread at a tick, and its connection is with such a worker or with none. If it waited at
the tick before too, it goes to an idle worker. If no worker is idle, a further one is started, as
far as ``--workers`` and the limit of memory allow. A worker whose runs overlap reads at once, so
what is unread there does not wait, unless a run blocks the event loop.

A further worker exits when it was idle for `IDLE_LIMIT`; at most one does at each tick. While there
are any, the server ticks.
"""

from __future__ import annotations

from collections.abc import Mapping

from hotwhisk.ipc.scoreboard import MOVABLE, RUNS
from hotwhisk.supervisor.scaling import ALIVE
from hotwhisk.supervisor.workers import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.supervisor.parts import Parts

EARLY_TICK = 0.02
"""Seconds until the next tick while a request waits and a worker could take it."""

IDLE_LIMIT = 5.0
"""Seconds that a further worker may be idle. The time of a paused container counts too."""

FULL_SIZE = (State.DRAINING, State.SERVING, State.BUSY)
"""States in which a worker has as much memory as a further one will have."""

Unread = Mapping[int | None, set[int]]
"""By worker, its connections with unread bytes; under None, those that no worker has."""


class Demand:
    """Moves waiting requests to idle workers; has further workers started, and idle ones exit."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._fixed = parts.config.workers.most == 1
        self._single_run = parts.config.fresh
        self._waiting: dict[int, float] = {}
        """The connections that waited at the latest tick, each with the start of its last run."""
        self._idle_since: dict[int, float] = {}
        self.urgent = False
        """Whether the next tick should come soon."""
        self.ticks = False
        """Whether there are further workers, which may have to exit."""

    def update(self, now: float, unread: Unread) -> None:
        """Move requests, and start or end workers; ``unread`` is what was found at this tick."""
        if self._single_run:
            self._check_memory()
        if self._fixed or self._single_run:
            return
        rollout = self._parts.rollout
        before, self._waiting = self._waiting, self._find_waiting(unread)
        waited = {each for each, since in self._waiting.items() if before.get(each) == since}
        free = self._free()
        idle = [slot for slot in free if slot not in unread]
        for slot in self._overloaded(unread, waited, free) if idle else ():
            rollout.dispatcher.recall(slot)
        needed = len(waited) + len(rollout.dispatcher.owners.parked) - len(free)
        may_grow = rollout.scaling.may_grow(rollout.current) and (needed <= 0 or self._grow(needed))
        # Also one tick after the last one waited: it may just have been moved.
        self.urgent = bool(self._waiting or before) and (bool(idle) or may_grow)
        self._drain_idle(now, idle)

    def _check_memory(self) -> None:
        """Find out, with ``--fresh``, whether memory has room for more than the least workers."""
        rollout, processes = self._parts.rollout, self._parts.processes.by_slot
        there = rollout.workers.in_generation(rollout.current.number, *FULL_SIZE)
        more = len(there) > rollout.policy.workers
        pids = [processes[slot].pid for slot in there if slot in processes]
        rollout.scaling.has_memory = not more or self._parts.system.room_for(pids) > 0

    def _grow(self, needed: int) -> bool:
        """Start workers for waiting requests; return False if there is no memory for one more."""
        rollout = self._parts.rollout
        if rollout.scaling.growth(rollout.current, needed) <= 0:
            return True  # enough of them load, so no file of /proc is read
        room = self._room()
        if room:
            rollout.scaling.grow(rollout.current, min(needed, room))
        return room > 0

    def _find_waiting(self, unread: Unread) -> dict[int, float]:
        """Return the requests that no worker reads, each with the start of the run before it."""
        scoreboard, sockets = self._parts.scoreboard, self._parts.sockets
        return {
            number: scoreboard.row(number).since
            for slot, numbers in unread.items()
            if slot is None or self._runs_one_at_a_time(slot)
            for number in numbers
            if scoreboard.phase(number) in MOVABLE and sockets.is_unread(number)
        }

    def _overloaded(self, unread: Unread, waited: set[int], free: list[int]) -> list[int]:
        """Return the workers with a request that waited, and something else to do before it."""
        return [
            slot
            for slot, numbers in unread.items()
            if slot is not None and waited & numbers and (slot not in free or len(numbers) > 1)
        ]

    def _runs_one_at_a_time(self, slot: int) -> bool:
        worker = self._parts.rollout.workers[slot]
        return worker.generation > 0 and not worker.overlap

    def _free(self) -> list[int]:
        """Return the workers that use no connection and run nothing."""
        scoreboard, rollout = self._parts.scoreboard, self._parts.rollout
        owner = rollout.dispatcher.owners.owner
        busy = {owner(number) for phase in RUNS for number in scoreboard.in_phase(phase)}
        serving = rollout.workers.serving
        return [slot for slot in serving if slot not in busy and scoreboard.claimed(slot) < 0]

    def _room(self) -> int:
        """Return how many further workers memory has room for, if each is like the present ones."""
        rollout, processes = self._parts.rollout, self._parts.processes.by_slot
        slots = rollout.workers.in_generation(rollout.current.number, *ALIVE)
        if all(rollout.workers[slot].state is State.LOADING for slot in slots):
            return 0
        # One for which there is no process yet has the number 0.
        pids = [processes[slot].pid if slot in processes else 0 for slot in slots]
        return self._parts.system.room_for(pids)

    def _drain_idle(self, now: float, idle: list[int]) -> None:
        """Have one worker exit that was idle for long, if there are more than there should be."""
        rollout, processes = self._parts.rollout, self._parts.processes.by_slot
        self._idle_since = {slot: self._idle_since.get(slot, now) for slot in idle}
        self.ticks = rollout.scaling.has_surplus(rollout.current)
        long = [slot for slot in idle if now - self._idle_since[slot] >= IDLE_LIMIT]
        if long and self.ticks:
            rollout.scaling.drain(max(long, key=lambda slot: processes[slot].started))
