"""
The supervisor's rounds: a look at the ledger and the clock while anything is in flight.

Deadlines, hanging handlers, slow readers and late starters are all found here and nowhere
else. With nothing in flight there are no rounds: an idle server does not wake up.
"""

from __future__ import annotations

from collections.abc import Callable

from hotwhisk.answers import Cause
from hotwhisk.ledger import Phase
from hotwhisk.supervisor.ages import TICK, Ages
from hotwhisk.supervisor.lifecycle import State
from hotwhisk.supervisor.liveness import SILENT, SOON, Liveness
from hotwhisk.supervisor.supervisor import Supervisor

Key = tuple[Phase | State | str, int]

STUCK_AFTER = 0.2
"""Seconds in one synchronous run after which other connections stop waiting for it."""

LINGER_LIMIT = 2.0
"""Seconds that an answered client may go on sending before its connection is ended."""

SPAWN_LIMIT = 0.5
"""Seconds that a template has to fork a worker, which takes some milliseconds."""

LONG_LOAD = 2.0
"""Seconds of loading after which a line says so. The next line follows after twice as long."""

LEAVE_LIMIT = 5.0
"""Seconds that atexit functions of a retired action may take."""

FIRST_REQUEST_LIMIT = 1.0
"""Seconds that a stopping server waits for the first request of a fresh connection."""


