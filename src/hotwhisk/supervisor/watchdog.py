"""
The watchdog: at each tick it compares the scoreboard with the clock.

Only it finds passed deadlines, stuck handlers, slow clients and slow loads. It ticks while anything
is in flight. So an idle server does not wake up.
"""

from __future__ import annotations

from hotwhisk.ipc.scoreboard import RUNS, Phase
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.supervisor.ages import TICK, Ages
from hotwhisk.supervisor.demand import EARLY_TICK, Demand
from hotwhisk.supervisor.liveness import SOON, Liveness, Watched
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.supervisor.probation import ProbationState
from hotwhisk.supervisor.supervisor import Supervisor
from hotwhisk.supervisor.workers import State

Key = tuple[Phase | State | Watched, int]
"""What is watched, and the number of a connection or the slot of a worker."""

STUCK_AFTER = 0.2
"""Seconds in one synchronous run after which other connections stop waiting for it."""

LINGER_LIMIT = 2.0
"""Seconds that a client may go on sending after the last answer; then its connection is closed."""

SPAWN_LIMIT = 0.5
"""Seconds that a template has to fork a worker, which takes some milliseconds."""

LONG_LOAD = 2.0
"""Seconds of loading after which a line says so. The next line follows after twice as long."""

PATIENCE = 0.25
"""Seconds after which a load is given up if a newer save of its sources waits for its end."""

LEAVE_LIMIT = 5.0
"""Seconds that the atexit functions of a draining worker may take, once it has no connection."""

EARLIER = (State.DRAINING, State.KEPT)
"""The states of the workers of an earlier generation."""

CUT_LIMIT = 2.0
"""Seconds in which a generator has to end, once its stream was cut at its deadline."""

FIRST_REQUEST_LIMIT = 1.0
"""Seconds that a stopping server waits for the first request of a fresh connection."""


