"""What is done when a worker has exited: its connections are recovered, and its cause is found."""

from __future__ import annotations

from signal import SIGKILL

from hotwhisk.ipc.counters import AnswerKind, Counts, counted_word
from hotwhisk.ipc.scoreboard import RUNS, CloseAfter, Phase
from hotwhisk.openwhisk.answers import Cause, failure_answer
from hotwhisk.supervisor.commands import Recovery
from hotwhisk.supervisor.workers import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from hotwhisk.supervisor.parts import Parts
    from hotwhisk.supervisor.process import Process
    from hotwhisk.system.children import ExitStatus


NOT_WHOLE = (Recovery.FAIL, Recovery.CUT, Recovery.CUT_STREAM)
"""The answer of a dead worker did not reach its client whole."""


class Exits:
    """Handles the exits of the workers and templates of one server."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._oom_kills = parts.system.oom_kills()

    def handle(self, process: Process, ending: ExitStatus) -> None:
        """
        Reap a dead process, and pass its exit to `rollout`, with what its connections need.

        Its last messages must have been handled before.
        """
        parts, slot = self._parts, process.slot
        rollout, scoreboard = parts.rollout, parts.scoreboard
        parts.remove_closed(scoreboard.in_phase(Phase.CLOSED))
        owned = rollout.dispatcher.owners.owned(slot)
        recoveries = parts.sockets.recoveries(owned, scoreboard.claimed(slot))
        self._add_counts(slot, recoveries)
        scoreboard.unclaim(slot)
        not_spawned = [each.slot for each in parts.processes.pending_spawns(process)]
        parts.processes.reap(process)
        parts.sockets.close_spills_of_worker(slot)
        if rollout.workers[slot].is_template:
            rollout.template_exited(slot, not_spawned)
            parts.processes.reap_orphans()
        else:
            cause, now = self._cause(ending), parts.system.now()
            self._count(process, ending, cause, recoveries)
            self._end_output(process, cause, str(ending), recoveries)
            rollout.exited(slot, cause, str(ending), recoveries, now)

    def _add_counts(self, slot: int, recoveries: list[tuple[int, Recovery]]) -> None:
        """
        Add what a dead worker has counted to its generation, and free its block for the next one.

        An answer that did not reach its client whole is counted no more. If the connection is cut,
        its request is counted here. If another answer follows, it is counted with that.
        """
        scoreboard, sockets = self._parts.scoreboard, self._parts.sockets
        worker, totals = self._parts.rollout.workers[slot], self._parts.stats.totals
        generation = worker.generation
        words = scoreboard.counters.block(slot)
        totals.add(generation, Counts.of_block(words))
        for number, recovery in recoveries:
            if recovery in NOT_WHOLE and number not in sockets.counted:
                totals.take_back(generation, counted_word(words, scoreboard.count_mark(number)))
                if recovery is Recovery.CUT:
                    totals.counts_of(generation).died += 1
                elif recovery is Recovery.CUT_STREAM:
                    cause, _ = worker.kill_reason or (Cause.KILLED, "")
                    totals.answered_for_worker(generation, cause)
        words.release()
        scoreboard.counters.clear(slot)

    def lock_out(self, slot: int) -> None:
        """Take its connections from a worker that cannot be killed, but one that it has claimed."""
        scoreboard = self._parts.scoreboard
        scoreboard.raise_recalls(slot)
        self._parts.system.barrier()
        for number in self._parts.rollout.dispatcher.owners.owned(slot):
            if scoreboard.phase(number) in RUNS:
                scoreboard.set_close(number, CloseAfter.READ_AHEAD)

    def _count(
        self,
        process: Process,
        ending: ExitStatus,
        cause: Cause,
        recoveries: list[tuple[int, Recovery]],
    ) -> None:
        """Count an exit for the status, unless the worker was to exit and had nothing to answer."""
        worker = self._parts.rollout.workers[process.slot]
        dismissed = worker.state is State.KILLED and worker.kill_reason is None
        with_action = (Recovery.FAIL, Recovery.CUT_STREAM)
        unanswered = sum(each in with_action for _, each in recoveries)
        if unanswered or not (dismissed or worker.state is State.DRAINING):
            why, _ = worker.kill_reason or (cause, "")
            self._parts.stats.died(
                process.pid, process.generation, why, str(ending), unanswered=unanswered
            )

    def _end_output(
        self,
        process: Process,
        cause: Cause,
        how: str,
        recoveries: Iterable[tuple[int, Recovery]],
    ) -> None:
        """Write the rest of what a dead worker printed, and the lines of its activations."""
        output, profile = self._parts.output, self._parts.config.profile
        if output is None:
            return
        from hotwhisk.supervisor.worker_pipes import Death, RunOutcome  # only for a log of JSON

        cause, detail = self._parts.rollout.workers[process.slot].kill_reason or (cause, how)
        kind, why = AnswerKind.DIED, how
        if cause is Cause.TIMED_OUT:
            kind, why = AnswerKind.TIMED_OUT, f"no answer within {detail}"
        elif cause is Cause.OUT_OF_MEMORY:
            why = f"{how}, as memory ran out"
        elif cause is Cause.STOPPING:
            why = "the server stops"
        status, _ = failure_answer(profile, cause, detail)
        answers = {
            number: RunOutcome(
                kind,
                status if recovery in (Recovery.FAIL, Recovery.LOST) else 0,
                is_own=recovery not in NOT_WHOLE,
            )
            for number, recovery in recoveries
        }
        output.died(process, Death(answers, self._parts.origin(process).members(), why))

    def _cause(self, ending: ExitStatus) -> Cause:
        kills, self._oom_kills = self._oom_kills, self._parts.system.oom_kills()
        if ending.signal == SIGKILL and self._oom_kills > kills:
            return Cause.OUT_OF_MEMORY
        return Cause.KILLED if ending.signal else Cause.EXITED
