"""
Decide how a trial of a new version goes: whom it concerns, when it ends, and what comes of it.

Pure, and a part of `rollout`. In a trial the current version goes on to answer every request. Of
the requests that it answered, copies go from its workers to the worker of the new version, which
reports how each of its own answers compares. A trial ends

- after so many copies as were asked for,
- at the third answer that differs, because three examples show what is wrong,
- after so many seconds,
- with the death of the worker, or if it has not answered a copy for as long as a request may take.

Only a version that has answered at least one copy, and none differently, becomes current. If fewer
copies came than were asked for, the verdict says so. The worker itself reports what differs: a
version that lies only deceives its own author, who could as well post it without a trial.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hotwhisk.ipc.messages import EndTrial, ProtocolError
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.openwhisk.trial_request import MOST_COPIES, MOST_SECONDS
from hotwhisk.supervisor.commands import (
    BeginTrial,
    Candidate,
    CloseTrial,
    Command,
    Log,
    OfferCopies,
    Send,
)
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.supervisor.workers import Event, State, Workers

Limits = tuple[int, int]
"""The most copies and the most seconds of a trial."""

UNTRIED: Limits = (0, 0)

MOST_DIFFERING = 3
"""Answers that differ until a trial ends; each is an example for the author."""

REFUSED = 409
"""The HTTP status for a version that its trial refuses."""

NO_TRIAL = "no trial: there was no version to compare it with"


class Trial:
    """A trial of ``candidate`` in the worker ``slot``."""

    def __init__(self, candidate: Candidate, slot: int, limits: Limits) -> None:
        self.candidate = candidate
        self.slot = slot
        self.copies = max(1, min(limits[0], MOST_COPIES))
        """The most copies."""
        self.seconds = min(limits[1], MOST_SECONDS)
        """The most seconds. The worker names the limits, so they are limited here."""
        self.compared = 0
        """How many copies were answered."""
        self.differing = 0
        self.examples: list[str] = []
        """How the answers differ, without repetitions."""
        self.is_ending = False
        """Whether the worker was told to take no more copies."""

    def refusal(self, why: str) -> str:
        """Return the text for a refusal that no comparison explains."""
        return f"the trial refused it: {why}, after {copies(self.compared)}"

    def verdict(self) -> str:
        """Return what was found, as a text for people."""
        if self.differing:
            differ = "differs" if self.differing == 1 else "differ"
            count = f"{self.differing} of {copies(self.compared)} {differ}"
            return "\n  ".join([f"the trial refused it: {count}:", *self.examples])
        if not self.compared:
            return (
                f"the trial refused it: no request came within {self.seconds} s that could be "
                "compared; send requests meanwhile, or replace without a trial"
            )
        text = f"the trial passed: {copies(self.compared)}, none differs"
        if self.compared < self.copies:
            text += f"; only {self.compared} of {self.copies} came within {self.seconds} s"
        return text


class Trials:
    """
    The trial that goes on, if there is one. ``serve`` lets a worker serve, by its slot; ``refuse``
    ends one, and answers the ``/init`` with a status and a text.
    """

    def __init__(
        self,
        workers: Workers,
        commands: deque[Command],
        serve: Callable[[int], None],
        refuse: Callable[[int, int, str], None],
    ) -> None:
        self._workers = workers
        self._commands = commands
        self._serve = serve
        self._refuse = refuse
        self.trial: Trial | None = None

    def begin(self, slot: int, candidate: Candidate | None, limits: Limits, current: int) -> bool:
        """
        Begin the trial of a version that its worker has loaded; return False if it has none.

        Only an ``/init`` can ask for one: a roll-back, or a further worker, has none.
        """
        if candidate is None or candidate.slot != slot or candidate.connection is None:
            return False
        if not current:
            candidate.verdict = NO_TRIAL
            return False
        if self._workers.apply(slot, Event.TRIED):
            self._workers[slot].is_tried = True
            self.trial = trial = Trial(candidate, slot, limits)
            text = f"generation {candidate.generation} is on trial: up to {trial.copies} copies of "
            text += f"requests, up to {trial.seconds} s"
            self._commands.append(Log(text, LogEvent.TRIAL))
            self._commands.append(BeginTrial(slot))
            for each in self._workers.in_generation(current, State.SERVING, State.BUSY):
                self.offer(each)
        return True

    def offer(self, slot: int) -> None:
        """Have a worker of the current version offer copies, if there is a trial."""
        if self.trial is not None:
            self._commands.append(OfferCopies(slot))

    # -- what the worker reports ------------------------------------------------------------

    def compared(self, slot: int, difference: str) -> None:
        """
        Count a copy, with the text that says how its answer differs, if it does.

        Raises:
            ProtocolError: the worker is not on trial.
        """
        trial = self._of(slot)
        if trial is None:
            return
        trial.compared += 1
        if difference:
            trial.differing += 1
            if difference not in trial.examples:
                trial.examples.append(difference)
        if trial.differing == MOST_DIFFERING:
            self._refuse(slot, REFUSED, trial.verdict())
        elif trial.compared >= trial.copies:
            self._stop_copies(trial)

    def ended(self, slot: int) -> None:
        """
        Let a version serve if no answer differed, because its worker takes no more copies.

        Raises:
            ProtocolError: the worker was not told to end a trial.
        """
        trial = self._of(slot)
        if trial is None:
            return
        if not trial.is_ending:
            raise ProtocolError("its trial goes on")
        if trial.differing or not trial.compared:
            self._refuse(slot, REFUSED, trial.verdict())
            return
        trial.candidate.verdict = trial.verdict()
        self.close()
        self._workers[slot].is_tried = False
        self._serve(slot)

    def died(self, slot: int, cause: Cause, how: str) -> tuple[int, str] | None:
        """Return why the version of a dead worker is refused; None if it was not on trial."""
        if self.trial is None or self.trial.slot != slot:
            return None
        memory = " as memory ran out" if cause is Cause.OUT_OF_MEMORY else ""
        return REFUSED, self.trial.refusal(f"it was ended by {how}{memory}")

    def close(self) -> None:
        """Forget the trial, because its version is refused or passed."""
        if self.trial is not None:
            self.trial = None
            self._commands.append(CloseTrial())

    # -- the clock and the operator ---------------------------------------------------------

    def tick(self, age: float, silence: float, limit: float) -> None:
        """
        End a trial of which ``age`` seconds have passed.

        ``silence`` is for how long a copy, or the order to end, has waited for the worker. It may
        wait for ``limit``.
        """
        trial = self.trial
        if trial is None:
            return
        if silence > limit:
            self.give_up(f"it did not answer a copy within {limit:g} s")
        elif age > trial.seconds:
            self._stop_copies(trial)

    def give_up(self, why: str) -> None:
        """Refuse the version on trial, if there is one."""
        if self.trial is not None:
            self._refuse(self.trial.slot, REFUSED, self.trial.refusal(why))

    def _of(self, slot: int) -> Trial | None:
        """Return the trial of a worker; None if it has just been refused."""
        trial = self.trial
        if trial is None or trial.slot != slot:
            if self._workers[slot].state is State.KILLED:
                return None
            raise ProtocolError("it is not on trial")
        return trial

    def _stop_copies(self, trial: Trial) -> None:
        """Tell the worker to take no more copies. What it does now is finished and counts."""
        if not trial.is_ending:
            trial.is_ending = True
            self._commands.append(Send(trial.slot, EndTrial()))


def copies(count: int) -> str:
    """Return a number of copies as text."""
    return f"{count} {'copy' if count == 1 else 'copies'}"
