"""A worker counts: exactly, wherever it is killed; and cheaply."""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from hotwhisk.ipc import scoreboard, worker_counters
from hotwhisk.ipc.counters import UNCOUNTED, AnswerKind, Counts, counted_word
from hotwhisk.ipc.scoreboard import WORKERS, Phase, Scoreboard
from hotwhisk.ipc.worker_counters import RAN, WorkerCounters

SLOT, NUMBER, LENGTH = 5, 2, 100
OURS = (worker_counters.__file__, scoreboard.__file__)


class Killed(BaseException):
    """The process ends here."""


class Counted:
    """A worker that answers on one connection, and the supervisor after its death."""

    def __init__(self) -> None:
        self.scoreboard = Scoreboard(4)
        self.scoreboard.begin_connection(NUMBER)
        self.counters = WorkerCounters(self.scoreboard, SLOT)
        self.counters.count_for_action()
        self.sent = 0

    def run(self, *, failed: bool = False) -> None:
        """Run a request and make its answer."""
        self.scoreboard.set_running(NUMBER, 1.0, 60.0, self.sent)
        self.counters.seconds, self.counters.ran = 0.001, RAN[failed]
        self.counters.respond(NUMBER, self.sent, LENGTH)

    def refuse(self) -> None:
        """Refuse a request."""
        self.counters.respond(NUMBER, self.sent, LENGTH)

    def finish(self) -> None:
        """Send the answer whole."""
        self.sent += LENGTH
        self.scoreboard.set_phase(NUMBER, Phase.IDLE)

    def counts(self) -> dict[AnswerKind, int]:
        """Return what is counted, while the worker lives or if all was sent."""
        return Counts.of_block(self.scoreboard.counters.block(SLOT))[0].by_kind()

    def counts_after_death(self) -> dict[AnswerKind, int]:
        """Return what is counted after a death in a request of which nothing was sent."""
        words = self.scoreboard.counters.block(SLOT)
        counts, _ = Counts.of_block(words)
        if self.scoreboard.phase(NUMBER) in (Phase.RUNNING, Phase.RESPONDING):
            counts.take_back(counted_word(words, self.scoreboard.count_mark(NUMBER)))
        counts.died += 1
        return counts.by_kind()


def kill_at(instruction: int, function: Callable[[], None]) -> bool:
    """Call a function that ends before this instruction of ours; return False if it has fewer."""
    left = instruction

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in OURS:
            return None  # such as what pytest and Hypothesis do when objects are collected
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left < 0:
                raise Killed
        return trace

    before = sys.gettrace()
    # Python 3.12 looks only here whether a function wants to be told of each instruction.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        function()
    except Killed:
        return True
    finally:
        sys.settrace(before)
    return False


def cuts(answers: Callable[[Counted], None], then: Callable[[Counted], None]) -> list[Counted]:
    """Return a worker for each instruction of ``then``, where it was killed, after ``answers``."""
    found: list[Counted] = []
    while True:
        counted = Counted()
        answers(counted)
        if not kill_at(len(found), lambda counted=counted: then(counted)):  # type: ignore[misc]
            return found
        found.append(counted)


def earlier(counted: Counted) -> None:
    counted.run()
    counted.finish()
    counted.refuse()
    counted.finish()


BEFORE = {
    AnswerKind.OK: 1,
    AnswerKind.ERROR: 0,
    AnswerKind.DIED: 0,
    AnswerKind.TIMED_OUT: 0,
    AnswerKind.REFUSED: 1,
}


@pytest.mark.parametrize("failed", [False, True])
def test_wherever_a_worker_is_killed_in_a_run_its_request_is_counted_once(failed: bool) -> None:
    found = cuts(earlier, lambda counted: counted.run(failed=failed))
    assert len(found) > 50
    for counted in found:
        assert counted.counts_after_death() == BEFORE | {AnswerKind.DIED: 1}
    whole = Counted()
    earlier(whole)
    whole.run(failed=failed)
    kind = AnswerKind.ERROR if failed else AnswerKind.OK
    assert whole.counts() == BEFORE | {kind: BEFORE[kind] + 1}
    assert whole.counts_after_death() == BEFORE | {AnswerKind.DIED: 1}


def test_wherever_a_worker_is_killed_in_a_refusal_its_request_is_counted_once() -> None:
    for counted in cuts(earlier, Counted.refuse):
        # In IDLE, bytes were read and are lost: another answer follows, and nothing was counted.
        assert counted.counts_after_death() == BEFORE | {AnswerKind.DIED: 1}


def pipelined(counted: Counted) -> None:
    """Send an answer whole. The phase stays, because the next request was read already."""
    counted.run()
    counted.sent += LENGTH


