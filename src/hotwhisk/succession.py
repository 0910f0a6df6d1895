"""
Who serves: every decision of the supervisor, without a process or a socket.

Happenings come in as method calls, decisions leave as `effects`. So a whole replacement, with
a death at any step of it, is a scripted history in a test.

Options weighed: effects inside the lifecycle table (a step needs details that a table cannot
hold); decisions beside the system calls (what they do can then only be tested with real
processes, where the interesting interleavings are rare). The table says which steps exist,
this class what follows from them.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from hotwhisk.contract import Cause, Profile, answer_for
from hotwhisk.custody import Custody
from hotwhisk.effects import (
    AnswerFor, Artifact, Asker, Debt, Discard, Drain, Effect, Fork, HandOver,
    Kill, LoadInto, Release, Reply, Shut, TakeBack, Tell,
)  # fmt: skip
from hotwhisk.lifecycle import Event, State, step

INITS_WAITING = 8
"""``/init``s that may wait for their turn; each holds its body in memory."""

SLOTS_KEPT = 32
"""Worker slots that a replacement leaves for fresh workers."""

PARKED_LIMIT = 1024
"""``/run``s that may wait, read, for a worker that is not busy."""

RETRY_FIRST, RETRY_MOST = 1.0, 30.0
"""Seconds between attempts to bring up a generation that crashes and has no predecessor."""


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How many workers a generation has, and what counts as a crash loop: ``crash_count`` deaths
    outside a handler within ``crash_window`` seconds.
    """

    workers: int = 1
    crash_count: int = 3
    crash_window: float = 10.0
    profile: Profile = Profile.PLAIN


@dataclass(slots=True)
class Worker:
    """
    What is known of a live worker.
    """

    slot: int
    state: State = State.BLANK
    generation: int = 0
    overlap: bool = False
    doom: tuple[Cause, str] | None = None
    """Why it was killed by us, if it was."""


@dataclass(slots=True)
class Candidate:
    """
    A replacement that waits or is loading. ``number`` is the connection of its ``/init``.
    """

    artifact: Artifact
    number: int | None = None
    asker: Asker | None = None
    rollback: bool = False
    worker: int | None = None


@dataclass(slots=True)
class Generation:
    """
    The generation in charge.
    """

    number: int = 0
    artifact: Artifact | None = None
    digest: str = ""
    crashes: deque[float] = field(default_factory=deque)
    retry_at: float | None = None
    retry_after: float = RETRY_FIRST


