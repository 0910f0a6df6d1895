"""
The supervisor's decisions: which generation is current, and what follows from each event.

Pure. Events come in as method calls, decisions leave as `commands`. So a test can script a whole
replacement, with a worker's exit at any step of it. `workers` says which steps a worker can take,
`dispatcher` where connections go, and this class what becomes of generations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable

from hotwhisk.ipc.counters import Counts
from hotwhisk.ipc.messages import Stop
from hotwhisk.openwhisk.answers import Cause, failure_answer
from hotwhisk.openwhisk.bodies import INIT_TWICE
from hotwhisk.supervisor import commands
from hotwhisk.supervisor.dispatcher import Dispatcher, Moved, Queue
from hotwhisk.supervisor.generation import Generation, Policy
from hotwhisk.supervisor.history import History
from hotwhisk.supervisor.jobs import SpareJobs
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.supervisor.probation import Probation
from hotwhisk.supervisor.scaling import Scaling
from hotwhisk.supervisor.trials import UNTRIED, Limits, Trials
from hotwhisk.supervisor.workers import Event, State, Worker, Workers, exit_line

REPLACEMENTS_WAITING = 8
"""Replacements that may wait for their turn; each holds the body of its ``/init``."""


class Rollout:
    """
    Decides which generation of one server is current, and which workers it has.
    ``has_descriptors`` returns whether the descriptors suffice for so many further workers,
    ``has_claim`` whether a worker uses a connection.
    """

    def __init__(
        self,
        policy: Policy,
        slots: int,
        has_descriptors: Callable[[int], bool] = lambda _: True,
        has_claim: Callable[[int], bool] = lambda _: False,
        history: History | None = None,
    ) -> None:
        self.policy, self._has_descriptors = policy, has_descriptors
        self.commands: deque[commands.Command] = deque()
        self.workers = Workers(slots, self.commands)
        dispatcher, scaling = Dispatcher, Scaling
        if policy.single_run:
            from hotwhisk.supervisor.single_run import SINGLE_RUN  # only for --fresh

            dispatcher, scaling = SINGLE_RUN
        self.dispatcher = dispatcher(self.workers, self.commands, has_claim)
        self.current = Generation()
        self.history = history or History()
        self.candidate: commands.Candidate | None = None
        self.waiting: deque[commands.Candidate] = deque()
        self.stopping = self._refusing = False  # it stops; and what waits is refused
        self.jobs = SpareJobs(self.workers, self.dispatcher, self.commands)
        self.trials = Trials(self.workers, self.commands, self._serve, self.failed)
        self.scaling = scaling(policy, self.workers, self.dispatcher, self.commands, self._has_room)
        self.probation = Probation(policy, self.workers, self.dispatcher, self.commands)

    # -- replacement ------------------------------------------------------------------------

    def init_received(
        self, slot: int, number: int, artifact: commands.Artifact, *, last: bool = False
    ) -> None:
        """Submit an ``/init`` that a worker has read."""
        if self.dispatcher.owners.owner(number) != slot:
            self.commands.append(commands.ReleaseArtifact(artifact))
            return
        self.dispatcher.owners.move(number, Queue.INIT_PENDING)
        candidate = commands.Candidate(artifact, number)
        candidate.last = last
        self.submit(candidate)

    def submit(self, candidate: commands.Candidate) -> None:
        """Put a replacement in the queue, or refuse it if that is full or the server stops."""
        if self.stopping:
            self._refuse(candidate, *failure_answer(self.policy.profile, Cause.STOPPING))
        elif len(self.waiting) >= REPLACEMENTS_WAITING or not self._has_room():
            text = "too many replacements at once: post again when the ones before are done"
            self._refuse(candidate, 503, text)
        else:
            if not self.current.number and candidate.connection is None:
                self._set_run_error("")  # requests wait for the FILE that was named at the start
            self.waiting.append(candidate)
            self._next_candidate()

    def _has_room(self) -> bool:
        """Return whether one more replacement, after all waiting ones, finds free slots."""
        before = len(self.waiting) + (self.candidate is not None)
        workers = self.policy.workers * (before + 1)
        return self.workers.has_room(workers) and self._has_descriptors(workers)

    def roll_back(self, requester: commands.Requester | None = None, to: int = 0) -> bool:
        """
        Make an earlier version current again: generation ``to``, or the one before the current one.

        Returns False if that version is not kept, or if another roll-back is under way.
        """
        if (target := self.history.target(to)) is None or self.stopping or self._is_rolling_back:
            return False
        self.waiting.appendleft(target.candidate(requester))
        self.trials.give_up("a roll-back came first")
        self._next_candidate()
        return True

    @property
    def _is_rolling_back(self) -> bool:
        return any(each and each.rollback for each in (self.candidate, *self.waiting))

    def judge_probation(self, now: float, after: Counts, before: Counts) -> None:
        """Roll the current version back if it is on probation, and does worse by these counts."""
        if not self._is_rolling_back and self.probation.look(now, after, before):
            self.roll_back(to=self.probation.before.number)

    def ready(self, slot: int, digest: str, *, overlap: bool, trial: Limits = UNTRIED) -> None:
        """Record that a worker has loaded its action, and let it serve, or try it first."""
        worker, old = self.workers[slot], self.current.number
        if worker.state is not State.LOADING:
            return
        worker.overlap, worker.digest = overlap, digest
        if trial == UNTRIED or not self.trials.begin(slot, self.candidate, trial, old):
            self._serve(slot)

    def _serve(self, slot: int) -> None:
        """Let a worker serve that has loaded its action, and has passed its trial if it had one."""
        self.workers.apply(slot, Event.READY)
        worker = self.workers[slot]
        if self.candidate and self.candidate.slot == slot:
            self._promote(self.candidate, worker.generation, worker.digest)
        elif worker.generation == self.current.number:
            self.trials.offer(slot)
            self._set_run_error("")
            self.dispatcher.rebalance()
            self.dispatcher.recall_from_spare()
        else:  # its generation was replaced while it loaded
            self.dispatcher.drain(slot)
        self.dispatcher.assign_waiting()

    def failed(self, slot: int, status: int, text: str) -> None:
        """Handle the failure of a worker to load its action."""
        if self.workers.apply(slot, Event.FAILED):
            self.commands.append(commands.Kill(slot))
            self._load_failed(slot, status, text)

    def load_timed_out(self, slot: int, limit: str) -> None:
        """Handle a worker that was neither ready nor failed in time."""
        if self.workers.apply(slot, Event.LOAD_TIMED_OUT):
            self.commands.append(commands.Kill(slot))
            self._load_ended_silently(slot, Cause.INIT_TIMED_OUT, limit)

    def _next_candidate(self) -> None:
        if self.current.number and not self.policy.reinit:
            while self.waiting:  # they waited in case the first one failed, and it did not
                self._refuse(self.waiting.popleft(), 403, INIT_TWICE)
        if self.candidate is None and self.waiting:
            candidate = self.candidate = self.waiting.popleft()
            candidate.generation = candidate.generation or self.history.next_number()
            if candidate.rollback and (digest := self.probation.restore(candidate)):
                self._promote(candidate, candidate.generation, digest)
                self.dispatcher.assign_waiting()
                return
            candidate.slot = self.scaling.start(candidate.artifact, candidate.generation)

    def not_spawned(self, slot: int) -> None:
        """Have a worker loaded that the template did not fork, if it is still wanted."""
        self.scaling.not_spawned(slot, self.current)

    @property
    def spare_may_wait(self) -> bool:
        """Return whether the spare needs no process before a message is sent to it."""
        # A fork slows the load of a candidate; but if one follows another, the next needs a spare.
        loads = self.candidate and not self.current.fresh and not self.trials.trial
        return bool(loads or (self.current.number and not self.policy.reinit))

    def artifact_of(self, generation: int) -> commands.Artifact | None:
        """Return the artifact of the current generation or of the candidate; None for others."""
        if self.candidate is not None and self.candidate.generation == generation:
            return self.candidate.artifact
        return self.current.artifact if self.current.number == generation else None

    # -- templates --------------------------------------------------------------------------

    def template_ready(self, generation: int) -> int | None:
        """Record a template that a loading worker left; return its slot, None if none is needed."""
        wanted = {self.current.number, self.candidate.generation if self.candidate else 0}
        there = generation in self.workers.templates
        if generation not in wanted or there or self._refusing:
            return None
        return self.workers.add_template(generation)

    def template_exited(self, slot: int, not_spawned: Iterable[int]) -> None:
        """Load the workers that a dead template was told to fork and has not forked."""
        self.workers.remove(slot)
        for each in not_spawned:
            self.not_spawned(each)

    # -- replacement, when a version is loaded ----------------------------------------------

    def _promote(self, candidate: commands.Candidate, number: int, digest: str) -> None:
        old, self.candidate = self.current, None
        self.current = Generation(number, candidate.artifact, digest)
        self._set_run_error("")
        # All of this comes before the answer to /init. Otherwise an old worker, or the spare, could
        # still answer what the client sends after that.
        watched = not (candidate.rollback or self.stopping)
        self.probation.replaced(old, self.current, watched=watched)
        self.dispatcher.recall_from_spare()
        for each in [each for each in self.waiting if each.rollback]:
            self.waiting.remove(each)  # what it would restore is gone with this replacement
            self.jobs.answer(each, 409, "another version became current meanwhile")
        for artifact in self.history.add(candidate, number, digest):
            self.commands.append(commands.ReleaseArtifact(artifact))
        if old.number or candidate.connection is not None:  # the banner already names FILE
            because = f": {why}" if (why := candidate.because or candidate.verdict) else ""
            self._log(f"generation {number} is current ({digest[:19]}…){because}", LogEvent.CURRENT)
        self.jobs.answer(candidate, 200, "")
        self.workers.end_template(old.number)
        self._scale_up()
        self._next_candidate()

    def _load_failed(self, slot: int, status: int, text: str) -> None:
        """Handle a failed load: if it was the candidate's, its requester gets the reason."""
        candidate = self.candidate
        if candidate is None or candidate.slot != slot:
            why = f"a fresh worker did not come up: {text}"
            self._log(why, LogEvent.NOT_STARTED)
            self.scaling.ban_template(self.workers[slot].generation)
            return
        self.candidate = None
        self.trials.close()
        self.history.load_failed(candidate.restores)
        newer = self.stopping or self.current.number or candidate.superseded
        if candidate.fallback is not None and not newer:
            restores = candidate.fallback.restores
            other = f"generation {restores}" if restores else "FILE"
            line = f"generation {candidate.generation} does not load, so {other} is loaded: {text}"
            self._log(line, LogEvent.LOAD_FAILED)
            self.commands.append(commands.ReleaseArtifact(candidate.artifact))
            self.waiting.appendleft(candidate.fallback)
            self._next_candidate()
            return
        if candidate.connection is not None or candidate.rollback:  # what FILE did, the server logs
            event = LogEvent.ROLLBACK_FAILED if candidate.rollback else LogEvent.REFUSED
            why = f"{candidate.refusal(self.current.number)}: {text}"
            self._log(why, event)
        self._refuse(candidate, status, text)
        if not self.current.number and not candidate.superseded:
            self._set_run_error(Cause.LOAD_FAILED, text)
            self.dispatcher.assign_waiting()
        self._scale_up()
        self._next_candidate()

    def _load_ended_silently(self, slot: int, cause: Cause, detail: str) -> None:
        """Handle a load that ended without a message of its worker."""
        status, text, log = self.policy.silent_failure(cause, detail)
        if self.candidate is not None and self.candidate.slot == slot:
            self.candidate.log = log
        self._load_failed(slot, status, text)

    def _refuse(self, candidate: commands.Candidate, status: int, text: str) -> None:
        if not candidate.rollback:
            self.commands.append(commands.ReleaseArtifact(candidate.artifact))
        self.jobs.answer(candidate, status, text)

    def log_ended(self, slot: int) -> None:
        """Send the answer that waited for a spare, which has ended the log of a dead version."""
        self.jobs.log_ended(slot)
        self.dispatcher.assign_waiting()

    # -- workers in trouble -----------------------------------------------------------------

    def released(self, slot: int, moved: Moved, *, recalled: bool) -> None:
        """Assign the connections that a worker released, by itself or after a recall."""
        if recalled and self.workers.apply(slot, Event.RELEASED):
            self.dispatcher.recall_from_spare()
        self.dispatcher.reclaimed(slot, moved)

    def run_begun(self, slot: int, moved: Moved) -> None:
        """Replace a worker that has begun its only run, and assign what it released."""
        begun = self.workers.apply(slot, Event.RUN_BEGUN)
        self.dispatcher.reclaimed(slot, moved)
        if begun:
            self.dispatcher.recall_rest(slot)
            self._scale_up()

    def stuck(self, slot: int) -> bool:
        """
        Recall the connections of a stuck worker; return False if that is done already.

        A stuck spare is replaced. If it was told to load and has not begun, it is killed.
        """
        if not self.workers.apply(slot, Event.STUCK):
            return False
        state = self.workers[slot].state
        if state is State.KILLED:
            self._load_again(slot)
        elif state is State.DRAINING:
            self.dispatcher.recall(slot, drain=True)
            self.workers.replace_spare()
            if self.stopping:
                self.commands.append(commands.Send(self.workers.spare, Stop()))
        else:
            self.dispatcher.recall(slot)
        return True

    def _load_again(self, slot: int) -> None:
        """Kill a spare that has not begun to load, and have another one load."""
        self.workers[slot].generation = 0  # so its exit is not taken for a failed load
        self.commands.append(commands.Kill(slot))
        if self.candidate and self.candidate.slot == slot:
            self.candidate.slot = self.scaling.start(
                self.candidate.artifact, self.candidate.generation
            )
        else:
            self._scale_up()

    def run_timed_out(self, slot: int, cause: Cause, detail: str) -> None:
        """Kill a worker whose run is past its deadline, or past the drain time of the server."""
        if self.workers.apply(slot, Event.RUN_TIMED_OUT):
            self.workers[slot].kill_reason = (cause, detail)
            self.commands.append(commands.Kill(slot))

    def exited(
        self,
        slot: int,
        cause: Cause,
        how: str,
        recoveries: Iterable[tuple[int, commands.Recovery]],
        now: float,
    ) -> None:
        """Handle a worker's exit and its connections; ``how`` names a signal or an exit status."""
        worker = self.workers.remove(slot)
        if self.stopping and worker.state is State.SPARE:
            self.commands.append(commands.Send(self.workers.spare, Stop()))
        why = worker.kill_reason or (cause, how)
        of_request = self.dispatcher.recover(slot, recoveries, *why, worker.label)
        if refusal := self.trials.died(slot, cause, how):
            self._load_failed(slot, *refusal)
        elif self.candidate and self.candidate.slot == slot:
            self._load_ended_silently(slot, cause, how)
        else:
            self._worker_died(worker, how, of_request=of_request, now=now)
        left = self.workers.in_generation(worker.generation)
        if worker.generation != self.current.number and not left:
            self.workers.end_template(worker.generation)
        if worker.folder and not self.workers.use_folder(worker.folder):
            self.jobs.remove_folder(worker.folder)
        self.jobs.exited(slot)
        self.dispatcher.assign_waiting()

    def _worker_died(self, worker: Worker, how: str, *, of_request: bool, now: float) -> None:
        """Log a death, and start another worker if this one was of the current generation."""
        current = worker.generation == self.current.number and worker.state is not State.DRAINING
        if worker.generation == self.current.number and worker.kill_reason is None:
            self.current.deaths += of_request
        if self.policy.single_run and not current:
            self._scale_up()  # a run has ended, so there may be room for one more worker
        if not worker.generation or not (current or of_request):
            return
        if text := exit_line(worker, how, of_request=of_request):
            self._log(text, LogEvent.DIED)
        if not current:
            return
        if worker.is_loading_or_failed:
            self._further_worker_failed(now)
        elif of_request or worker.kill_reason:
            self._scale_up()
        else:
            self._crashed(now)

    def _further_worker_failed(self, now: float) -> None:
        """Try a further worker again later; if no others serve, count its failure as a crash."""
        current = self.current
        self.scaling.ban_template(current.number)
        if not self.workers.in_generation(current.number, State.SERVING, State.BUSY):
            self._crashed(now)
        elif not self.stopping:
            after = current.begin_pause(now)
            self._log(f"the others serve; next attempt to start one in {after:g} s", LogEvent.RETRY)

    def _crashed(self, now: float) -> None:
        """Count a death that no request explains; if there are too many, roll the version back."""
        current = self.current
        if not current.count_crash(now, self.policy):
            self._scale_up()
            return
        self.scaling.ban_template(current.number)
        # One step only: if every version crashes, an old one is no better.
        if not self.history.is_rolled_back and self.roll_back():
            text = "rolling back to the version before it"
        else:
            text = f"next attempt in {current.begin_pause(now):g} s"
            current.unstable = True
            self._set_run_error(Cause.UNSTABLE)
        self._log(f"generation {current.number} crashes in a loop: {text}", LogEvent.CRASH_LOOP)

    def end_pause(self, now: float) -> None:
        """At a tick, start workers of a crashing generation again when its pause is over."""
        self.current.fresh = False
        if self.current.retry_at is not None and now >= self.current.retry_at:
            self.current.retry_at, self.current.unstable = None, False
            self._scale_up()

    def _scale_up(self) -> None:
        """Start workers until the current generation has as many as it should."""
        if not self._refusing:
            self.scaling.start_missing(self.current)

    # -- stop -------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop: replace nothing any more, and answer the present requests."""
        self.stopping = self.scaling.stopping = True
        self._refusing = not (self.policy.single_run and self.current.number)
        self._set_run_error(self.dispatcher.run_error)
        why = failure_answer(self.policy.profile, Cause.STOPPING)
        while self.waiting:
            self._refuse(self.waiting.popleft(), *why)
        self.abort_loading((State.TRIAL,))
        self.probation.end()
        self.workers.stop(with_templates=self._refusing)
        self.dispatcher.assign_waiting()

    def refuse_waiting(self) -> None:
        """Start no worker any more, and refuse what waits, because a stop waits no longer."""
        self._refusing = True
        self._set_run_error(Cause.STOPPING)
        self.dispatcher.assign_waiting()

    def abort_loading(self, states: Collection[State] = (State.LOADING, State.TRIAL)) -> bool:
        """Give up the versions that load, because the server stops; return False if none loads."""
        slots = self.workers.by_slot
        loading = [slot for slot in slots if slots[slot].state in states]
        for slot in loading:
            self.failed(slot, *failure_answer(self.policy.profile, Cause.STOPPING))
        return bool(loading)

    def _log(self, text: str, event: LogEvent) -> None:
        self.commands.append(commands.Log(text, event))

    def _set_run_error(self, run_error: str, detail: str = "") -> None:
        self.dispatcher.run_error = Cause.STOPPING if self._refusing else run_error
        self.dispatcher.detail = detail
