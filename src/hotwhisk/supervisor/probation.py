"""
The probation of the current version: it is compared with the one before, and rolled back if worse.

Pure, and a part of `rollout`. A probation begins when a version takes the place of another. It ends
after as many seconds or requests as ``--probation`` says, or when another version becomes current.
A version that a roll-back has made current has none.

With ``--keep-previous`` the workers of the version before stay until the probation is over. They
have released their connections, and get no others. A roll-back makes them serve again, so it loads
nothing. A kept worker that still has a connection then, because it runs since before the
replacement, finishes that and exits: it would answer under the number of the new generation what it
began under its own.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from hotwhisk.ipc.counters import Counts
from hotwhisk.supervisor.commands import Candidate, Command, Log, Restore
from hotwhisk.supervisor.comparison import Comparison, Figures
from hotwhisk.supervisor.dispatcher import Dispatcher
from hotwhisk.supervisor.generation import Generation, Policy
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.supervisor.workers import Event, State, Workers


class ProbationState(StrEnum):
    """The states of the latest probation, as `status` names them."""

    NONE = "none"
    """No version was on probation yet."""
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    """The version was worse, so a roll-back was begun."""
    ENDED = "ended"
    """Another version became current, or the server stops, before the probation was over."""


class Probation:
    """The latest probation of one server, and the workers that are kept for it."""

    def __init__(
        self, policy: Policy, workers: Workers, dispatcher: Dispatcher, commands: deque[Command]
    ) -> None:
        self.limit = policy.probation
        self._policy = policy
        self._workers = workers
        self._dispatcher = dispatcher
        self._commands = commands
        self.state = ProbationState.NONE
        self.current = self.before = Generation()
        """The generation that is or was on probation, and the one before it."""
        self.since: float | None = None
        """The time of the first tick of the probation; None before that."""
        self.fault = ""
        """In what the version was worse; empty if it was in nothing."""
        self.failures = 0
        """Versions of this server that failed their probation."""
        self._comparison = Comparison()

    def replaced(self, before: Generation, current: Generation, *, watched: bool) -> None:
        """
        End the probation of ``before``, and begin that of ``current`` if it is to be ``watched``.

        The workers of ``before`` drain, or are kept.
        """
        begins = watched and self.limit is not None and before.number > 0
        if self.state is not ProbationState.NONE:
            self.end()
        for slot in self._workers.in_generation(before.number):
            self._dispatcher.drain(slot, keep=begins and self._policy.keep_previous)
        if begins:
            self.state, self.since, self.fault = ProbationState.RUNNING, None, ""
            self.before, self.current = before, current
            self._comparison = Comparison(self._policy.workers)

    def end(self) -> None:
        """End the probation without a result, and have the kept workers exit."""
        if self.state is ProbationState.RUNNING:
            self.state = ProbationState.ENDED
        self._release_kept()

    def figures(self, after: Counts, before: Counts) -> tuple[Figures, Figures]:
        """Return the figures of the version on probation, and those of the one before."""
        return (
            Figures.of_counts(after, self.current.deaths),
            Figures.of_counts(before, self.before.deaths),
        )

    def look(self, now: float, after: Counts, before: Counts) -> bool:
        """Compare what both versions have counted by now; return whether the later one failed."""
        if self.limit is None or self.state is not ProbationState.RUNNING:
            return False
        self.since = now if self.since is None else self.since
        later, earlier = self.figures(after, before)
        self.fault = self._comparison.find_fault(later, earlier)
        if self.fault:
            self.state = ProbationState.FAILED
            self.failures += 1
            failed = f"generation {self.current.number} fails its probation: {self.fault}"
            then = f"rolling back to generation {self.before.number}"
            self._commands.append(Log(f"{failed}; {then}", LogEvent.PROBATION_FAILED))
            return True
        if self.limit.is_reached(now - self.since, later.requests):
            self.state = ProbationState.PASSED
            self._release_kept()
            passed = f"generation {self.current.number} has passed its probation: {later}"
            self._commands.append(Log(f"{passed}; before: {earlier}", LogEvent.PROBATION_PASSED))
        return False

    @property
    def needs_ticks(self) -> bool:
        """Return whether the end of the probation must be found although no request comes."""
        running = self.state is ProbationState.RUNNING
        return running and self._policy.keep_previous and not (self.limit and self.limit.requests)

    def restore(self, candidate: Candidate) -> str:
        """
        Have the kept workers serve again, if they are of the version that a roll-back restores.

        Returns the digest of the version; an empty text if it has to be loaded.
        """
        if candidate.artifact is not self.before.artifact:
            return ""
        kept = self._workers.in_generation(self.before.number, State.KEPT)
        idle = [slot for slot in kept if not self._dispatcher.owners.count(slot)]
        for slot in idle:
            self._workers.apply(slot, Event.RESTORED)
            self._workers[slot].generation = candidate.generation
            self._commands.append(Restore(slot, candidate.generation, self.before.digest))
        self._release_kept()
        return self.before.digest if idle else ""

    def _release_kept(self) -> None:
        for slot, worker in self._workers.by_slot.items():
            if worker.state is State.KEPT:
                self._dispatcher.drain(slot)
