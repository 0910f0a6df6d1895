"""
Which generation serves, and what follows from each event: the supervisor's decisions.

Pure. Events come in as method calls, decisions leave as `effects`. So a whole replacement,
with a death at any step of it, is a scripted history in a test.

Options weighed: effects inside the lifecycle table (a step needs details that a table cannot
hold); decisions beside the system calls (then they can only be tested with real processes,
where the interesting interleavings are rare). The table says which steps there are,
`assignment` where connections go, and this class what becomes of generations.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable

from hotwhisk.answers import Cause, Profile, answer_for, not_started
from hotwhisk.contract import INIT_TWICE
from hotwhisk.supervisor.assignment import Assignment, Moved
from hotwhisk.supervisor.deaths import line_of
from hotwhisk.supervisor.effects import (
    Artifact,
    Asker,
    Candidate,
    Debt,
    Discard,
    Drain,
    Effect,
    Fork,
    Kill,
    LoadInto,
    Release,
    Reply,
    SpawnFrom,
    Tell,
)  # fmt: skip
from hotwhisk.supervisor.generation import Generation, Policy
from hotwhisk.supervisor.lifecycle import Event, State
from hotwhisk.supervisor.replies import Replies
from hotwhisk.supervisor.roster import Roster
from hotwhisk.supervisor.templates import Templates

REPLACEMENTS_WAITING = 8
"""Replacements that may wait for their turn; each holds the body of its ``/init``."""


class Succession:
    """The state of the whole server."""

    def __init__(self, policy: Policy, slots: int) -> None:
        self.policy = policy
        self.effects: deque[Effect] = deque()
        self.roster = Roster(slots, self.effects)
        self.assignment = Assignment(self.roster, self.effects)
        self.charge = Generation()
        self.previous: Artifact | None = None
        self.previous_digest = ""
        self.candidate: Candidate | None = None
        self.candidates: deque[Candidate] = deque()
        self.stopping = False
        self.has_descriptors: Callable[[int], bool] = lambda _: True
        """Says whether the descriptors suffice for so many further workers."""
        self.templates = Templates(self.effects)
        self._numbers = itertools.count(1)
        self.replies = Replies(self.assignment, self.effects)

    # -- replacement ------------------------------------------------------------------------

    def posted(self, slot: int, number: int, artifact: Artifact, *, last: bool = False) -> None:
        """Submit an ``/init`` that a worker has read."""
        if self.assignment.custody.holder(number) != slot:
            self.effects.append(Release(artifact))
            return
        self.assignment.custody.lend(number)
        candidate = Candidate(artifact, number)
        candidate.last = last
        self.submit(candidate)

    def submit(self, candidate: Candidate) -> None:
        """Put a replacement in the queue, or refuse it if that is full or the server stops."""
        if self.stopping:
            self._refuse(candidate, *answer_for(self.policy.profile, Cause.STOPPING))
        elif len(self.candidates) >= REPLACEMENTS_WAITING or not self._has_room():
            text = "too many replacements at once: post again when the ones before are done"
            self._refuse(candidate, 503, text)
        else:
            if not self.charge.number and candidate.number is None:
                self._set_duty("")  # what was named at the start is worth waiting for
            self.candidates.append(candidate)
            self._next_candidate()

    def _has_room(self) -> bool:
        """Return whether one more replacement, after all waiting ones, finds free slots."""
        before = len(self.candidates) + (self.candidate is not None)
        workers = self.policy.workers * (before + 1)
        return self.roster.has_room(workers) and self.has_descriptors(workers)

    def roll_back(self, asker: Asker | None = None) -> bool:
        """Put the previous artifact in charge again; return False if there is none."""
        queue = [self.candidate, *self.candidates]
        if self.previous is None or self.stopping or any(each and each.rollback for each in queue):
            return False
        self.candidates.appendleft(Candidate(self.previous, asker=asker, rollback=True))
        self._next_candidate()
        return True

    def ready(self, slot: int, digest: str, *, overlap: bool) -> None:
        """Record that a worker has loaded its action, and let it serve."""
        if not self.roster.step(slot, Event.READY):
            return
        worker = self.roster[slot]
        worker.overlap = overlap
        if self.candidate and self.candidate.slot == slot:
            self._take_charge(self.candidate, worker.generation, digest)
        elif worker.generation == self.charge.number:
            self._set_duty("")
            self.assignment.share_out()
            self.assignment.reopen()
        else:  # a recruit of a generation that was replaced while it loaded
            self._retire(slot)
        self.assignment.assign()

    def failed(self, slot: int, status: int, text: str) -> None:
        """Handle the failure of a worker to load its action."""
        if self.roster.step(slot, Event.FAILED):
            self.effects.append(Kill(slot))
            self._disappoint(slot, status, text)

    def overdue(self, slot: int, limit: str) -> None:
        """Handle a worker that was neither ready nor failed in time."""
        if self.roster.step(slot, Event.OVERDUE):
            self.effects.append(Kill(slot))
            why = f"The action did not initialize within {limit}."
            self._explain(slot, (Cause.INIT_TIMED_OUT, limit), why)

    def _next_candidate(self) -> None:
        if self.charge.number and not self.policy.reinit:
            while self.candidates:  # they waited for one that failed, and it did not
                self._refuse(self.candidates.popleft(), 403, INIT_TWICE)
        if self.candidate is None and self.candidates:
            self.candidate = self.candidates.popleft()
            self.candidate.generation = next(self._numbers)
            self.candidate.slot = self._load(self.candidate.artifact, self.candidate.generation)

    def _load(self, artifact: Artifact, generation: int) -> int:
        """
        The desk becomes a worker of ``generation``; a fresh desk takes its place. Where there is
        a template, the worker comes from that, and the desk stays.
        """
        templated = generation in self.templates
        slot = self.roster.enlist() if templated else self.roster.desk
        self.roster.step(slot, Event.LOAD)
        self.roster[slot].generation = generation
        if templated:
            self.effects.append(SpawnFrom(slot, generation))
            return slot
        self.assignment.take_back(slot)
        self.effects.append(LoadInto(slot, generation, artifact))
        self.roster.renew_desk()
        return slot

    def not_spawned(self, slot: int) -> None:
        """
        Start a process and load it, because the template did not fork the worker in ``slot``.

        If another generation is in charge now, the artifact is gone, and the process only ends.
        """
        worker, charge = self.roster[slot], self.charge
        self.effects.append(Fork(slot))
        wanted = worker.state is State.LOADING and worker.generation == charge.number
        if wanted and charge.artifact is not None:
            self.effects.append(LoadInto(slot, worker.generation, charge.artifact))
            if self.stopping:
                self.effects.append(Drain(slot))
        else:
            self.roster.step(slot, Event.FAILED)
            self.effects.append(Kill(slot))

    def templated(self, generation: int) -> bool:
        """Record a template that a loading worker left; return False if it is not needed."""
        wanted = {self.charge.number, self.candidate.generation if self.candidate else 0}
        if generation not in wanted or generation in self.templates or self.stopping:
            return False
        self.templates.add(generation)
        return True

    def _take_charge(self, candidate: Candidate, number: int, digest: str) -> None:
        old, self.candidate = self.charge, None
        self.charge = Generation(number, candidate.artifact, digest)
        self.assignment.generation = number
        self._set_duty("")
        # All of this before the answer to /init goes out, or an old worker, or the desk, could
        # still answer what is sent after it.
        for slot in self.roster.of(old.number):
            self._retire(slot)
        self.assignment.reopen()
        for each in [each for each in self.candidates if each.rollback]:
            self.candidates.remove(each)  # what it would restore is gone with this replacement
            self._reply(each, 409, "another version took charge meanwhile")
        # A roll-back restores `previous`; what it rolls back from is not worth coming back to.
        discarded = old.artifact if candidate.rollback else self.previous
        self.previous = None if candidate.rollback else old.artifact
        self.previous_digest = "" if candidate.rollback else old.digest
        if discarded is not None:
            self.effects.append(Release(discarded))
        if old.number or candidate.number is not None:  # of FILE, the banner tells
            because = candidate.because and f": {candidate.because}"
            self.effects.append(Tell(f"generation {number} is in charge ({digest[:19]}…){because}"))
        self._reply(candidate, 200, "")
        self.templates.end(old.number)
        self._staff()
        self._next_candidate()

    def _retire(self, slot: int) -> None:
        if self.roster.step(slot, Event.RETIRE):
            self.assignment.take_back(slot, leave=True)

    def _disappoint(self, slot: int, status: int, text: str) -> None:
        """Handle a worker that will not be ready: if it was the candidate, its asker hears why."""
        candidate = self.candidate
        if candidate is None or candidate.slot != slot:
            self.effects.append(Tell(f"a fresh worker did not come up: {text}"))
            self.templates.distrust(self.roster[slot].generation)
            return
        self.candidate = None
        self._refuse(candidate, status, text)
        if candidate.rollback and self.previous is not None:
            self.effects.append(Release(self.previous))  # it loads no more: not worth another try
            self.previous = None
        if not self.charge.number:
            self._set_duty(Cause.LOAD_FAILED, text)
            self.assignment.assign()
        self._staff()
        self._next_candidate()

    def _explain(self, slot: int, cause: tuple[Cause, str], why: str) -> None:
        """
        A worker could not say itself that it will not be ready. Under OpenWhisk the log of a failed
        ``/init`` says ``why``, and ends; or the answer says it.
        """
        status, text = answer_for(self.policy.profile, *cause)
        candidate, openwhisk = self.candidate, self.policy.profile is Profile.OPENWHISK
        if openwhisk and candidate is not None and candidate.slot == slot:
            if self.policy.log_init_error:
                candidate.log = f"{why}\n"
            else:
                text = not_started(why)
        self._disappoint(slot, status, text)

    def _refuse(self, candidate: Candidate, status: int, text: str) -> None:
        if not candidate.rollback:
            self.effects.append(Release(candidate.artifact))
        self._reply(candidate, status, text)

    def _reply(self, candidate: Candidate, status: int, text: str) -> None:
        self.replies.send(Reply(candidate, status, text), self.roster.desk)

    def marked(self, slot: int) -> None:
        """Send the reply that waited for a desk, which has ended the log of a dead version."""
        self.replies.marked(slot)
        self.assignment.assign()

    # -- workers in trouble -----------------------------------------------------------------

    def released(self, slot: int, moved: Moved, *, recalled: bool) -> None:
        """Assign again the connections that a worker gave back, by itself or on a recall."""
        if recalled and self.roster.step(slot, Event.RELEASED):
            self.assignment.reopen()
        self.assignment.taken(slot, moved)

    def stuck(self, slot: int) -> bool:
        """Move a hanging worker's duties to others; return False if that is done already."""
        if not self.roster.step(slot, Event.STUCK):
            return False
        state = self.roster[slot].state
        if state is State.DOOMED:
            self._load_again(slot)
        elif state is State.RETIRED:
            self.assignment.take_back(slot, leave=True)
            self.roster.renew_desk()
            if self.stopping:
                self.effects.append(Drain(self.roster.desk))
        else:
            self.assignment.take_back(slot)
        return True

    def _load_again(self, slot: int) -> None:
        """Kill a desk that has not begun to load, and have another one load."""
        self.effects.append(Kill(slot))
        if self.candidate and self.candidate.slot == slot:
            self.candidate.slot = self._load(self.candidate.artifact, self.candidate.generation)
        else:
            self._staff()

    def expired(self, slot: int, cause: Cause, detail: str) -> None:
        """Kill a worker whose run is past its deadline, or past the drain time of the server."""
        if self.roster.step(slot, Event.EXPIRED):
            self.roster[slot].doom = (cause, detail)
            self.effects.append(Kill(slot))

    def died(
        self, slot: int, cause: Cause, how: str, debts: Iterable[tuple[int, Debt]], now: float
    ) -> None:
        """Settle a worker's death and its debts; ``how`` names a signal or an exit status."""
        worker = self.roster.bury(slot)
        if self.stopping and worker.state is State.BLANK:
            self.effects.append(Drain(self.roster.desk))
        of_request = self.assignment.settle(slot, debts, *(worker.doom or (cause, how)))
        if self.candidate and self.candidate.slot == slot:
            why = "Command exited abruptly during initialization."
            if cause is Cause.OUT_OF_MEMORY:
                how, why = f"{how}, as memory ran out,", f"{why} The memory was exhausted."
            self._explain(slot, (Cause.INIT_DIED, how), why)
        elif worker.generation == self.charge.number != 0 and worker.state is not State.RETIRED:
            if text := line_of(worker, how, of_request=of_request):
                self.effects.append(Tell(text))
            if worker.is_loading_or_failed:
                self._fell_short(now)
            elif of_request or worker.doom:
                self._staff()
            else:
                self._crashed(now)
        if worker.generation and not self.roster.of(worker.generation):
            if worker.generation != self.charge.number:
                self.templates.end(worker.generation)
            self.effects.append(Discard(worker.generation))
        self.replies.died(slot)
        self.assignment.assign()

    def _fell_short(self, now: float) -> None:
        """Try a further worker again later; if no others serve, count its failure as a crash."""
        charge = self.charge
        self.templates.distrust(charge.number)
        if not self.roster.of(charge.number, State.SERVING, State.RELIEVED):
            self._crashed(now)
        elif not self.stopping:
            after = charge.pause(now)
            self.effects.append(Tell(f"the others serve; next attempt to start one in {after:g} s"))

    def _crashed(self, now: float) -> None:
        """Count a death that no request explains; if there are too many, roll the version back."""
        charge = self.charge
        if not charge.crashed(now, self.policy):
            self._staff()
            return
        self.templates.distrust(charge.number)
        if self.roll_back():
            text = "rolling back to the version before it"
        else:
            text = f"next attempt in {charge.pause(now):g} s"
            charge.unstable = True
            self._set_duty(Cause.UNSTABLE)
        self.effects.append(Tell(f"generation {charge.number} crashes in a loop: {text}"))

    def retry(self, now: float) -> None:
        """Start workers of a crashing generation again when its pause is over."""
        if self.charge.retry_at is not None and now >= self.charge.retry_at:
            self.charge.retry_at, self.charge.unstable = None, False
            self._staff()

    def _staff(self) -> None:
        """Start workers until the generation in charge has as many as it should."""
        charge = self.charge
        there = self.roster.of(charge.number, State.LOADING, State.SERVING, State.RELIEVED)
        if charge.artifact is None or self.stopping:
            return
        if charge.retry_at is not None and (charge.unstable or there):
            return
        for _ in range(self.policy.workers - len(there)):
            self._load(charge.artifact, charge.number)

    # -- the end ----------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop: replace nothing any more, and answer the present requests."""
        self.stopping = True
        self.templates.end_all()
        self._set_duty(Cause.STOPPING)
        while self.candidates:
            status, text = answer_for(self.policy.profile, Cause.STOPPING)
            self._refuse(self.candidates.popleft(), status, text)
        for slot in self.roster.workers:
            self.effects.append(Drain(slot))
        self.assignment.assign()

    def give_up_loading(self) -> bool:
        """Stop waiting for versions that load, because the server leaves; False if none loads."""
        loading = [
            each.slot for each in self.roster.workers.values() if each.state is State.LOADING
        ]
        for slot in loading:
            self.failed(slot, *answer_for(self.policy.profile, Cause.STOPPING))
        return bool(loading)

    def _set_duty(self, duty: str, detail: str = "") -> None:
        self.assignment.duty = Cause.STOPPING if self.stopping else duty
        self.assignment.detail = detail