class Rounds:
    """Finds what is overdue, and remembers since when."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._ages: Ages[Key] = Ages()
        self._quiet = 0
        self._tell_loading: dict[int, float] = {}
        """For each worker whose long load was logged, the age at which the next line is due."""
        self._liveness = Liveness(supervisor)
        self._began: dict[Key, float] = {}
        self.stopping_since: float | None = None

    def go(self, now: float) -> None:
        """Look once; stop the ticking if two looks in a row found nothing in flight."""
        crew = self._supervisor.crew
        crew.resting = False
        late = self._supervisor.try_again()
        self._supervisor.bear()
        for slot in crew.processes:
            self._supervisor.ledger.restore(slot)
        self._supervisor.stay_awake()
        stopping = self.stopping_since is not None
        keys = [*self._in_flight(), *self._liveness.begin(stopping=stopping)]
        if self._tell_loading:
            loading = {number for (kind, number), _ in keys if kind is State.LOADING}
            self._tell_loading = {
                slot: age for slot, age in self._tell_loading.items() if slot in loading
            }
        self._began = dict(keys)
        ages = self._ages.look(now, keys)
        for (kind, number), age in ages.items():
            CHECKS[kind](self, number, age)
        self._liveness.end(now)
        succession, assignment = self._supervisor.succession, self._supervisor.assignment
        succession.retry(now)
        assignment.leave_to_desk()
        if self.stopping_since is not None:
            self._hasten(now - self.stopping_since)
        busy = self._supervisor.keep_full() or late
        waiting = assignment.custody.waiting or crew.unborn() or busy
        self._quiet = 0 if keys or waiting or self._liveness.urgent else self._quiet + 1
        if self._quiet > 1 and succession.charge.retry_at is None and not stopping:
            self._supervisor.sleep()
            self._ages.rest()
            # A worker that began a run before it could see that sent no word: look once more.
            self._supervisor.system.barrier()
            if self._in_flight() or self._liveness.suspects():
                self._supervisor.ledger.ticking = True

    def interval(self) -> float:
        """Return how many seconds after this look the next one is due."""
        return SOON if self._liveness.urgent else TICK

    def _in_flight(self) -> list[tuple[Key, float]]:
        ledger, crew = self._supervisor.ledger, self._supervisor.crew
        is_held = self._supervisor.assignment.custody.is_held
        found: list[tuple[Key, float]] = [
            ((phase, number), ledger.row(number).since)
            for phase in (Phase.HANDLING, Phase.ANSWERING, Phase.LINGERING)
            for number in ledger.in_phase(phase)
            if is_held(number)  # if not, the table is wrong: a worker has written into it
        ]
        for slot, worker in self._supervisor.succession.roster.workers.items():
            if worker.state in (State.LOADING, State.RETIRED, State.DOOMED):
                found.append(((worker.state, slot), crew.processes[slot].started))
        return found

    def _handling(self, number: int, age: float) -> None:
        succession = self._supervisor.succession
        slot = self._supervisor.assignment.custody.holder(number)
        if slot is None:
            return
        row = self._supervisor.ledger.row(number)
        if row.since != self._began[Phase.HANDLING, number]:
            return  # answered meanwhile, and another request has begun
        worker = succession.roster[slot]
        if age > row.budget:
            succession.expired(slot, Cause.TIMED_OUT, f"{row.budget:.3g} s")
        elif age > STUCK_AFTER and worker.overlap:
            self._liveness.doubt(slot)  # many runs: only silence tells that one blocks the others
        elif age > STUCK_AFTER and worker.generation and worker.state is not State.LOADING:
            succession.stuck(slot)  # a desk that loads is let alone: it has an answer to give

    def _silent(self, slot: int, age: float) -> None:
        self._liveness.expire(slot, age)

    def _answering(self, number: int, age: float) -> None:
        slot = self._supervisor.assignment.custody.holder(number)
        if slot is not None and self._supervisor.crew.processes[slot].silent:
            return  # the worker is slow, not the client, and its answer may be out
        if age > self._supervisor.config.timeout:
            self._supervisor.holdings.shut(number)

    def _lingering(self, number: int, age: float) -> None:
        if age > LINGER_LIMIT:
            self._supervisor.holdings.shut(number)

    def _loading(self, slot: int, age: float) -> None:
        self._spawning(slot, age)
        limit = self._supervisor.config.init_timeout
        if age > limit:
            self._supervisor.succession.overdue(slot, f"{limit:g} s")
        elif self._liveness.is_not_loading(slot, age):
            self._supervisor.succession.stuck(slot)
        elif age > self._tell_loading.get(slot, LONG_LOAD):
            self._tell_loading[slot] = 2 * age
            generation = self._supervisor.succession.roster[slot].generation
            self._supervisor.tell(
                f"generation {generation} is still loading after {age:.0f} s; "
                f"it is given {limit:g} s (--init-timeout)"
            )

    def _retired(self, slot: int, age: float) -> None:
        custody = self._supervisor.assignment.custody
        if age > LEAVE_LIMIT and not custody.load(slot):
            self._supervisor.crew.kill(slot)

    def _spawning(self, slot: int, age: float) -> None:
        """Give up the template of a worker if it has not forked the worker in time."""
        template = self._supervisor.crew.processes[slot].template
        if template is not None and age > SPAWN_LIMIT:
            self._supervisor.hearing.nursery.give_up(template)

    def _hasten(self, age: float) -> None:
        """End what a stopping server must not wait for any longer."""
        supervisor = self._supervisor
        ledger, custody = supervisor.ledger, supervisor.assignment.custody
        if age > FIRST_REQUEST_LIMIT:
            self._end_idle()
        if age > supervisor.config.drain_timeout:
            # Who posted what still loads is told first.
            overdue = [*ledger.in_phase(Phase.IDLE), *ledger.in_phase(Phase.WAITING)]
            if not supervisor.succession.give_up_loading():
                overdue += custody.lent
            for number in overdue:
                supervisor.holdings.shut(number)
            for slot, worker in list(supervisor.succession.roster.workers.items()):
                # A desk is giving the answers that the others owed, so it is not ended.
                if custody.load(slot) and worker.generation:
                    supervisor.succession.expired(slot, Cause.STOPPING, "the stop")

    def _end_idle(self) -> None:
        """
        End the connections on which nothing came. Of one that is claimed the worker may just have
        read a request, which the ledger does not show yet.
        """
        supervisor = self._supervisor
        ledger, holdings = supervisor.ledger, supervisor.holdings
        idle = [each for each in ledger.in_phase(Phase.IDLE) if each in holdings.sockets]
        silent = [each for each in idle if not holdings.is_unread(each)]
        supervisor.system.barrier()
        claimed = {ledger.claimed(slot) for slot in supervisor.succession.roster.workers}
        for number in silent:
            if number not in claimed and ledger.phase(number) is Phase.IDLE:
                holdings.shut(number)


CHECKS: dict[Phase | State | str, Callable[[Rounds, int, float], None]] = {
    SILENT: Rounds._silent,
    Phase.HANDLING: Rounds._handling,
    Phase.ANSWERING: Rounds._answering,
    Phase.LINGERING: Rounds._lingering,
    State.LOADING: Rounds._loading,
    State.RETIRED: Rounds._retired,
    State.DOOMED: Rounds._spawning,
}