def test_wherever_a_pipelined_request_is_cut_the_answer_before_it_stays_counted() -> None:
    for counted in cuts(pipelined, Counted.run):
        # What the supervisor finds: LENGTH bytes were written, so those from then on are missing.
        row = counted.scoreboard.row(NUMBER)
        unsent = row.sent == LENGTH or counted.scoreboard.phase(NUMBER) is Phase.RUNNING
        words = counted.scoreboard.counters.block(SLOT)
        counts, _ = Counts.of_block(words)
        if unsent:
            counts.take_back(counted_word(words, counted.scoreboard.count_mark(NUMBER)))
        assert counts.by_kind()[AnswerKind.OK] == 1


def test_an_answer_that_is_broken_off_in_the_worker_is_counted_as_the_error_that_follows() -> None:
    counted = Counted()
    earlier(counted)
    counted.run()
    counted.counters.interrupted(NUMBER, 0.002)
    counted.counters.respond(NUMBER, counted.sent, LENGTH)
    assert counted.counts() == BEFORE | {AnswerKind.ERROR: 1}


def test_an_error_in_the_place_of_another_worker_is_not_counted_here() -> None:
    counted = Counted()
    earlier(counted)
    counted.counters.word = UNCOUNTED
    counted.refuse()
    assert counted.counts() == BEFORE
    assert counted.counts_after_death() == BEFORE | {AnswerKind.DIED: 1}
    counted.refuse()
    assert counted.counts() == BEFORE | {AnswerKind.REFUSED: 2}


def test_a_worker_without_an_action_refuses_for_no_generation() -> None:
    table = Scoreboard(1)
    counters = WorkerCounters(table, 0)
    counters.respond(0, 0, LENGTH)
    counts, before = Counts.of_block(table.counters.block(0))
    assert (before, counts.refused) == (1, 0)
    counters.count_for_action()
    counters.respond(0, 0, LENGTH)
    counts, before = Counts.of_block(table.counters.block(0))
    assert (before, counts.refused) == (1, 1)


def test_busy_time_and_bytes_are_sums() -> None:
    counted = Counted()
    for _ in range(3):
        counted.counters.bytes_in += 50
        counted.run()
        counted.finish()
    counts, _ = Counts.of_block(counted.scoreboard.counters.block(SLOT))
    assert (counts.bytes_in, counts.bytes_out) == (150, 3 * LENGTH)
    assert counts.run_seconds == pytest.approx(0.003, rel=1e-3)
    middle = counts.percentile(0.5)
    assert middle is not None
    assert 0.0008 <= middle <= 0.00125


def test_blocks_and_rows_do_not_overlap() -> None:
    table = Scoreboard(4)
    for slot in (0, WORKERS - 1):
        words = table.counters.block(slot)
        for word in range(len(words)):
            words[word] = (1 << 64) - 1
    assert table.row(0).since == 0.0
    assert table.phase(3) is Phase.FREE
    assert table.claimed(WORKERS - 1) == -1
    assert not any(table.counters.block(1))
    for slot in (0, WORKERS - 1):
        table.counters.clear(slot)
        assert not any(table.counters.block(slot))


def test_a_block_is_cleared_also_if_the_system_takes_no_page_back() -> None:
    class Refusing:
        """A table whose system refuses."""

        def __init__(self, table: Any) -> None:
            self._table = table

        def madvise(self, *_: int) -> None:
            raise OSError

        def __setitem__(self, key: slice, value: bytes) -> None:
            self._table[key] = value

    table = Scoreboard(1)
    words = table.counters.block(3)
    words[7] = 1
    table.counters._table = Refusing(table.counters._table)  # type: ignore[assignment]
    table.counters.clear(3)
    assert not any(words)


@pytest.mark.slow
def test_counting_costs_a_few_times_what_the_phase_alone_costs() -> None:
    """Compare two loops in one process: the load of the machine changes both."""
    counted = Counted()
    table, counters = counted.scoreboard, counted.counters

    def without() -> None:
        table.set_responding(NUMBER, 0, LENGTH)

    def counting() -> None:
        counters.seconds, counters.ran = 0.0001, RAN[False]
        counters.bytes_in += 120
        counters.respond(NUMBER, 0, LENGTH)

    def ratio() -> float:
        return timeit.timeit(counting, number=2000) / timeit.timeit(without, number=2000)

    assert min(ratio() for _ in range(20)) < 8


@pytest.mark.parametrize("written", [(1 << 64) - 1, 1 << 63, 1 << 54, 1 << 53])
def test_whatever_the_action_writes_into_its_counts_answers_go_on(written: int) -> None:
    counted = Counted()
    words = counted.scoreboard.counters.block(SLOT)
    for word in range(len(words)):
        words[word] = written
    for failed in (False, True):
        counted.run(failed=failed)
        counted.finish()
    counted.refuse()
    counted.finish()
    counted.run()
    for word in range(len(words)):
        words[word] = 0
    counted.counters.interrupted(NUMBER, 0.001)
    counted.run(failed=True)
    assert sum(counted.counts().values()) == 1
