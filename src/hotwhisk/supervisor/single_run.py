"""
The rules for workers that serve one run only, which is ``--fresh``.

Pure, and a part of `rollout`. The least number of ``--workers`` says how many workers stand ready,
the most how many there are at one time: those that load, stand ready, run, or exit after their run.
A template forks them. A worker sends `RunBegun` before it calls the handler. From then on it drains
as any other worker does: its other connections go on to others, and after its answer it exits. So
another one is started when a run begins, and not when it ends.

While a worker is in its run, it can take nothing else. So a worker gets few connections, and gets
one request that is parked at a time. All other connections are with the spare, which reads them
and parks each ``/run``. A connection whose client is idle stays there, however many runs begin.
"""

from __future__ import annotations

from itertools import islice

from hotwhisk.ipc.messages import Stop
from hotwhisk.supervisor.commands import Artifact, Assign, Send
from hotwhisk.supervisor.dispatcher import Dispatcher, Queue
from hotwhisk.supervisor.generation import Generation
from hotwhisk.supervisor.scaling import Scaling
from hotwhisk.supervisor.workers import State

READY = (State.LOADING, State.SERVING)
"""The states of the workers that stand ready, or soon will."""

SHARED = 2
"""
Most connections with which a worker gets a new one. The client of a new connection sends its
request at once; the client of the other one may be idle.
"""


class SingleRunDispatcher(Dispatcher):
    """Distributes connections among workers of which each serves one run."""

    _spare_refuses = False
    """Whether the spare has connections on which it answers, and does not park, a ``/run``."""

    def accepted(self, number: int) -> None:
        """Assign a new connection."""
        serving, count = self._workers.serving, self.owners.count
        if serving and not self.owners.waiting and not self._recalling:
            slot = min(serving, key=count)
            if count(slot) < SHARED:
                self._assign(slot, number)
                return
        self.owners.move(number, Queue.WAITING)
        self.assign_waiting()

    def assign_waiting(self) -> None:
        """
        Assign one parked request to each worker, and another connection to each that has none.

        The spare gets the rest. If no worker serves, one is loading, and they wait for it.
        """
        owners, serving = self.owners, self._workers.serving
        if not owners.parked and not owners.waiting:
            return
        free = [] if self._recalling else list(serving)
        for number in list(islice(owners.parked, len(free))):
            slot = self._freest(free, ())
            free.remove(slot)
            self._assign(slot, number)
        free = [slot for slot in free if not owners.count(slot)]
        for slot, number in zip(free, list(owners.waiting), strict=False):
            self._assign(slot, number)
        if self.run_error or (serving and not self._recalling):
            self.give_to_spare()

    def give_to_spare(self) -> None:
        """See `Dispatcher`."""
        self._spare_refuses = self._spare_refuses or bool(self.run_error)
        super().give_to_spare()

    def recall_from_spare(self) -> None:
        """Recall the spare's connections if it would answer on them; else they can stay there."""
        if self._spare_refuses and self._workers.serving:
            self._spare_refuses = False
            super().recall_from_spare()

    def rebalance(self) -> None:
        """Do nothing: no worker has more than a few connections."""

    def _assign(self, slot: int, number: int) -> None:
        self.owners.move(number, slot)
        self._commands.append(Assign(slot, (number,)))


class SingleRunScaling(Scaling):
    """Starts a worker for each one that has begun its run."""

    def start_missing(self, current: Generation) -> None:
        """
        Start workers until enough of them stand ready, if there may be so many.

        Those in a run count too. If there are as many as the least number, more are started only if
        there is room. When the server stops, they are started as long as there are connections.
        """
        if self.stopping and not len(self._dispatcher.owners):
            return
        alive = len(self._workers.in_generation(current.number))
        ready = len(self._workers.in_generation(current.number, *READY))
        missing = min(self._policy.workers - ready, self._policy.most_workers - alive)
        least = self._policy.workers
        while missing > 0 and (alive < least or (self.has_memory and self._has_room())):
            self._start(current, 1)
            missing, alive = missing - 1, alive + 1

    def start(self, artifact: Artifact, generation: int) -> int:
        """See `Scaling`. When the server stops, the worker and a new spare are told so."""
        slot = super().start(artifact, generation)
        for each in {slot, self._workers.spare} if self.stopping else ():
            self._commands.append(Send(each, Stop()))
        return slot

    def may_grow(self, _: Generation) -> bool:
        """Return False: a worker is started for each run, not for requests that wait."""
        return False

    def has_surplus(self, _: Generation) -> bool:
        """Return False: there are never more workers ready than there should be."""
        return False

    def ban_template(self, generation: int) -> None:
        """Kill the template of a generation; the next worker that loads leaves another."""
        self._workers.end_template(generation)


SINGLE_RUN = (SingleRunDispatcher, SingleRunScaling)