class Succession:
    """
    The state of the whole server, and what follows from each happening.
    """

    def __init__(self, policy: Policy, slots: int) -> None:
        self.policy = policy
        self.effects: deque[Effect] = deque()
        self.custody = Custody()
        self.workers: dict[int, Worker] = {}
        self.charge = Generation()
        self.previous: Artifact | None = None
        self.candidate: Candidate | None = None
        self.candidates: deque[Candidate] = deque()
        self.stopping = False
        self._numbers = itertools.count(1)
        self._free_slots = deque(range(slots))
        self.desk = self._fork()

    # -- connections ------------------------------------------------------------------------

    def accepted(self, numbers: Iterable[int]) -> None:
        """
        New connections came.
        """
        for number in numbers:
            self.custody.wait(number)
        self._assign()

    def closed(self, number: int) -> None:
        """
        A connection is over.
        """
        self.custody.forget(number)

    def taken(self, slot: int, moved: Iterable[tuple[int, bool]]) -> None:
        """
        Connections came back from a worker: each with whether it waits, parked, for an action.
        """
        for number, parked in moved:
            if self.custody.holder(number) == slot:
                self._park(number) if parked else self.custody.wait(number)
        self._assign()

    def released(self, slot: int, moved: Iterable[tuple[int, bool]], *, recalled: bool) -> None:
        """
        A worker gave connections back, of itself or because it was told to.
        """
        if recalled:
            self._step(self.workers[slot], Event.RELEASED)
            self._reopen()
        self.taken(slot, moved)

    def _park(self, number: int) -> None:
        if len(self.custody.parked) < PARKED_LIMIT:
            self.custody.wait(number, parked=True)
        else:
            self._answer(number, Cause.BUSY, "")

    def _assign(self) -> None:
        """
        Hand what waits to whoever can take it; what finds nobody goes on waiting.
        """
        batches: dict[int, list[int]] = {}
        for number in [*self.custody.parked, *self.custody.waiting]:
            worker = self._recipient()
            if worker is None:
                break
            self.custody.give(number, worker)
            batches.setdefault(worker, []).append(number)
        for worker, numbers in batches.items():
            self.effects.append(HandOver(worker, tuple(numbers)))
        if self.charge.number == 0 or self.charge.retry_at is not None:
            self.leave_to_desk()

    def _recipient(self) -> int | None:
        ready = [
            each.slot
            for each in self.workers.values()
            if each.state is State.SERVING and each.generation == self.charge.number
        ]
        return min(ready, key=self.custody.load) if ready else None

    def leave_to_desk(self) -> None:
        """
        Nobody else can take what waits: the desk reads it, and parks or answers.
        """
        if not self.custody.waiting:
            return
        numbers = tuple(self.custody.waiting)
        for number in numbers:
            self.custody.give(number, self.desk)
        if self.stopping:
            duty: str = Cause.STOPPING
        elif self.charge.retry_at is not None:
            duty = Cause.UNSTABLE
        else:
            duty = Cause.NO_ACTION if self.charge.number == 0 else ""
        self.effects.append(HandOver(self.desk, numbers, duty))

    def _reopen(self) -> None:
        """
        A worker can take connections again: what the desk holds for it comes back.
        """
        if self.custody.load(self.desk) and self._recipient() is not None:
            self.effects.append(TakeBack(self.desk))

    # -- replacement ------------------------------------------------------------------------

    def posted(self, slot: int, number: int, artifact: Artifact) -> None:
        """
        A worker read an ``/init``.
        """
        if self.custody.holder(number) != slot:
            self.effects.append(Release(artifact))
            return
        self.custody.lend(number)
        self.submit(Candidate(artifact, number))

    def submit(self, candidate: Candidate) -> None:
        """
        Put a replacement in the queue, or refuse it when that is full or the server leaves.
        """
        if self.stopping:
            self._refuse(candidate, 503, "the server is stopping: post to the next one")
        elif len(self.candidates) >= INITS_WAITING or len(self._free_slots) < SLOTS_KEPT:
            text = "too many replacements at once: post again when the ones before are done"
            self._refuse(candidate, 503, text)
        else:
            self.candidates.append(candidate)
            self._next_candidate()

    def roll_back(self, asker: Asker | None = None) -> bool:
        """
        Put the artifact before this one in charge again; False if there is none.
        """
        if self.previous is None:
            return False
        self.candidates.appendleft(Candidate(self.previous, asker=asker, rollback=True))
        self._next_candidate()
        return True

    def _next_candidate(self) -> None:
        if self.candidate is None and self.candidates:
            self.candidate = self.candidates.popleft()
            self.candidate.worker = self._load(self.candidate.artifact, next(self._numbers))

    def _load(self, artifact: Artifact, generation: int) -> int:
        """
        The desk becomes a worker of ``generation``; a fresh desk takes its place.
        """
        worker = self.workers[self.desk]
        self._step(worker, Event.LOAD)
        worker.generation = generation
        if self.custody.load(worker.slot):
            self.effects.append(TakeBack(worker.slot))
        self.effects.append(LoadInto(worker.slot, generation, artifact))
        self.desk = self._fork()
        return worker.slot

    def _fork(self) -> int:
        slot = self._free_slots.popleft()
        self.workers[slot] = Worker(slot)
        self.effects.append(Fork(slot))
        return slot

    def ready(self, slot: int, digest: str, *, overlap: bool) -> None:
        """
        A worker has loaded its action.
        """
        worker = self.workers[slot]
        if not self._step(worker, Event.READY):
            return
        worker.overlap = overlap
        if self.candidate and self.candidate.worker == slot:
            self._take_charge(self.candidate, worker, digest)
        elif worker.generation == self.charge.number:
            self.charge.retry_at, self.charge.retry_after = None, RETRY_FIRST
            self._share_out()
            self._reopen()
        else:  # a late recruit of a generation that was replaced meanwhile
            self._step(worker, Event.RETIRE)
            self.effects.append(TakeBack(slot, leave=True))
        self._assign()

    def _take_charge(self, candidate: Candidate, worker: Worker, digest: str) -> None:
        old, self.candidate = self.charge, None
        self.charge = Generation(worker.generation, candidate.artifact, digest)
        for each in list(self.workers.values()):
            if each.generation == old.number and self._step(each, Event.RETIRE):
                self.effects.append(TakeBack(each.slot, leave=True))
        # Before the answer to /init goes out, or the desk could still answer for the old one.
        self._reopen()
        # A roll-back restores `previous`; what it rolls back from is not worth coming back to.
        discarded = old.artifact if candidate.rollback else self.previous
        self.previous = None if candidate.rollback else old.artifact
        if discarded is not None:
            self.effects.append(Release(discarded))
        self._reply(candidate, 200, "")
        self._staff()
        self._next_candidate()

    def failed(self, slot: int, status: int, text: str) -> None:
        """
        A worker could not load its action.
        """
        worker = self.workers[slot]
        if not self._step(worker, Event.FAILED):
            return
        self.effects.append(Kill(slot))
        if self.candidate and self.candidate.worker == slot:
            self._refuse_candidate(status, text)
        else:
            self.effects.append(Tell(f"a fresh worker of generation {worker.generation}: {text}"))

    def overdue(self, slot: int, limit: str) -> None:
        """
        A worker was neither ready nor failed in time.
        """
        if self._step(self.workers[slot], Event.OVERDUE):
            self.effects.append(Kill(slot))
            if self.candidate and self.candidate.worker == slot:
                self._refuse_candidate(
                    *answer_for(self.policy.profile, Cause.INIT_TIMED_OUT, limit)
                )

    def _refuse_candidate(self, status: int, text: str) -> None:
        candidate, self.candidate = self.candidate, None
        assert candidate is not None
        self._refuse(candidate, status, text)
        self._next_candidate()

    def _refuse(self, candidate: Candidate, status: int, text: str) -> None:
        if not candidate.rollback:
            self.effects.append(Release(candidate.artifact))
        self._reply(candidate, status, text)

    def _reply(self, candidate: Candidate, status: int, text: str) -> None:
        self.effects.append(
            Reply(candidate.number, candidate.asker, status, text, self.charge.number)
        )
        if candidate.number is not None and candidate.number in self.custody.lent:
            self.custody.wait(candidate.number)
            self._assign()

    # -- trouble ----------------------------------------------------------------------------

    def stuck(self, slot: int) -> None:
        """
        A worker hangs in its handler: others take its connections.
        """
        if self._step(self.workers[slot], Event.STUCK):
            self.effects.append(TakeBack(slot))

    def expired(self, slot: int, cause: Cause, detail: str) -> None:
        """
        A run is past its deadline, or past the time that a stopping server grants.
        """
        worker = self.workers[slot]
        if self._step(worker, Event.EXPIRED):
            worker.doom = (cause, detail)
            self.effects.append(Kill(slot))

    def died(
        self, slot: int, cause: Cause, how: str, debts: Iterable[tuple[int, Debt]], now: float
    ) -> None:
        """
        A worker is dead: by what, and what it owed. ``how`` is "signal 9 (SIGKILL)" or the like.
        """
        worker = self.workers.pop(slot)
        if slot == self.desk:
            self.desk = self._fork()
        doom, detail = worker.doom or (cause, how)
        in_handler = self._settle(slot, debts, doom, detail)
        self.custody.bury(slot)
        self._free_slots.append(slot)
        if self.candidate and self.candidate.worker == slot:
            self._refuse_candidate(*answer_for(self.policy.profile, Cause.INIT_DIED, how))
        elif worker.generation == self.charge.number != 0 and worker.state is not State.RETIRED:
            during = "during a request" if in_handler else "between requests"
            text = f"a worker of generation {worker.generation} was ended by {how} {during}"
            self.effects.append(Tell(text))
            if in_handler or worker.doom:
                self._staff()
            else:
                self._crashed(now)
        if worker.generation and not any(
            each.generation == worker.generation for each in self.workers.values()
        ):
            self.effects.append(Discard(worker.generation))
        self._assign()

    def _settle(
        self, slot: int, debts: Iterable[tuple[int, Debt]], cause: Cause, how: str
    ) -> bool:
        in_handler = False
        for number, debt in debts:
            if self.custody.holder(number) != slot:
                continue
            if debt is Debt.NOTHING:
                self.custody.wait(number)
            elif debt is Debt.PARKED:
                self._park(number)
            elif debt is Debt.BROKEN:
                self.custody.forget(number)
                self.effects.append(Shut(number))
            elif debt is Debt.LOST:
                self._answer(number, Cause.LOST, how)
            else:
                in_handler = True
                self._answer(number, cause, how)
        return in_handler

    def _answer(self, number: int, cause: Cause, detail: str) -> None:
        self.custody.give(number, self.desk)
        self.effects.append(AnswerFor(self.desk, number, cause, detail))

    def _crashed(self, now: float) -> None:
        """
        A death that no request explains: too many of them, and the version is rolled back.
        """
        crashes = self.charge.crashes
        crashes.append(now)
        while crashes and crashes[0] < now - self.policy.crash_window:
            crashes.popleft()
        if len(crashes) < self.policy.crash_count:
            self._staff()
            return
        crashes.clear()
        if self.roll_back():
            text = "crashes in a loop: rolling back to the version before it"
        else:
            self.charge.retry_at = now + self.charge.retry_after
            text = f"crashes in a loop: next attempt in {self.charge.retry_after:g} s"
            self.charge.retry_after = min(2 * self.charge.retry_after, RETRY_MOST)
        self.effects.append(Tell(f"generation {self.charge.number} {text}"))

    def retry(self, now: float) -> None:
        """
        Bring up a crashing generation again when its pause is over.
        """
        if self.charge.retry_at is not None and now >= self.charge.retry_at:
            self.charge.retry_at = None
            self._staff()

    def _staff(self) -> None:
        """
        Start workers until the generation in charge has as many as it should.
        """
        if self.charge.artifact is None or self.stopping or self.charge.retry_at is not None:
            return
        missing = self.policy.workers - sum(
            each.generation == self.charge.number and each.state is not State.RETIRED
            for each in self.workers.values()
        )
        for _ in range(missing):
            self._load(self.charge.artifact, self.charge.number)

    def _share_out(self) -> None:
        """
        One more worker serves: the ones that hold more than their share give all back.
        """
        peers = [
            each.slot
            for each in self.workers.values()
            if each.state is State.SERVING and each.generation == self.charge.number
        ]
        share = -(-sum(map(self.custody.load, peers)) // len(peers))
        for slot in peers:
            if self.custody.load(slot) > share:
                self.effects.append(TakeBack(slot))

    def stop(self) -> None:
        """
        The server leaves: nothing is replaced any more, what is there is answered.
        """
        self.stopping = True
        while self.candidates:
            self._refuse(self.candidates.popleft(), 503, "the server is stopping")
        for slot in self.workers:
            self.effects.append(Drain(slot))

    def _step(self, worker: Worker, event: Event) -> bool:
        state = step(worker.state, event)
        if state is None:
            return False
        worker.state = state
        return True
