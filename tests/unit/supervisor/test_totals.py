"""What is counted by generation, and what a worker's death changes in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hotwhisk.ipc.counters import REFUSED, REFUSED_BEFORE, RESULTS, AnswerKind, Counts
from hotwhisk.ipc.scoreboard import Phase
from hotwhisk.ipc.worker_counters import RAN, WorkerCounters
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.server.status import counts
from hotwhisk.supervisor.totals import KEPT, NO_GENERATION, Totals
from tests.unit.supervisor.scripted import Scripted

Script = Callable[..., Scripted]
LENGTH = 10


def results(number: int) -> tuple[Counts, int]:
    """Return what a worker has counted that gave so many results."""
    found = Counts()
    found.results[40] = number
    return found, 0


def rows(totals: Totals, current: int = 0) -> dict[Any, Any]:
    plain = totals.json_values([], current)
    return {row["generation"]: row["requests"] for row in plain}


def test_the_newest_generations_are_kept_and_the_others_are_one_sum() -> None:
    totals = Totals()
    for generation in range(1, KEPT + 11):
        totals.add(generation, results(generation))
    totals.add(3, results(1))  # a worker of an old generation exits late
    plain = totals.json_values([], KEPT + 10)
    assert [row["generation"] for row in plain] == [*range(KEPT + 10, 10, -1), 10]
    assert [row.get("earlier", False) for row in plain] == KEPT * [False] + [True]
    assert plain[-1]["requests"] == sum(range(1, 11)) + 1
    json.dumps(plain, allow_nan=False)


def test_a_generation_older_than_those_that_are_kept_is_in_the_sum_at_once() -> None:
    totals = Totals()
    for generation in range(2, KEPT + 2):
        totals.add(generation, results(1))
    totals.add(1, results(5))
    assert totals.json_values([], KEPT + 1)[-1]["requests"] == 5
    totals.add(1, results(5))
    assert totals.json_values([], KEPT + 1)[-1]["requests"] == 10


def test_the_living_are_added_when_asked_for_and_not_kept() -> None:
    totals = Totals()
    totals.add(1, results(2))
    for _ in range(2):
        shown = totals.json_values([(1, results(3)), (2, results(4))], 2)
        assert [(row["generation"], row["ok"]) for row in shown] == [(2, 4), (1, 5)]
    assert rows(totals, 1) == {1: 2}


def test_a_generation_without_a_request_has_a_row_only_if_it_is_current() -> None:
    totals = Totals()
    for generation in (0, 3, 4):
        totals.add(generation, (Counts(), 0))
    totals.add(2, results(5))
    assert rows(totals, 4) == {4: 0, 2: 5}


def test_the_current_generation_has_a_row_before_its_first_request() -> None:
    assert rows(Totals(), 7) == {7: 0}


@pytest.mark.parametrize(
    ("cause", "generation", "kind"),
    [
        (Cause.KILLED, 3, AnswerKind.DIED),
        (Cause.LOST, 3, AnswerKind.DIED),
        (Cause.STOPPING, 3, AnswerKind.DIED),
        (Cause.TIMED_OUT, 3, AnswerKind.TIMED_OUT),
        (Cause.BUSY, NO_GENERATION, AnswerKind.REFUSED),
    ],
)
def test_what_another_process_answers_is_counted_by_its_cause(
    cause: Cause, generation: int, kind: AnswerKind
) -> None:
    totals = Totals()
    totals.answered_for_worker(3, cause)
    assert totals.counts_of(generation).by_kind()[kind] == 1


def test_refusals_without_an_action_are_of_no_generation() -> None:
    totals = Totals()
    totals.add(4, (Counts(), 3))
    totals.take_back(4, REFUSED_BEFORE)
    assert totals.counts_of(NO_GENERATION).refused == 2
    totals.counts_of(4).refused = 2
    totals.take_back(4, REFUSED)
    assert totals.counts_of(4).refused == 1


# -- deaths -----------------------------------------------------------------------------------


class Worker:
    """A worker of a scripted supervisor that answers."""

    def __init__(self, script: Script) -> None:
        self.scripted = script()
        self.slot = self.scripted.serve()
        self.counters = WorkerCounters(self.scripted.scoreboard, self.slot)
        self.counters.count_for_action()

    def begin(self) -> int:
        """Begin a run on a new connection; return its number."""
        number = self.scripted.connect()
        self.scripted.scoreboard.set_running(number, 1000.0, float("inf"), 0)
        return number

    def respond(self, number: int) -> None:
        """Make the answer of a run, without sending it."""
        self.counters.seconds, self.counters.ran = 0.001, RAN[False]
        self.counters.respond(number, 0, LENGTH)

    def kinds(self) -> dict[str, int]:
        """Return what the server counts in all."""
        found = counts(self.scripted.supervisor.parts)
        return {str(kind): sum(int(str(row[kind])) for row in found) for kind in AnswerKind}


def expected(**kinds: int) -> dict[str, int]:
    return {str(kind): kinds.get(kind, 0) for kind in AnswerKind}


def test_a_living_worker_is_counted_and_a_dead_one_is_counted_once(script: Script) -> None:
    worker = Worker(script)
    number = worker.begin()
    worker.respond(number)
    worker.scripted.scoreboard.set_phase(number, Phase.IDLE)  # it was sent
    assert worker.kinds() == expected(ok=1)
    worker.scripted.die(worker.slot)
    assert worker.kinds() == expected(ok=1)
    assert not any(worker.scripted.scoreboard.counters.block(worker.slot))


def test_a_run_whose_worker_dies_is_counted_once_though_the_spare_dies_too(script: Script) -> None:
    worker = Worker(script)
    worker.begin()
    spare = worker.scripted.workers.spare
    worker.scripted.die(worker.slot)
    assert worker.kinds() == expected(died=1)
    worker.scripted.die(spare)
    worker.scripted.tick()
    assert worker.kinds() == expected(died=1)


def test_an_answer_that_was_cut_or_may_have_been_is_no_result(script: Script) -> None:
    worker = Worker(script)
    number = worker.begin()
    worker.respond(number)
    assert worker.kinds() == expected(ok=1)
    worker.scripted.die(worker.slot)  # how much was sent is unknown: it is no TCP connection
    assert worker.kinds() == expected(died=1)


def test_a_run_past_its_deadline_is_counted_as_such(script: Script) -> None:
    worker = Worker(script)
    number = worker.begin()
    rollout = worker.scripted.supervisor.rollout
    rollout.run_timed_out(worker.slot, Cause.TIMED_OUT, "1 s")
    worker.scripted.supervisor.run_commands()
    worker.scripted.supervisor.wait(0.0)
    assert worker.kinds() == expected(timed_out=1)
    (row,) = [row for row in counts(worker.scripted.supervisor.parts) if row["timed_out"]]
    assert row["generation"] == 1
    assert number in worker.scripted.supervisor.sockets.counted


def test_a_mark_that_the_action_wrote_takes_nothing_from_others(script: Script) -> None:
    worker = Worker(script)
    number = worker.begin()
    scoreboard = worker.scripted.scoreboard
    scoreboard.longs[number * 8 + 7] = 5 * 512 + RESULTS
    worker.scripted.die(worker.slot)
    assert worker.kinds() == expected(died=1)
