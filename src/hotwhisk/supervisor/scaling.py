"""
Start the workers of a generation, and have those exit that it does not need.

Pure, and a part of `rollout`. A generation should have ``policy.workers`` workers. While requests
wait for a busy worker, it may have more, up to ``policy.most_workers``. `demand` finds such
requests, and the workers that are idle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hotwhisk.ipc.messages import Stop
from hotwhisk.supervisor.commands import Artifact, Command, Kill, Load, Send, Spawn, StartWorker
from hotwhisk.supervisor.dispatcher import Dispatcher
from hotwhisk.supervisor.generation import Generation, Policy
from hotwhisk.supervisor.workers import Event, State, Workers

ALIVE = (State.LOADING, State.SERVING, State.BUSY)
"""The states of the workers that a generation has; the others are on their way out."""

LOADING_AT_ONCE = 4
"""Most workers that load at a time, so that those that serve still get processor time."""


class Scaling:
    """
    Starts workers, and has idle ones exit. ``has_room`` returns whether slots and descriptors
    suffice for further ones.
    """

    def __init__(
        self,
        policy: Policy,
        workers: Workers,
        dispatcher: Dispatcher,
        commands: deque[Command],
        has_room: Callable[[], bool],
    ) -> None:
        self._policy = policy
        self._workers = workers
        self._dispatcher = dispatcher
        self._commands = commands
        self._has_room = has_room
        self.stopping = False
        """Whether the server stops."""
        self.has_memory = True
        """Whether there was memory for a further worker at the latest tick; see `single_run`."""

    def start(self, artifact: Artifact, generation: int) -> int:
        """
        Start a worker of ``generation``, and return its slot. If there is a template, it forks the
        worker. If there is none, the spare loads the artifact, and a new spare is started.
        """
        template = self._workers.templates.get(generation)
        slot = self._workers.spare if template is None else self._workers.allocate()
        self._workers.apply(slot, Event.LOAD)
        self._workers[slot].generation = self._workers[slot].folder = generation
        if template is not None:
            self._commands.append(Spawn(slot, template))
            return slot
        self._dispatcher.recall(slot)
        self._commands.append(Load(slot, generation, artifact))
        self._workers.replace_spare()
        return slot

    def not_spawned(self, slot: int, current: Generation) -> None:
        """
        Fork and load the worker in ``slot``, because the template did not fork it.

        If another generation is current now, the artifact is released, so the worker is killed.
        """
        worker = self._workers[slot]
        self._commands.append(StartWorker(slot))
        wanted = worker.state is State.LOADING and worker.generation == current.number
        if wanted and current.artifact is not None:
            self._commands.append(Load(slot, worker.generation, current.artifact))
            if self.stopping:
                self._commands.append(Send(slot, Stop()))
        else:
            self._workers.apply(slot, Event.FAILED)
            self._commands.append(Kill(slot))

    def ban_template(self, generation: int) -> None:
        """Kill the template of a generation, because its workers fail; they leave no other."""
        self._workers.ban_template(generation)

    def start_missing(self, current: Generation) -> None:
        """Start workers until the generation has as many as it should."""
        there = self._workers.in_generation(current.number, *ALIVE)
        if len(there) < self._policy.workers:
            self._start(current, self._policy.workers - len(there))

    def may_grow(self, current: Generation) -> bool:
        """Return whether the generation may have more workers than it has."""
        wanted = not self.stopping and current.retry_at is None
        return wanted and 0 < self.count(current) < self._policy.most_workers and self._has_room()

    def growth(self, current: Generation, needed: int) -> int:
        """Return how many workers to start so that ``needed`` load; none if it is not positive."""
        loading = len(self._workers.in_generation(current.number, State.LOADING))
        room = self._policy.most_workers - self.count(current)
        return min(needed - loading, LOADING_AT_ONCE - loading, room)

    def grow(self, current: Generation, needed: int) -> None:
        """Start workers until ``needed`` of them load, as far as the limits allow."""
        if self.may_grow(current):
            self._start(current, self.growth(current, needed))

    def has_surplus(self, current: Generation) -> bool:
        """Return whether the generation has more workers than it should."""
        return self.count(current) > self._policy.workers

    def drain(self, slot: int) -> None:
        """Have a worker exit that is not needed; its connections go to the others."""
        if self._workers.apply(slot, Event.NOT_NEEDED):
            self._dispatcher.recall(slot, drain=True)

    def count(self, current: Generation) -> int:
        """Return how many workers of the generation load or serve."""
        return len(self._workers.in_generation(current.number, *ALIVE))

    def _start(self, current: Generation, count: int) -> None:
        if current.artifact is None:
            return
        if current.retry_at is not None and (current.unstable or self.count(current)):
            return
        for _ in range(count):
            self.start(current.artifact, current.number)