class Watchdog:
    """Finds what takes too long, and remembers since when it lasts."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._ages = Ages()
        self._quiet = 0
        """How many ticks in a row found nothing to do."""
        self._next_line: dict[int, float] = {}
        """For each worker whose long load was logged, the age at which the next line is due."""
        self._patience = PATIENCE
        """As `PATIENCE`, doubled each time, so that a load ends though saves come fast."""
        self._liveness = Liveness(supervisor.parts)
        self._demand = Demand(supervisor.parts)
        self._next_look = 0.0
        """When the version on probation is compared again; ticks may come faster."""
        self._began: dict[Key, float] = {}
        self.stopping_since: float | None = None

    def tick(self, now: float) -> None:
        """Check everything once. After it, the decisions are carried out, then `sleep_if_idle`."""
        processes = self._supervisor.processes
        processes.backoff = False
        retried = self._supervisor.try_again()
        output = self._supervisor.parts.output
        printed = output is not None and output.tick()
        for slot in processes.by_slot:
            self._supervisor.scoreboard.rewrite_recalls(slot)
        self._supervisor.stay_awake()
        stopping = self.stopping_since is not None
        watched = [*self._in_flight(), *self._liveness.find_silent(stopping=stopping)]
        if self._next_line:
            loading = {number for (kind, number), _ in watched if kind is State.LOADING}
            lines = self._next_line.items()
            self._next_line = {slot: age for slot, age in lines if slot in loading}
        self._began = dict(watched)
        ages = self._ages.update(now, watched)
        for (kind, number), age in ages.items():
            self._check(kind, number, age)
        self._liveness.send_pings(now)
        self._demand.update(now, self._liveness.unread)
        rollout, dispatcher = self._supervisor.rollout, self._supervisor.rollout.dispatcher
        self._supervisor.executor.trial.tick(now)
        rollout.end_pause(now)
        self._look_at_probation(now)
        if rollout.candidate is None:
            self._patience = PATIENCE
        dispatcher.assign_waiting()
        dispatcher.give_to_spare()
        dispatcher.wants_tick = False
        if self.stopping_since is not None:
            self._enforce_stop(now - self.stopping_since)
        is_full = self._supervisor.ask_for_closes()
        in_flight = watched or dispatcher.owners.waiting or self._liveness.urgent
        must_tick = is_full or retried or printed or self._demand.ticks
        self._quiet = 0 if in_flight or must_tick else self._quiet + 1

    def sleep_if_idle(self) -> None:
        """Stop the timer if two ticks found nothing in flight, and nothing must be tried again."""
        supervisor, rollout = self._supervisor, self._supervisor.rollout
        waits = rollout.current.retry_at is not None or self.stopping_since is not None
        waits = waits or rollout.probation.needs_ticks or rollout.trials.trial is not None
        if self._quiet < 2 or waits or supervisor.must_try_again():
            return
        if self._drain_spare():
            return
        supervisor.sleep()
        self._ages.reset()
        # A worker that had not seen that the timer is off sent no message: check once more.
        supervisor.system.barrier()
        if self._in_flight() or self._liveness.suspects() or supervisor.loop.has_later:
            supervisor.scoreboard.timer_on = True

    def _drain_spare(self) -> bool:
        """Let a spare exit that was needed and may wait again; return False if there is none."""
        supervisor = self._supervisor
        spare = supervisor.processes.by_slot[supervisor.rollout.workers.spare]
        if spare.pending or not supervisor.rollout.spare_may_wait:
            return False
        if supervisor.rollout.dispatcher.owners.count(spare.slot):
            return False  # its idle connections would only go to the next spare
        supervisor.rollout.workers.drain_spare()
        supervisor.run_commands()
        return True

    def _look_at_probation(self, now: float) -> None:
        rollout, parts = self._supervisor.rollout, self._supervisor.parts
        if rollout.probation.state is ProbationState.RUNNING and now >= self._next_look:
            self._next_look = now + TICK
            rollout.judge_probation(now, *parts.compared_counts())

    def _check(self, kind: Phase | State | Watched, number: int, age: float) -> None:
        match kind:
            case Phase.RUNNING:
                self._check_running(number, age)
            case Phase.RESPONDING:
                self._check_responding(number, age)
            case Phase.LINGERING:
                self._check_lingering(number, age)
            case State.LOADING:
                self._check_loading(number, age)
            case Watched.LEAVING:
                self._check_leaving(number, age)
            case Watched.REPLACED:
                self._check_replaced(number, age)
            case State.DRAINING:
                pass  # it finishes what it has; its runs have deadlines
            case State.KILLED:  # it may still wait for its template
                self._check_spawning(number, age)
            case Watched.SILENT:
                self._liveness.kill_silent(number, age)

    def interval(self) -> float:
        """Return the seconds until the next tick."""
        output = self._supervisor.parts.output
        if self._demand.urgent or (output is not None and output.urgent):
            return EARLY_TICK
        return SOON if self._liveness.urgent else TICK

    def _in_flight(self) -> list[tuple[Key, float]]:
        scoreboard, processes = self._supervisor.scoreboard, self._supervisor.processes
        owners = self._supervisor.rollout.dispatcher.owners
        # A stream is a run that has begun to answer: its age goes on.
        found: list[tuple[Key, float]] = [
            ((Phase.RUNNING if phase in RUNS else phase, number), scoreboard.row(number).since)
            for phase in (*RUNS, Phase.RESPONDING, Phase.LINGERING)
            for number in scoreboard.in_phase(phase)
            if owners.is_owned(number)  # if not, the table is wrong: a worker has written into it
        ]
        current = self._supervisor.rollout.current.number
        for slot, worker in self._supervisor.rollout.workers.by_slot.items():
            if worker.state is State.DRAINING and not owners.count(slot):
                found.append(((Watched.LEAVING, slot), processes.by_slot[slot].started))
            elif worker.state in EARLIER and worker.generation != current and owners.count(slot):
                found.append(((Watched.REPLACED, slot), processes.by_slot[slot].started))
            elif worker.state in (State.LOADING, State.DRAINING, State.KILLED):
                found.append(((worker.state, slot), processes.by_slot[slot].started))
        return found

    def _check_running(self, number: int, age: float) -> None:
        rollout = self._supervisor.rollout
        slot = self._supervisor.rollout.dispatcher.owners.owner(number)
        if slot is None:
            return
        row = self._supervisor.scoreboard.row(number)
        if row.since != self._began[Phase.RUNNING, number]:
            return  # answered meanwhile, and another request has begun
        worker = rollout.workers[slot]
        streams = self._supervisor.scoreboard.phase(number) is Phase.STREAMING
        if streams and row.budget < age <= row.budget + CUT_LIMIT:
            self._supervisor.sockets.shutdown(number)  # its generator ends, and no other run
        elif age > row.budget:
            rollout.run_timed_out(slot, Cause.TIMED_OUT, f"{row.budget:.3g} s")
        elif age > STUCK_AFTER and worker.overlap:
            self._liveness.doubt(slot)  # many runs: only silence shows that one blocks the others
        elif age > STUCK_AFTER and worker.generation and worker.state is not State.LOADING:
            rollout.stuck(slot)  # not a spare that loads, because it has an answer to send

    def _check_responding(self, number: int, age: float) -> None:
        slot = self._supervisor.rollout.dispatcher.owners.owner(number)
        if slot is not None and self._supervisor.processes.by_slot[slot].silent:
            return  # the worker is slow, not the client, and its answer may be out
        if age > self._supervisor.config.timeout:
            self._supervisor.sockets.shutdown(number)

    def _check_lingering(self, number: int, age: float) -> None:
        if age > LINGER_LIMIT:
            self._supervisor.sockets.shutdown(number)

    def _check_loading(self, slot: int, age: float) -> None:
        self._check_spawning(slot, age)
        rollout, limit = self._supervisor.rollout, self._supervisor.config.init_timeout
        if age > limit:
            rollout.load_timed_out(slot, f"{limit:g} s")
        elif self._is_superseded(slot) and age > self._patience:
            text = f"its load is given up after {age:.2g} s, because a newer save waits"
            rollout.failed(slot, 409, text)
            self._patience *= 2
        elif self._liveness.is_not_loading(slot, age):
            self._supervisor.rollout.stuck(slot)
        elif age > self._next_line.get(slot, LONG_LOAD):
            self._next_line[slot] = 2 * age
            generation = self._supervisor.rollout.workers[slot].generation
            self._supervisor.parts.log(
                f"generation {generation} is still loading after {age:.0f} s; "
                f"it is given {limit:g} s (--init-timeout)",
                LogEvent.STILL_LOADING,
            )

    def _is_superseded(self, slot: int) -> bool:
        """Return whether a worker loads a version of which a newer save waits for that."""
        candidate = self._supervisor.rollout.candidate
        return candidate is not None and candidate.slot == slot and candidate.superseded

    def _check_leaving(self, slot: int, age: float) -> None:
        if age > LEAVE_LIMIT:
            self._supervisor.processes.kill(slot)

    def _check_replaced(self, slot: int, age: float) -> None:
        """Cut the streams of a worker that were given time to end after a replacement."""
        supervisor = self._supervisor
        if age > supervisor.config.drain_timeout + 2 * TICK:  # its age began at up to two ticks
            for number in supervisor.rollout.dispatcher.owners.owned(slot):
                if supervisor.scoreboard.phase(number) is Phase.STREAMING:
                    supervisor.sockets.shutdown(number)

    def _check_spawning(self, slot: int, age: float) -> None:
        """Kill the template of a worker if it has not forked the worker in time."""
        template = self._supervisor.processes.by_slot[slot].template
        if template is not None and age > SPAWN_LIMIT:
            self._supervisor.rollout.workers.template_timed_out(template.slot)

    def _enforce_stop(self, age: float) -> None:
        """Close and kill everything that a stopping server must not wait for any longer."""
        supervisor = self._supervisor
        scoreboard, owners = supervisor.scoreboard, supervisor.rollout.dispatcher.owners
        if age > FIRST_REQUEST_LIMIT:
            self._close_idle()
        if age > supervisor.config.drain_timeout:
            supervisor.rollout.refuse_waiting()
            # The sender of an `/init` that still loads is answered first.
            overdue = [*scoreboard.in_phase(Phase.IDLE), *scoreboard.in_phase(Phase.BUFFERED)]
            if not supervisor.rollout.abort_loading():
                overdue += owners.init_pending
            for number in overdue:
                supervisor.sockets.shutdown(number)
            for slot, worker in list(supervisor.rollout.workers.by_slot.items()):
                # A spare sends the answers of dead workers, so it is not killed.
                if owners.count(slot) and worker.generation:
                    supervisor.rollout.run_timed_out(slot, Cause.STOPPING, "the stop")

    def _close_idle(self) -> None:
        """
        Close the connections on which nothing came.

        A claimed one stays open: its worker may just have read a request, which the scoreboard does
        not show yet.
        """
        supervisor = self._supervisor
        scoreboard, sockets = supervisor.scoreboard, supervisor.sockets
        idle = [each for each in scoreboard.in_phase(Phase.IDLE) if each in sockets.descriptors]
        silent = [each for each in idle if not sockets.is_unread(each)]
        supervisor.system.barrier()
        claimed = {scoreboard.claimed(slot) for slot in supervisor.rollout.workers.by_slot}
        for number in silent:
            if number not in claimed and scoreboard.phase(number) is Phase.IDLE:
                sockets.shutdown(number)
