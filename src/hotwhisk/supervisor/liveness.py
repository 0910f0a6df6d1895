"""
Find workers that do not answer.

A worker that runs a handler may take its time, until the deadline. Any other worker must read at
once what its clients send. A worker with unread bytes or a claim is sent a ping at the tick. If it
has neither answered nor read anything by the next tick, it is stuck: a task that the action left
running blocks its loop, a thread has the interpreter's lock, or a SIGSTOP stops the process. Its
connections are moved then. If one cannot be moved, the worker is killed after it has been silent
for as long as a handler may take. If it answers before that, it serves again.

A silent spare runs no action, so a new spare takes its place at once.

A worker that closed its channel cannot be told anything, and its messages do not arrive. It is
killed as soon as it is not answering a request.
"""

from __future__ import annotations

from enum import StrEnum

from hotwhisk.ipc.scoreboard import RUNS, Phase
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.supervisor.workers import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.supervisor.parts import Parts
    from hotwhisk.supervisor.process import Process

SOON = 0.125
"""Seconds until the next tick, after a sleep, a ping or a stuck worker."""

SPARE_LIMIT = 1.0
"""Seconds for which a spare may be silent before it is killed."""

LOAD_LIMIT = 1.0
"""Seconds within which a spare has to begin to load."""


class Watched(StrEnum):
    """What the watchdog watches of a worker, besides its state."""

    SILENT = "silent"
    """It does not answer a ping."""
    LEAVING = "leaving"
    """It drains and has no connection: it runs its atexit functions, and exits."""
    REPLACED = "replaced"
    """It is of an earlier generation and has connections: it ends what it runs."""


ANSWERING = (*RUNS, Phase.RESPONDING, Phase.LINGERING)
"""Phases of a connection whose worker is not killed for a closed channel."""


class Liveness:
    """Sends pings to workers, and remembers the silent ones."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._doubted: set[int] = set()
        self.unread: dict[int | None, set[int]] = {}
        """The unread connections of each worker at this tick, and those that no worker has."""
        self._unread_when_asked: dict[int, set[int]] = {}
        self._unreachable: dict[Process, float] = {}
        """The unreachable workers, each with the time of the tick that found it."""
        self.urgent = False
        """Whether the next tick should come soon."""

    def find_silent(self, *, stopping: bool) -> list[tuple[tuple[Watched, int], float]]:
        """Return the workers that are silent at this tick, each with the time of its ping."""
        self.urgent = False
        self._doubted = self.suspects(stopping=stopping)
        self._end_unreachable()
        processes = self._parts.processes.by_slot
        for slot, process in processes.items():
            if process.silent and self._has_read(slot):
                process.silent = False  # it is busy, and reads other messages before the ping
        return [
            ((Watched.SILENT, slot), processes[slot].asked)
            for slot in self._doubted
            if processes[slot].silent
        ]

    def _end_unreachable(self) -> None:
        """
        Kill the workers that closed their channel, unless they are answering a request.

        A worker that exits closes its channel too, so it is given one tick to do so.
        """
        parts, now = self._parts, self._parts.system.now()
        processes = parts.processes
        found = {
            each: self._unreachable.get(each, now)
            for each in processes.by_slot.values()
            if each.unreachable and not processes.has_exited(each)
        }
        if found:
            self.urgent = True
            owner = parts.rollout.dispatcher.owners.owner
            answering = {
                owner(each) for phase in ANSWERING for each in parts.scoreboard.in_phase(phase)
            }
            for process, since in found.items():
                if now - since > SOON / 2 and process.slot not in answering:
                    parts.log(
                        f"worker {process.pid} is ended: its channel to the server is closed; "
                        "an action may close only descriptors that it has opened",
                        LogEvent.WORKER_ENDED,
                    )
                    processes.kill(process.slot)
                    process.unreachable = False
        self._unreachable = found

    def suspects(self, *, stopping: bool = False) -> set[int]:
        """
        Return the workers that run no handler, and have something unread or claimed.

        When the server stops, these are all workers that have a connection, because each must close
        its idle ones.
        """
        parts = self._parts
        scoreboard, owners = parts.scoreboard, parts.rollout.dispatcher.owners
        inputs = parts.sockets.inputs
        inputs.watch(parts.sockets.descriptors)
        self.unread = {}
        for number in inputs.find():
            self.unread.setdefault(owners.owner(number), set()).add(number)
        running = {owners.owner(each) for phase in RUNS for each in scoreboard.in_phase(phase)}
        found = set()
        for slot, worker in parts.rollout.workers.by_slot.items():
            if worker.state in (State.LOADING, State.TEMPLATE, State.KILLED):
                continue
            must_answer = slot in self.unread or scoreboard.claimed(slot) >= 0
            if worker.state is State.BUSY:  # its connections were moved, but its ping is open
                must_answer = must_answer or parts.processes.by_slot[slot].silent
            if worker.generation == 0:  # a spare runs no handler, so it must answer at once
                must_answer = must_answer or slot in running or parts.rollout.jobs.waits_for(slot)
            elif slot in running:
                must_answer = False
            if must_answer or (stopping and owners.count(slot) and slot not in running):
                found.add(slot)
        return found

    def _has_read(self, slot: int) -> bool:
        """Return whether a worker has read from a connection that was unread at its ping."""
        owner = self._parts.rollout.dispatcher.owners.owner
        read = self._unread_when_asked.get(slot, set()) - self.unread.get(slot, set())
        return any(owner(number) == slot for number in read)  # the others were moved or are closed

    def doubt(self, slot: int) -> None:
        """Have `send_pings` ask a worker too, or find it stuck if it has not answered before."""
        self._doubted.add(slot)

    def kill_silent(self, slot: int, age: float) -> None:
        """Kill a worker if it has been silent for longer than its limit."""
        rollout, limit = self._parts.rollout, self._parts.config.timeout
        if rollout.workers[slot].generation == 0:
            if age > SPARE_LIMIT:
                self._parts.processes.kill(slot)
        elif age > limit:
            rollout.run_timed_out(slot, Cause.TIMED_OUT, f"{limit:.3g} s")

    def is_not_loading(self, slot: int, age: float) -> bool:
        """
        Return whether a spare that was told to load ``age`` seconds ago has not begun yet.

        Then the message is still in its channel. When the server stops, a later message may be.
        """
        process, rollout = self._parts.processes.by_slot[slot], self._parts.rollout
        if age <= LOAD_LIMIT or process.pending or rollout.stopping:
            return False
        return process.channel.unread

    def send_pings(self, now: float) -> None:
        """
        At the end of a tick, send pings to the doubted workers.

        A worker that has been silent since the last tick counts as stuck.
        """
        rollout, processes = self._parts.rollout, self._parts.processes.by_slot
        for slot in self._unread_when_asked.keys() - processes.keys():
            del self._unread_when_asked[slot]
        for slot, process in list(processes.items()):
            if process.pending or slot not in rollout.workers.by_slot:
                continue
            if slot not in self._doubted:
                process.silent = False
            elif not process.silent:
                process.ping(now)
                self._unread_when_asked[slot] = self.unread.get(slot, set())
                self.urgent = True
            elif now - process.asked > SOON / 2 and rollout.stuck(slot):
                self.urgent = True
